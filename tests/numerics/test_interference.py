import itertools
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.gradient_moments import noise_moments
from batchlab.numerics.interference import (
    diversity_batch_size,
    gradient_diversity,
    gradient_snr,
    pairwise_interference,
)


def gradients_of(seed, n=8, dimensions=5, mean=0.3):
    return numpy.random.default_rng(seed).normal(mean, 1.0, (n, dimensions))


def pair_means(gradients, labels=None):
    """Return the four means over pairs by visiting them one by one."""
    pairs = [
        (gradients[i], gradients[j])
        for i, j in itertools.combinations(range(len(gradients)), 2)
        if labels is None or labels[i] == labels[j]
    ]
    dots = numpy.array([a @ b for a, b in pairs])
    products = numpy.array([numpy.linalg.norm(a) * numpy.linalg.norm(b) for a, b in pairs])
    return dots.mean(), (dots / products).mean(), dots.sum() / products.sum(), numpy.sign(dots).mean(), dots


def statistics(found):
    return found.dot, found.cosine, found.weighted_cosine, found.sign


@given(st.integers(0, 1000), st.integers(3, 9))
def test_means_over_pairs_are_those_of_visiting_every_pair(seed, n):
    gradients = gradients_of(seed, n)
    found, (*means, dots) = pairwise_interference(gradients @ gradients.T), pair_means(gradients)
    assert [one.mean for one in statistics(found)] == pytest.approx(means)
    assert found.lowest_dot == pytest.approx(dots.min())
    assert found.low_dot == pytest.approx(numpy.quantile(dots, 0.05))
    assert found.n_pairs == len(dots) == n * (n - 1) / 2


def test_intervals_leave_out_an_example_with_all_its_pairs():
    gradients = gradients_of(0)
    found = pairwise_interference(gradients @ gradients.T)
    left_out = numpy.array([pair_means(numpy.delete(gradients, i, axis=0))[:4] for i in range(8)])
    errors = numpy.sqrt(7 / 8 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    half_widths = [one.high - one.mean for one in statistics(found)]
    assert half_widths == pytest.approx((2.364624 * errors).tolist(), rel=1e-5)


def test_pairs_of_one_class_can_be_asked_for_alone():
    gradients, labels = gradients_of(1), numpy.array([0, 1, 0, 1, 1, 0, 0, 1])
    found = pairwise_interference(gradients @ gradients.T, among=labels[:, None] == labels)
    assert [one.mean for one in statistics(found)] == pytest.approx(pair_means(gradients, labels)[:4])
    assert found.n_pairs == 12


@given(st.integers(0, 1000), st.randoms())
def test_statistics_do_not_depend_on_the_order_of_examples(seed, random):
    gradients = gradients_of(seed)
    order = list(range(8))
    random.shuffle(order)
    plain, shuffled = (pairwise_interference(g @ g.T) for g in (gradients, gradients[order]))
    for one, other in zip(statistics(plain), statistics(shuffled), strict=True):
        assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high), abs=1e-12)


def test_mean_dot_product_is_the_unbiased_signal():
    gradients = gradients_of(2)
    whole = gradients.mean(axis=0)
    _, signal = noise_moments((gradients**2).sum(axis=1), float(whole @ whole), 1)
    assert pairwise_interference(gradients @ gradients.T).dot.mean == pytest.approx(signal)


def test_diversity_is_one_plus_the_noise_scale_of_the_examples_as_a_population():
    gradients = gradients_of(3)
    whole = gradients.sum(axis=0)
    n_diversity = 8 * gradient_diversity((gradients**2).sum(axis=1), float(whole @ whole))
    mean = gradients.mean(axis=0)
    assert n_diversity == pytest.approx(1 + ((gradients - mean) ** 2).sum() / 8 / (mean @ mean))


def test_diversity_of_orthogonal_equal_and_opposite_gradients_is_known():
    orthogonal, equal, opposite = numpy.eye(4), numpy.ones((4, 3)), numpy.array([[1.0, 2.0], [-1.0, -2.0]])
    of = [gradient_diversity((g**2).sum(axis=1), float((g.sum(axis=0) ** 2).sum())) for g in (orthogonal, equal)]
    assert of == pytest.approx([1.0, 0.25])
    assert gradient_diversity((opposite**2).sum(axis=1), float((opposite.sum(axis=0) ** 2).sum())) == math.inf
    found = pairwise_interference(opposite @ opposite.T)
    assert (found.lowest_dot, found.cosine.mean, found.sign.mean) == (-5.0, pytest.approx(-1.0), -1.0)


