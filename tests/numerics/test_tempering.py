import numpy

from batchlab.numerics.tempering import draw_posterior


def test_draws_have_the_moments_of_a_known_normal_posterior():
    # Prior N(0, 2²) and N(1, 1), one measurement 3 ± 0.5 of their sum: the conjugate answer.
    precision = numpy.diag([1 / 4, 1.0]) + numpy.ones((2, 2)) / 0.25
    covariance = numpy.linalg.inv(precision)
    mean = covariance @ (numpy.array([0.0, 1.0]) + numpy.ones(2) * 3 / 0.25)
    draws = draw_posterior(lambda q: -0.5 * ((q.sum(axis=1) - 3) / 0.5) ** 2, [0.0, 1.0], [2.0, 1.0], n_draws=4000)
    assert numpy.allclose(draws.mean(axis=0), mean, atol=0.12)
    assert numpy.allclose(numpy.cov(draws.T), covariance, atol=0.15)


def test_two_far_maxima_are_both_found():
    def log_likelihood(points):
        return numpy.logaddexp(-200 * (points[:, 0] - 2) ** 2, -200 * (points[:, 0] + 2) ** 2)

    draws = draw_posterior(log_likelihood, [0.0], [2.0], n_draws=1000)
    assert 0.35 < (draws[:, 0] > 0).mean() < 0.65
    assert numpy.abs(numpy.abs(draws[:, 0]) - 2).max() < 0.5


def test_a_seed_gives_the_same_draws():
    first, second = (draw_posterior(lambda q: -(q[:, 0] ** 2), [0.0], [1.0], n_draws=50, seed=3) for _ in range(2))
    assert (first == second).all()


def test_a_likelihood_that_says_nothing_leaves_the_prior():
    draws = draw_posterior(lambda q: numpy.zeros(len(q)), [1.0], [2.0], n_draws=4000)
    assert abs(draws.mean() - 1) < 0.15 and abs(draws.std() - 2) < 0.1
