import itertools
import math

import numpy
import pytest

from batchlab.numerics.gradient_norms import (
    effective_rank,
    fit_gradient_norm_law,
    norm_moments,
    norm_regime,
    norm_slope,
    sq_norm_variance,
)
from noise_cases import MEAN, SIGNAL, TRACE, VARIANCES

TRACE_OF_SQUARE, SIGNAL_NOISE = float((VARIANCES**2).sum()), float((VARIANCES * MEAN**2).sum())


def drawn_sq_norms(generator, batch_size, n_draws):
    return (generator.normal(MEAN, numpy.sqrt(VARIANCES / batch_size), (n_draws, 40)) ** 2).sum(axis=1)


def test_all_batches_of_a_small_data_set_lie_on_the_law():
    # Loss_i = ½|w - x_i|² at w = 0: the gradients are the points themselves, and every batch is enumerated.
    data = numpy.random.default_rng(0).normal(0.5, 1.0, (12, 3))
    sizes = [1, 2, 3, 4, 11]
    means = [
        numpy.mean([(data[list(chosen)].mean(axis=0) ** 2).sum() for chosen in itertools.combinations(range(12), size)])
        for size in sizes
    ]
    law = fit_gradient_norm_law(sizes, means, [1.0] * 5, n_data=12)
    whole = data.mean(axis=0)
    assert law.signal == pytest.approx(whole @ whole, rel=1e-12)
    assert law.trace == pytest.approx(numpy.trace(numpy.cov(data.T)), rel=1e-12)
    assert law.mean_sq_norm(3) == pytest.approx(means[2], rel=1e-12)
    assert law.mean_sq_norm(12) == pytest.approx(whole @ whole, rel=1e-12)


def test_fit_is_that_of_weighted_least_squares():
    generator = numpy.random.default_rng(1)
    sizes, variances = numpy.array([1.0, 4.0, 16.0, 64.0]), generator.uniform(0.1, 2.0, 4)
    means = 0.2 + 4 / sizes + generator.normal(0, numpy.sqrt(variances))
    law = fit_gradient_norm_law(sizes, means, variances)
    (trace, signal), covariance = numpy.polyfit(1 / sizes, means, 1, w=1 / numpy.sqrt(variances), cov="unscaled")
    assert (law.trace, law.signal) == pytest.approx((trace, signal))
    assert law.covariance == pytest.approx((covariance[0, 0], covariance[0, 1], covariance[1, 1]))


def test_independent_draws_give_unbiased_coefficients_with_the_errors_stated():
    # 1,000 fits of 5 sizes with 50 draws each beforehand. z of two means at 4: a false alarm in 1 of 8,000 seeds;
    # scatter and error agree to 2.2 % standard error. The true variances are the weights.
    generator = numpy.random.default_rng(2)
    sizes = [1, 4, 16, 64, 256]
    variances = [sq_norm_variance(TRACE_OF_SQUARE, SIGNAL_NOISE, size) / 50 for size in sizes]
    means = numpy.array([drawn_sq_norms(generator, size, 50_000).reshape(1000, 50).mean(axis=1) for size in sizes])
    laws = [fit_gradient_norm_law(sizes, column, variances) for column in means.T]
    for found, truth, error in (
        ([law.trace for law in laws], TRACE, laws[0].trace_error),
        ([law.signal for law in laws], SIGNAL, laws[0].signal_error),
    ):
        assert abs(numpy.mean(found) - truth) < 4 * error / math.sqrt(1000)
        assert numpy.std(found) == pytest.approx(error, rel=0.1)
    assert numpy.mean([law.p_value < 0.05 for law in laws]) == pytest.approx(0.05, abs=0.03)
    truth = TRACE / SIGNAL
    limits = [law.noise_scale_limits() for law in laws]
    assert 0.92 <= numpy.mean([one is not None and one[0] <= truth <= one[1] for one in limits]) <= 0.98


