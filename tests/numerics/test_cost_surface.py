import dataclasses
import math
import random

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_ndtr

from batchlab.numerics import cost_posterior, cost_surface
from batchlab.numerics.cost_posterior import CostRun
from batchlab.numerics.cost_surface import CostSurface, fit_cost_surface
from batchlab.numerics.rate_excess import rate_excess

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
BASE_RATE, BASE_SIZE = 0.1, 32


@dataclasses.dataclass(frozen=True)
class Truth:
    """A surface with E_min = 3000, drawn or given."""

    critical: float = 200.0
    saturation: float = 300.0
    slope: float = 0.9
    base_log_rate: float = math.log(BASE_RATE)
    right: float = 3.0
    tau: float = 1.2
    noise: float = 0.1

    def log_cost(self, size: float) -> float:
        return math.log(3000 * (1 + size / self.critical))

    def log_rate(self, size: float) -> float:
        rise = math.log1p(self.saturation / BASE_SIZE) - math.log1p(self.saturation / size)
        return self.base_log_rate + self.slope * rise

    def runs(self, generator: numpy.random.Generator, offsets: list[float], cap: float = 2.0) -> tuple[CostRun, ...]:
        """Return a run at each size and offset from its best rate, stopped at `cap` times the least cost."""
        found = []
        for arm, size in enumerate(SIZES):
            for z in offsets:
                excess = float(rate_excess(z, self.right, self.tau).value)
                cost = self.log_cost(size) + excess + self.noise * generator.normal()
                most = self.log_cost(size) + math.log(cap)
                found.append(CostRun(arm, self.log_rate(size) + z, min(cost, most), cost <= most))
        return tuple(found)


def fit(runs: tuple[CostRun, ...]) -> CostSurface:
    return fit_cost_surface(SIZES, runs, base_rate=BASE_RATE, base_batch_size=BASE_SIZE)


def test_many_runs_give_the_truth() -> None:
    truth = Truth(noise=0.05)
    found = fit(truth.runs(numpy.random.default_rng(0), [-1.2, -0.6, -0.3, 0.0, 0.2, 0.4, 0.6]))
    assert found.log_cost == pytest.approx([truth.log_cost(size) for size in SIZES], abs=0.08)
    assert found.log_rate == pytest.approx([truth.log_rate(size) for size in SIZES], abs=0.15)
    assert found.noise == pytest.approx(0.05, abs=0.03)


def test_the_mode_is_that_of_the_posterior_written_down_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_posterior, "MISFIT", 0.0)
    monkeypatch.setattr(cost_surface, "N_NOISE_STEPS", 0)
    sizes = SIZES[::3]
    runs = (
        CostRun(0, math.log(0.03), 8.2, True),
        CostRun(0, math.log(0.06), 8.1, True, seed=1),
        CostRun(1, math.log(0.10), 8.4, True),
        CostRun(1, math.log(0.04), 8.7, False),
        CostRun(2, math.log(0.20), 8.9, True, seed=1),
        CostRun(2, math.log(1.50), 7.0, False, failed=True),
    )
    found = fit_cost_surface.__wrapped__(sizes, runs, base_rate=BASE_RATE, base_batch_size=BASE_SIZE)
    middle = numpy.log(sizes).mean()
    prior = [(8.1, 3.0), (middle + 1, 2.0), (math.log(0.1), 1.4), (middle + 0.7, 1.5), (0.8, 0.25)]
    prior += [(1.3, 0.8), (0.0, 0.5), (math.log(0.3), 0.7), *[(0.0, 0.08)] * 3, *[(0.0, 0.15)] * 3, *[(0.0, 0.1)] * 2]

    def at(point: numpy.ndarray, arm: int) -> tuple[float, float]:
        size, saturation = sizes[arm], math.exp(point[3])
        rise = math.log(1 + saturation / BASE_SIZE) - math.log(1 + saturation / size)
        cost = point[0] + math.log(1 + size / math.exp(point[1])) + point[8 + arm]
        return cost, point[2] + point[4] * rise + point[11 + arm]

    def minus_log_posterior(point: numpy.ndarray) -> float:
        total = sum(((value - mean) / sd) ** 2 / 2 for value, (mean, sd) in zip(point, prior, strict=True))
        for run in runs:
            cost, rate = at(point, run.arm)
            z, r, tau = run.log_rate - rate, math.exp(point[5]), math.exp(point[6])
            excess = tau * math.log((r * math.exp(-z / tau) + math.exp(r * z / tau)) / (1 + r))
            expected = cost + excess + point[14 + run.seed]
            past_wall = (z - math.exp(point[7])) / 0.06
            if run.failed:
                total -= float(log_ndtr(past_wall))
            elif run.reached:
                total += ((run.log_cost - expected) / 0.12) ** 2 / 2 - float(log_ndtr(-past_wall))
            else:
                total -= float(log_ndtr((expected - run.log_cost) / 0.12))
        return total

    start = numpy.array([mean for mean, _ in prior])
    oracle = minimize(minus_log_posterior, start, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-13})
    expected = [at(oracle.x, arm) for arm in range(3)]
    assert found.log_cost == pytest.approx([cost for cost, _ in expected], abs=2e-3)
    assert found.log_rate == pytest.approx([rate for _, rate in expected], abs=5e-3)


