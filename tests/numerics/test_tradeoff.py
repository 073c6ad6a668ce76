import math
import time

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from batchlab.numerics.tradeoff import fit_tradeoff, scaling_regions

SIZES = 2.0 ** numpy.arange(3, 13)


def draw(seed, *, sizes=SIZES, seeds=3, sd=0.1, cap=20_000.0, critical=256.0, exponent=1.0, size_sd=0.0):
    """Return batch sizes, steps and which are censored."""
    generator = numpy.random.default_rng(seed)
    batch_sizes = numpy.repeat(sizes, seeds)
    noise = generator.normal(0, sd, len(batch_sizes)) + numpy.repeat(generator.normal(0, size_sd, len(sizes)), seeds)
    steps = 1000 * (1 + (critical / batch_sizes) ** exponent) ** (1 / exponent) * numpy.exp(noise)
    return batch_sizes, numpy.minimum(steps, cap), steps > cap


def share_of(flag, fits):
    return sum(flag in fit.flags for fit in fits) / len(fits)


@given(st.floats(30, 1000), st.floats(100, 1e5))
@settings(max_examples=30, deadline=None)
def test_a_curve_without_noise_is_recovered(critical, steps_min):
    fit = fit_tradeoff(SIZES, steps_min * (1 + critical / SIZES))
    assert fit.critical_batch_size == pytest.approx(critical, rel=1e-4)
    assert fit.steps_min == pytest.approx(steps_min, rel=1e-4)
    assert fit.examples_min == pytest.approx(steps_min * critical, rel=1e-4)
    assert fit.low < critical < fit.high
    assert "shape_rejected" not in fit.flags


def test_estimates_and_coverage_are_those_known():
    # 300 data sets beforehand, 10 % censored. Coverage .95: standard error .0126, so .91 is a 3-sigma event; the known
    # values are a median of 256 with error 4 and a standard deviation of .06 of the logarithm.
    fits = [fit_tradeoff(*draw(seed)) for seed in range(300)]
    found = numpy.array([fit.critical_batch_size for fit in fits])
    assert numpy.median(found) == pytest.approx(256, abs=4)
    assert numpy.log(found).std() == pytest.approx(0.06, abs=0.008)
    assert 0.92 <= numpy.mean([fit.low <= 256 <= fit.high for fit in fits]) <= 0.99
    assert numpy.mean([fit.n_censored for fit in fits]) == pytest.approx(3, abs=0.3)
    # Rejection at .05: standard error .0126, 4 sigma.
    assert share_of("shape_rejected", fits) < 0.1


def test_the_interval_holds_what_a_size_s_seeds_share():
    # 150 data sets beforehand: at .95 fewer than .89 is a 3-sigma event. Seeds alone would cover in .82.
    fits = [fit_tradeoff(*draw(seed, size_sd=0.1)) for seed in range(150)]
    assert numpy.mean([fit.low <= 256 <= fit.high for fit in fits]) > 0.89
    assert share_of("poor_fit", fits) > 0.5


def test_the_fit_is_the_maximum_that_a_direct_search_finds():
    batch_sizes, steps, censored = draw(5)
    y = numpy.log(steps)

    def negative(theta):
        mean = theta[0] + numpy.log1p(numpy.exp(theta[1]) / batch_sizes)
        sd = math.exp(theta[2])
        return -numpy.where(censored, stats.norm.logsf(y, mean, sd), stats.norm.logpdf(y, mean, sd)).sum()

    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000}
    found = optimize.minimize(negative, [7.0, 5.0, -2.0], method="Nelder-Mead", options=options)
    fit = fit_tradeoff(batch_sizes, steps, censored)
    assert math.log(fit.steps_min) == pytest.approx(found.x[0], abs=1e-4)
    assert math.log(fit.critical_batch_size) == pytest.approx(found.x[1], abs=1e-4)
    assert math.log(fit.sd) == pytest.approx(found.x[2], abs=1e-3)


def test_without_censoring_the_interval_is_that_of_regression():
    batch_sizes, steps, _ = draw(3, seeds=1, cap=math.inf)
    y = numpy.log(steps)

    def squares(log_critical):
        return float(numpy.var(y - numpy.log1p(math.exp(log_critical) / batch_sizes))) * len(y)

    fit = fit_tradeoff(batch_sizes, steps)
    least = optimize.minimize_scalar(squares, bounds=(3, 8), method="bounded", options={"xatol": 1e-9}).fun
    allowed = least * (1 + stats.f.ppf(0.95, 1, 8) / 8)
    assert fit.sd == pytest.approx(math.sqrt(least / 10), rel=1e-3)
    for limit in (fit.low, fit.high):
        assert squares(math.log(limit)) == pytest.approx(allowed, rel=1e-3)