def test_nested_draws_need_the_covariance_of_their_means():
    # 250 fits of 50 nested streams beforehand: the scatter has a standard error of 4.5 %.
    generator = numpy.random.default_rng(3)
    sizes = [1, 4, 16, 32]
    examples = generator.normal(MEAN, numpy.sqrt(VARIANCES), (250, 50, 32, 40))
    norms = numpy.stack([(examples[:, :, :size].mean(axis=2) ** 2).sum(axis=-1) for size in sizes], axis=-1)
    laws = [fit_gradient_norm_law(sizes, one.mean(axis=0), numpy.cov(one.T) / 50) for one in norms]
    assert numpy.std([law.signal for law in laws]) == pytest.approx(
        numpy.sqrt(numpy.mean([law.signal_error**2 for law in laws])), rel=0.18
    )
    assert math.isnan(laws[0].p_value)


@pytest.mark.parametrize(("batch_size", "tolerance"), [(1, 0.10), (16, 0.03), (256, 0.02)])
def test_mean_and_spread_of_the_norm_are_those_of_gaussian_draws(batch_size, tolerance):
    # 40,000 draws beforehand: the spread is known to .4 %; the delta method is the larger error at B = 1.
    norms = numpy.sqrt(drawn_sq_norms(numpy.random.default_rng(4), batch_size, 40_000))
    variance = sq_norm_variance(TRACE_OF_SQUARE, SIGNAL_NOISE, batch_size)
    mean, sd = norm_moments(SIGNAL + TRACE / batch_size, variance)
    assert norms.mean() == pytest.approx(mean, rel=0.005)
    assert norms.std() == pytest.approx(sd, rel=tolerance)
    assert (norms**2).var() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize(
    ("batch_size", "mean", "sd"),
    [
        (1e-3, math.sqrt(TRACE / 1e-3), math.sqrt(TRACE_OF_SQUARE / (2 * 1e-3 * TRACE))),
        (1e7, math.sqrt(SIGNAL), math.sqrt(SIGNAL_NOISE / (SIGNAL * 1e7))),
    ],
    ids=["noise", "signal"],
)
def test_the_ends_of_the_law_are_the_expected_picture(batch_size, mean, sd):
    mean_sq_norm = SIGNAL + TRACE / batch_size
    found = norm_moments(mean_sq_norm, sq_norm_variance(TRACE_OF_SQUARE, SIGNAL_NOISE, batch_size))
    # The delta method keeps the 3 % by which a mean norm lies below the root mean square at rank 11.
    assert found == pytest.approx((mean, sd), rel=0.03)


def test_slope_is_the_derivative_of_the_law():
    def log_norm(log_size):
        return 0.5 * math.log(SIGNAL + TRACE / math.exp(log_size))

    for size in (0.5, 21.4, 900.0):
        numeric = (log_norm(math.log(size) + 1e-5) - log_norm(math.log(size) - 1e-5)) / 2e-5
        assert norm_slope(size, TRACE / SIGNAL) == pytest.approx(numeric, rel=1e-6)
        assert norm_slope(size, TRACE / SIGNAL, summed_loss=True) == pytest.approx(1 + numeric, rel=1e-6)


def test_regimes_lie_a_factor_of_four_from_the_noise_scale():
    assert [norm_regime(size, 100) for size in (24, 26, 399, 401)] == ["noise", "between", "between", "signal"]


def test_effective_rank_comes_from_the_spread_of_noisy_norms():
    norms = numpy.sqrt(drawn_sq_norms(numpy.random.default_rng(5), 1, 20_000))
    rank = TRACE**2 / TRACE_OF_SQUARE
    assert effective_rank(norms.std() / norms.mean()) == pytest.approx(rank, rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "n_data", "message"),
    [
        (
            ([8, 8], [1.0, 1.0], [1.0, 1.0]),
            None,
            "A line needs two or more batch sizes, each with a mean and a variance, got shapes (2,), (2,) and (2,); "
            "measure at two batch sizes at least.",
        ),
        (
            ([8, 12], [1.0, 1.0], [1.0, 0.0]),
            12,
            "Means must be finite and their variances above 0, got [1.0, 1.0] and [1.0, 0.0]; "
            "leave out the batch size of the whole data set, which has no variance.",
        ),
        (
            ([8, 16], [1.0, 1.0], [1.0, 1.0]),
            12,
            "Batch sizes must lie above 0 and below `n_data` (12), got [8.0, 16.0]; "
            "pass None for draws with replacement.",
        ),
    ],
)
def test_errors_say_what_to_do(arguments, n_data, message):
    with pytest.raises(ValueError) as error:
        fit_gradient_norm_law(*arguments, n_data=n_data)
    assert str(error.value) == message
