import itertools
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.gradient_moments import add_noise_moments, noise_moments, noise_moments_two_sizes
from noise_cases import MEAN, SIGNAL, TRACE, VARIANCES

sizes_lists = st.lists(st.integers(1, 9), min_size=2, max_size=6)


def block(generator, sizes, dimensions=5):
    """Return gradients of the micro-batches' examples, a list of arrays (examples, dimensions)."""
    return [generator.normal(0.5, 1.0, (size, dimensions)) for size in sizes]


def moments_of_block(parts, **options):
    means = numpy.stack([part.mean(axis=0) for part in parts])
    whole = numpy.concatenate(parts).mean(axis=0)
    sizes = [len(part) for part in parts]
    return noise_moments((means**2).sum(axis=1), float(whole @ whole), sizes, **options)


@given(sizes_lists, st.integers(0, 1000))
def test_moments_are_the_weighted_scatter_of_micro_batches(sizes, seed):
    parts = block(numpy.random.default_rng(seed), sizes)
    whole = numpy.concatenate(parts).mean(axis=0)
    scatter = sum(len(part) * ((part.mean(axis=0) - whole) ** 2).sum() for part in parts) / (len(parts) - 1)
    trace, signal = moments_of_block(parts)
    assert trace == pytest.approx(scatter)
    assert signal == pytest.approx(whole @ whole - scatter / sum(sizes))


@given(sizes_lists, st.integers(0, 1000), st.randoms())
def test_moments_do_not_depend_on_the_order_of_micro_batches(sizes, seed, random):
    parts = block(numpy.random.default_rng(seed), sizes)
    expected = moments_of_block(parts)
    random.shuffle(parts)
    assert moments_of_block(parts) == pytest.approx(expected)


def test_moments_scale_with_the_square_of_the_loss():
    parts = block(numpy.random.default_rng(0), [3, 5, 2])
    trace, signal = moments_of_block(parts)
    assert moments_of_block([1024 * part for part in parts]) == pytest.approx((1024**2 * trace, 1024**2 * signal))


def test_single_examples_give_the_sample_covariance_and_the_mean_dot_product():
    gradients = numpy.random.default_rng(1).normal(0.3, 1.0, (7, 4))
    trace, signal = moments_of_block([gradient[None] for gradient in gradients])
    pairs = [a @ b for a, b in itertools.permutations(gradients, 2)]
    assert trace == pytest.approx(numpy.trace(numpy.cov(gradients.T)))
    assert signal == pytest.approx(numpy.mean(pairs))


def test_equal_micro_batches_are_the_two_sizes_form():
    trace, signal = noise_moments([3.0, 2.0, 4.0, 3.5], 1.5, 8)
    assert noise_moments_two_sizes(3.125, 1.5, 8, 32) == pytest.approx((trace, signal))


@pytest.mark.parametrize(
    ("micro_batches", "size", "variance_of_trace", "variance_of_signal"),
    [(64, 1, 0.0514, 0.00353), (8, 8, 0.463, 0.00363), (2, 32, 3.24, 0.00431)],
)
def test_moments_of_gaussian_gradients_are_unbiased_with_the_variances_of_theory(
    micro_batches, size, variance_of_trace, variance_of_signal
):
    # 20,000 blocks beforehand. Six means at 3 standard errors: a false alarm in 1.6 % of seeds; the variances have
    # standard errors of about 1.5 %, so 5 % is rarer still.
    generator = numpy.random.default_rng(5)
    found = []
    for _ in range(20):
        gradients = generator.normal(MEAN, numpy.sqrt(VARIANCES / size), (1000, micro_batches, 40))
        norms, whole = (gradients**2).sum(axis=2), (gradients.mean(axis=1) ** 2).sum(axis=1)
        found += [noise_moments(own, mean, size) for own, mean in zip(norms, whole.tolist(), strict=True)]
    trace, signal = numpy.array(found).T
    assert abs(trace.mean() - TRACE) < 3 * math.sqrt(trace.var() / 20_000)
    assert abs(signal.mean() - SIGNAL) < 3 * math.sqrt(signal.var() / 20_000)
    assert trace.var() == pytest.approx(variance_of_trace, rel=0.05)
    assert signal.var() == pytest.approx(variance_of_signal, rel=0.05)


def test_draws_without_replacement_need_the_finite_population_term():
    # Every ordered draw of two micro-batches of 2 from 6 examples: no randomness at all.
    data = numpy.random.default_rng(2).normal(0.2, 1.0, (6, 3))
    whole = data.mean(axis=0)
    scatter = ((data - whole) ** 2).sum() / 5
    draws = [[data[list(order[:2])], data[list(order[2:])]] for order in itertools.permutations(range(6), 4)]
    population = numpy.mean([moments_of_block(draw) for draw in draws], axis=0)
    training_set = numpy.mean([moments_of_block(draw, n_data=6) for draw in draws], axis=0)
    assert population == pytest.approx([scatter, whole @ whole - scatter / 6])
    assert training_set == pytest.approx([scatter, whole @ whole])


def test_two_sizes_take_the_finite_population_term_too():
    trace, signal = noise_moments_two_sizes(3.0, 2.5, 1, 2)
    assert noise_moments_two_sizes(3.0, 2.5, 1, 2, n_data=4) == (trace, signal + trace / 4)


def test_layers_add_up_to_the_model():
    generator = numpy.random.default_rng(3)
    parts = block(generator, [2, 3, 4], dimensions=9)
    layers = [[part[:, columns] for part in parts] for columns in (slice(0, 2), slice(2, 9))]
    assert add_noise_moments(map(moments_of_block, layers)) == pytest.approx(moments_of_block(parts))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([1.0], 1.0, [8]),
            "The noise is the scatter of two or more micro-batches of known sizes, got squared norms of shape (1,) and "
            "sizes of shape (1,); split the step into more micro-batches.",
        ),
        (
            ([1.0, 2.0], 1.0, [8, 8, 8]),
            "The noise is the scatter of two or more micro-batches of known sizes, got squared norms of shape (2,) and "
            "sizes of shape (3,); split the step into more micro-batches.",
        ),
        (
            ([1.0, math.nan], 1.0, 8),
            "Squared norms must be finite and not negative, got nan; skip steps whose gradient is not finite.",
        ),
        (
            ([1.0, 2.0], -1.0, 8),
            "Squared norms must be finite and not negative, got -1.0; skip steps whose gradient is not finite.",
        ),
        (
            ([1.0, 2.0], 1.0, [8, 0]),
            "`micro_batch_sizes` must be above 0, got [8.0, 0.0]; leave out the micro-batches that were empty.",
        ),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    with pytest.raises(ValueError) as error:
        noise_moments(*arguments)
    assert str(error.value) == message


def test_a_data_set_smaller_than_the_draw_is_refused():
    with pytest.raises(ValueError) as error:
        noise_moments([1.0, 2.0], 1.0, 8, n_data=10)
    assert str(error.value) == (
        "`n_data` (10) must be at least the 16 examples drawn from it without replacement; "
        "pass None for examples drawn with replacement."
    )


def test_two_equal_sizes_are_refused():
    with pytest.raises(ValueError) as error:
        noise_moments_two_sizes(1.0, 1.0, 8, 8)
    assert str(error.value) == (
        "`small` and `large` must be batch sizes with small < large, got 8 and 8; measure at two different batch sizes."
    )