def between_evaluations(steps, factor):
    low = factor ** numpy.floor(numpy.log(steps) / math.log(factor))
    return numpy.stack([low, low * factor], axis=1)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_steps_between_close_evaluations_are_as_good_as_exact(seed):
    batch_sizes, steps, _ = draw(seed, cap=math.inf)
    exact, between = fit_tradeoff(batch_sizes, steps), fit_tradeoff(batch_sizes, between_evaluations(steps, 1.001))
    assert between.critical_batch_size == pytest.approx(exact.critical_batch_size, rel=0.003)
    assert (between.low, between.high) == pytest.approx((exact.low, exact.high), rel=0.02)


def test_steps_between_rare_evaluations_bias_nothing():
    # 40 data sets beforehand, evaluated at each doubling; the logarithm's error is about .1, so .065 is 4 sigma.
    errors = []
    for seed in range(40):
        batch_sizes, steps, _ = draw(seed, cap=math.inf)
        errors.append(math.log(fit_tradeoff(batch_sizes, between_evaluations(steps, 2.0)).critical_batch_size / 256))
    assert numpy.mean(errors) == pytest.approx(0.0, abs=0.065)


def test_dropping_censored_runs_is_optimistic():
    # 100 data sets beforehand; the logarithm's standard deviation is .24, so .12 is a 4-sigma event of the median.
    with_them, without = [], []
    for seed in range(100, 200):
        batch_sizes, steps, censored = draw(seed, sd=0.3, cap=6000.0)
        with_them.append(fit_tradeoff(batch_sizes, steps, censored).critical_batch_size)
        without.append(fit_tradeoff(batch_sizes[~censored], steps[~censored]).critical_batch_size)
    assert numpy.median(without) < 0.9 * numpy.median(with_them)
    assert math.log(numpy.median(with_them) / 256) == pytest.approx(0.0, abs=0.12)


