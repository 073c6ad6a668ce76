import math

import numpy
import pytest
from scipy.optimize import minimize
from scipy.stats import norm, t

from batchlab.analyze.geometric import geometric_estimate

STEPS = [120.0, 150.0, 95.0, 180.0, 140.0]


def test_without_censoring_it_is_the_t_interval_of_logarithms() -> None:
    logs = numpy.log(STEPS)
    half = t.ppf(0.975, 4) * logs.std(ddof=1) / math.sqrt(5)
    found = geometric_estimate(STEPS)
    expected = numpy.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    assert (found.mean, found.low, found.high) == pytest.approx(tuple(expected))


def test_the_profile_interval_is_the_t_interval_where_the_limit_says_nothing() -> None:
    plain, beside = geometric_estimate(STEPS), geometric_estimate(STEPS, [1e-3 * min(STEPS)])
    assert beside.mean == pytest.approx(plain.mean, rel=0.01)
    assert beside.low == pytest.approx(plain.low, rel=0.03)
    assert beside.high == pytest.approx(plain.high, rel=0.03)


def test_the_censored_mean_is_that_of_a_direct_maximization() -> None:
    known, limits = numpy.log(STEPS), numpy.log([200.0, 200.0])

    def loss(point: numpy.ndarray) -> float:
        sd = math.exp(point[1])
        return -float(norm.logpdf(known, point[0], sd).sum() + norm.logsf(limits, point[0], sd).sum())

    best = minimize(loss, [5.0, -1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    assert geometric_estimate(STEPS, [200.0, 200.0]).mean == pytest.approx(math.exp(best.x[0]), rel=1e-3)


def test_a_run_out_of_budget_makes_the_mean_longer_than_leaving_it_out() -> None:
    left_out, counted = geometric_estimate(STEPS), geometric_estimate(STEPS, [200.0])
    assert counted.mean > left_out.mean
    assert counted.high is not None and left_out.high is not None
    assert counted.high > left_out.high


def test_two_values_have_a_mean_and_no_interval() -> None:
    for beyond in ((), (300.0,)):
        found = geometric_estimate([100.0, 400.0], beyond)
        assert (found.low, found.high) == (None, None)
    assert geometric_estimate([100.0, 400.0]).mean == pytest.approx(200.0)


def test_equal_values_and_a_limit_have_a_finite_mean() -> None:
    assert geometric_estimate([100.0, 100.0, 100.0], [100.0]).mean == pytest.approx(100.0, rel=0.05)


def test_the_interval_covers_with_a_quarter_of_the_runs_censored() -> None:
    # 400 studies of 8 seeds beforehand, limit at the upper quartile: standard error .011 at .95.
    generator, covered, tried = numpy.random.default_rng(0), 0, 0
    limit = math.exp(0.2 * norm.ppf(0.75))
    for _ in range(400):
        steps = numpy.exp(0.2 * generator.normal(size=8))
        reached, beyond = steps[steps <= limit], steps[steps > limit]
        if len(reached) <= 4:
            continue
        found = geometric_estimate(reached.tolist(), [limit] * len(beyond))
        assert found.low is not None and found.high is not None
        tried, covered = tried + 1, covered + (found.low <= 1.0 <= found.high)
    assert covered / tried == pytest.approx(0.95, abs=0.035)