def test_with_equal_norms_the_cosine_gives_the_noise_scale():
    directions = gradients_of(4, n=40, mean=1.0)
    directions /= numpy.linalg.norm(directions, axis=1, keepdims=True)
    found = pairwise_interference(directions @ directions.T)
    whole = directions.mean(axis=0)
    trace, signal = noise_moments(numpy.ones(40), float(whole @ whole), 1)
    assert (1 - found.cosine.mean) / found.cosine.mean == pytest.approx(trace / signal)
    assert diversity_batch_size(trace, signal) == pytest.approx(1 / found.cosine.mean)


def test_diversity_without_signal_has_no_value():
    assert diversity_batch_size(4.0, -0.1) is None


def test_intervals_of_pair_means_cover_the_truth():
    # 1,000 samples of 40 examples beforehand: standard error .007 at .95.
    generator = numpy.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        gradients = generator.normal(0.3, 1.0, (40, 6))
        found = pairwise_interference(gradients @ gradients.T).dot
        covered += found.low <= 6 * 0.09 <= found.high
    assert 0.92 <= covered / 1000 <= 0.98


def test_random_directions_have_cosines_of_variance_one_over_the_dimension():
    gradients = numpy.random.default_rng(6).normal(size=(60, 400))
    unit = gradients / numpy.linalg.norm(gradients, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[numpy.triu_indices(60, 1)]
    assert cosines.var() == pytest.approx(1 / 400, rel=0.15)
    found = pairwise_interference(gradients @ gradients.T).cosine
    assert found.low < 0 < found.high


def test_examples_without_gradient_count_as_neither_helping_nor_hindering():
    gradients = numpy.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    found = pairwise_interference(gradients @ gradients.T)
    assert found.cosine.mean == pytest.approx(1 / 3)
    assert found.weighted_cosine.mean == pytest.approx(1.0)
    assert found.weighted_cosine.low is None


def test_no_pairs_are_nan_without_an_interval():
    found = pairwise_interference(numpy.eye(3), among=numpy.eye(3))
    assert found.n_pairs == 0
    assert math.isnan(found.dot.mean) and math.isnan(found.lowest_dot)
    assert found.dot.low is None


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_signal_to_noise_ratio_is_unbiased(mean):
    # 200,000 parameters beforehand: within 4 standard errors, a false alarm in 1 of 16,000 seeds.
    samples = numpy.random.default_rng(7).normal(mean, 1.0, (8, 200_000))
    ratios = gradient_snr(samples.mean(axis=0), samples.var(axis=0, ddof=1), n=8)
    assert abs(ratios.mean() - mean**2) < 4 * ratios.std() / math.sqrt(200_000)
    if mean == 0:
        plain = (samples.mean(axis=0) ** 2 / samples.var(axis=0, ddof=1)).mean()
        assert plain == pytest.approx(7 / (8 * 5), rel=0.03)


def test_a_parameter_that_never_varied_has_no_ratio():
    assert numpy.isnan(gradient_snr([1.0, 1.0], [0.0, 1.0], n=5)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("gram", "among", "message"),
    [
        (
            [[1.0]],
            None,
            "`gram` must be a square matrix of two or more examples, got shape (1, 1); pass `gradients @ gradients.T`.",
        ),
        (
            [[1.0, 0.5], [0.0, 1.0]],
            None,
            "`gram` must be finite and symmetric with squared norms on its diagonal, and is not; "
            "pass `gradients @ gradients.T` of finite gradients.",
        ),
        (
            [[1.0, 0.5], [0.5, 1.0]],
            [True, False],
            "`among` must be a symmetric matrix of shape (2, 2) as the Gram matrix is, got shape (2,); "
            "build it as `labels[:, None] == labels`.",
        ),
    ],
)
def test_errors_say_what_to_do(gram, among, message):
    with pytest.raises(ValueError) as error:
        pairwise_interference(gram, among=among)
    assert str(error.value) == message


def test_too_few_examples_for_the_correction_are_refused():
    with pytest.raises(ValueError) as error:
        gradient_snr([1.0], [1.0], n=3)
    assert str(error.value) == "`n` must be at least 4 examples, got 3; the correction does not exist below."