@settings(max_examples=5)
@given(st.floats(-5, 5), st.floats(-3, 3), st.randoms(use_true_random=False))
def test_units_and_order_do_not_matter(more_examples: float, more_rate: float, mixer: random.Random) -> None:
    runs = Truth().runs(numpy.random.default_rng(1), [-0.9, 0.2])
    moved = [
        dataclasses.replace(run, log_cost=run.log_cost + more_examples, log_rate=run.log_rate + more_rate)
        for run in runs
    ]
    mixer.shuffle(moved)
    plain = fit(runs)
    other = fit_cost_surface(SIZES, tuple(moved), base_rate=BASE_RATE * math.exp(more_rate), base_batch_size=BASE_SIZE)
    assert other.log_cost - more_examples == pytest.approx(plain.log_cost, abs=1e-3)
    assert other.log_rate - more_rate == pytest.approx(plain.log_rate, abs=1e-3)


def test_a_run_that_failed_lowers_the_best_rate() -> None:
    runs = Truth().runs(numpy.random.default_rng(2), [-0.9])
    bad = CostRun(4, Truth().log_rate(128) - 0.2, 7.0, False, failed=True)
    assert fit((*runs, bad)).log_rate[4] < fit(runs).log_rate[4] - 0.1


def test_a_run_without_the_target_makes_its_size_dearer_or_its_rate_worse() -> None:
    runs, truth = Truth().runs(numpy.random.default_rng(3), [-0.5, 0.3]), Truth()
    slow = CostRun(4, truth.log_rate(128), truth.log_cost(128) + 0.5, False)
    before, after = fit(runs), fit((*runs, slow))
    at_slow = [
        float(one.log_cost[4] + rate_excess(slow.log_rate - one.log_rate[4], one.right, one.tau).value)
        for one in (before, after)
    ]
    assert at_slow[1] > at_slow[0] + 0.1


def test_what_is_known_better_has_the_smaller_error() -> None:
    truth = Truth()
    few, many = (fit(truth.runs(numpy.random.default_rng(4), z)) for z in ([-0.4], [-0.9, -0.4, 0.0, 0.3]))
    assert (many.log_rate_sd < few.log_rate_sd).all()
    assert many.difference(3, 4)[1] < few.difference(3, 4)[1]


def test_no_run_at_the_target_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        fit((CostRun(0, 0.0, 5.0, False),))
    assert str(caught.value) == (
        "A cost surface needs a run that reached the target, got none; choose an easier target."
    )


def test_intervals_contain_the_truth_as_often_as_they_say() -> None:
    """24 surfaces with 2 runs a size, their base rates off: 95% intervals should cover .95 of the 8 sizes.

    .85 is 3 sd below: sizes of one surface share their errors, which leaves some 48 independent ones.
    """
    inside = []
    for number in range(24):
        generator = numpy.random.default_rng([5, number])
        truth = Truth(
            critical=2.0 ** generator.uniform(4, 11),
            saturation=2.0 ** generator.uniform(5, 10),
            slope=generator.uniform(0.5, 1.1),
            base_log_rate=math.log(BASE_RATE) + generator.normal() * 0.7,
            right=math.exp(generator.normal(math.log(3), 0.5)),
            tau=math.exp(generator.normal(math.log(1.2), 0.4)),
        )
        found = fit(truth.runs(generator, [-0.7, 0.2]))
        error = found.log_rate - [truth.log_rate(size) for size in SIZES]
        inside.append(numpy.abs(error) < 1.96 * found.log_rate_sd)
    assert 0.85 < numpy.mean(inside) <= 1.0