@given(st.integers(0, 10**6), st.permutations(range(30)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_runs_does_not_matter(seed, order):
    batch_sizes, steps, censored = draw(seed)
    plain, permuted = (
        fit_tradeoff(batch_sizes, steps, censored),
        fit_tradeoff(batch_sizes[order], steps[order], censored[order]),
    )
    assert permuted.critical_batch_size == pytest.approx(plain.critical_batch_size, rel=1e-5)
    assert (permuted.low, permuted.high) == pytest.approx((plain.low, plain.high), rel=1e-4)


@given(st.integers(0, 10**6), st.floats(0.1, 100))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_batch_sizes_carries_over(seed, unit):
    batch_sizes, steps, censored = draw(seed)
    plain, scaled = fit_tradeoff(batch_sizes, steps, censored), fit_tradeoff(batch_sizes * unit, steps, censored)
    assert scaled.critical_batch_size == pytest.approx(unit * plain.critical_batch_size, rel=1e-5)
    assert scaled.high == pytest.approx(unit * plain.high, rel=1e-4)
    assert scaled.steps_min == pytest.approx(plain.steps_min, rel=1e-5)


@pytest.mark.parametrize("exponent", [0.6, 2.0])
def test_another_shape_is_rejected(exponent):
    fits = [fit_tradeoff(*draw(seed, exponent=exponent, cap=math.inf)) for seed in range(20)]
    assert share_of("shape_rejected", fits) > 0.7


def test_where_the_shape_is_rejected_the_overhead_is_that_measured():
    batch_sizes, steps, _ = draw(0, exponent=4.0, sd=0.01, cap=math.inf)
    fit = fit_tradeoff(batch_sizes, steps)
    assert "shape_rejected" in fit.flags
    # Examples B S over their limit 256,000 are 1.2 where (1 + (B/256)^4) = 1.2^4.
    assert fit.overhead_batch_size(0.2) == pytest.approx(256 * (1.2**4 - 1) ** 0.25, rel=0.05)


def test_overhead_batch_sizes_follow_the_curve():
    fit = fit_tradeoff(*draw(1))
    assert fit.overhead_batch_size(0.2) == pytest.approx(0.2 * fit.critical_batch_size)
    assert fit.examples(fit.overhead_batch_size(0.2)) == pytest.approx(1.2 * fit.examples_min)
    assert fit.steps(fit.critical_batch_size) == pytest.approx(2 * fit.steps_min)
    assert (fit.steps(64) / fit.steps_min - 1) * (fit.examples(64) / fit.examples_min - 1) == pytest.approx(1.0)


def test_regions_meet_where_efficiency_is_four_fifths_and_one_fifth():
    fit = fit_tradeoff(*draw(1))
    perfect, diminishing, maximal = scaling_regions(fit)
    assert (perfect.low, maximal.high) == (0.0, math.inf)
    assert (perfect.high, diminishing.high) == (diminishing.low, maximal.low)
    assert fit.examples_min / fit.examples(perfect.high) == pytest.approx(0.8)
    assert fit.examples_min / fit.examples(diminishing.high) == pytest.approx(0.2)
    assert [region.high_overhead for region in (perfect, diminishing, maximal)] == [0.25, 4.0, math.inf]


@pytest.mark.parametrize("critical", [2500.0, 4096.0, 1e5])
def test_beyond_the_sizes_tried_there_is_only_a_lower_limit(critical):
    fit = fit_tradeoff(*draw(0, critical=critical, cap=math.inf, sd=0.05))
    assert 256 < fit.low < critical
    assert fit.high == math.inf
    assert {"edge_of_range", "unbounded_interval"} <= set(fit.flags)


def test_below_the_sizes_tried_there_is_only_an_upper_limit():
    fit = fit_tradeoff(*draw(0, critical=8.0, cap=math.inf))
    assert (fit.low, fit.high > 8) == (0.0, True)
    assert {"edge_of_range", "unbounded_interval"} <= set(fit.flags)


def test_perfect_scaling_throughout_leaves_the_critical_batch_size_open():
    fit = fit_tradeoff(SIZES, 1e6 / SIZES)
    assert (fit.critical_batch_size, fit.high, fit.steps_min) == (math.inf, math.inf, 0.0)
    assert fit.low > 4096
    assert fit.steps(64) == pytest.approx(1e6 / 64, rel=2e-3)
    assert fit.shape_p_value is None


def test_steps_that_do_not_depend_on_batch_size_have_no_critical_one():
    fit = fit_tradeoff(SIZES, numpy.full(10, 500.0))
    assert (fit.critical_batch_size, fit.low, fit.examples_min) == (0.0, 0.0, 0.0)
    assert fit.steps(64) == pytest.approx(500.0, rel=2e-3)


def test_two_runs_give_a_curve_without_interval():
    fit = fit_tradeoff([32, 2048], [9000, 1125])
    assert (round(fit.critical_batch_size), fit.low, fit.high) == (256, 0.0, math.inf)
    assert "noise_unknown" in fit.flags


def test_a_target_reached_in_a_handful_of_steps_is_flagged():
    assert "few_steps" in fit_tradeoff(SIZES, 5 * (1 + 256 / SIZES)).flags
    assert "few_steps" not in fit_tradeoff(SIZES, 50 * (1 + 256 / SIZES)).flags


runs = st.lists(
    st.tuples(st.sampled_from([1, 2, 8, 64, 4096]), st.integers(1, 10**6), st.sampled_from(["exact", "cap", "wide"])),
    min_size=2,
    max_size=12,
)


@given(runs)
@settings(max_examples=60, deadline=None)
def test_whatever_the_runs_the_estimate_lies_in_its_interval(found):
    limits = {"exact": (1.0, 1.0), "cap": (1.0, math.inf), "wide": (0.5, 1.0)}
    steps = [[count * edge for edge in limits[kind]] for _, count, kind in found]
    if len({size for size, _, kind in found if kind != "cap"}) < 2:
        return
    fit = fit_tradeoff([size for size, *_ in found], steps)
    assert 0 <= fit.low <= fit.critical_batch_size * (1 + 1e-9)
    assert fit.critical_batch_size <= fit.high * (1 + 1e-9)
    assert fit.sd > 0


def test_a_fit_takes_milliseconds():
    samples = [draw(seed) for seed in range(20)]
    start = time.process_time()
    for sample in samples:
        fit_tradeoff(*sample)
    # Some 7 ms; the room is for slow machines.
    assert (time.process_time() - start) / 20 < 0.1


def test_a_level_outside_its_range_is_refused():
    with pytest.raises(ValueError) as error:
        fit_tradeoff([8, 16], [100, 60], level=95)
    assert str(error.value) == "`level` must lie between 0 and 1, got 95; use 0.95 for a 95 % interval."


def test_an_overhead_of_nothing_is_refused():
    with pytest.raises(ValueError) as error:
        fit_tradeoff(*draw(0)).overhead_batch_size(0)
    assert str(error.value) == (
        "`overhead` must be above 0 and finite, got 0; use 0.2 for 20 % more examples than the least."
    )
