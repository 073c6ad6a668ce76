import math

import numpy
import pytest

from batchlab.analyze.prepared import prepare
from batchlab.analyze.study import analyze_study
from batchlab.analyze.target import runs_to_target
from batchlab.analyze.target_findings import TargetRun
from batchlab.analyze.tradeoff import fitted_sizes, tradeoff_of, why_no_tradeoff
from batchlab.records import Budget, StudyRecord
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, TargetWorld, spec

SIZES = (8, 16, 32, 64, 128, 256, 512)


def record(world: TargetWorld, **changes: object) -> StudyRecord:
    """Return a finished study of a world with a target."""
    plain = {"lr_mode": "fixed", "target": world.target, "batch_sizes": SIZES, "budget": Budget("examples", 25_000)}
    executor = InstantExecutor(world.result)
    return run_study(
        spec(**(plain | changes)), INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet()
    )


def exact(steps: dict[int, list[float]]) -> dict[int, list[TargetRun]]:
    """Return runs known exactly."""
    return {
        size: [TargetRun(size, seed, "reached", value, value, value) for seed, value in enumerate(values)]
        for size, values in steps.items()
    }


def hyperbola(noise: float, n_seeds: int = 5) -> dict[int, list[TargetRun]]:
    """Return runs on 30 (1 + 64/B) with log-normal noise."""
    generator = numpy.random.default_rng(0)
    return exact(
        {size: (30 * (1 + 64 / size) * numpy.exp(noise * generator.normal(size=n_seeds))).tolist() for size in SIZES}
    )


def test_the_critical_batch_size_of_simulated_studies_is_found_and_covered() -> None:
    # 60 studies of 7 sizes x 5 seeds beforehand; .95 -/+ 3 standard errors of .028 is .87 and up.
    covered, found = 0, []
    for seed in range(60):
        tradeoff = analyze_study(record(TargetWorld(), seed=seed)).tradeoff
        assert tradeoff is not None
        covered += tradeoff.low <= 64.0 <= tradeoff.high
        found.append(tradeoff.critical_batch_size)
    assert covered / 60 > 0.86
    assert math.exp(numpy.mean(numpy.log(found))) == pytest.approx(64.0, rel=0.06)


def test_a_size_most_of_whose_seeds_level_off_is_left_out_and_named() -> None:
    world = TargetWorld(levels_off=lambda size, seed: size == 512 and seed > 1)
    tradeoff = analyze_study(record(world)).tradeoff
    assert tradeoff is not None
    assert tradeoff.left_out == (512,)
    assert tradeoff.n == 30


def test_fewer_than_three_sizes_give_no_curve_and_say_so() -> None:
    findings = analyze_study(record(TargetWorld(), batch_sizes=(8, 64)))
    assert findings.tradeoff is None
    assert findings.notes[-1] == (
        "No trade-off curve: it needs 3 batch sizes that reach the target after their first evaluation, and these did "
        "only at batch size 8 and 64; an easier target or a longer budget may give one."
    )


def test_a_target_of_the_untrained_model_is_called_one() -> None:
    runs = {8: [TargetRun(8, 0, "trivial", 0.0, 0.0, None)]}
    assert tradeoff_of(runs, 0.95) is None
    assert why_no_tradeoff(runs) == (
        "No trade-off curve: the untrained model is at the target already; choose a harder one."
    )


def test_sizes_that_might_get_there_stay_in_the_fit() -> None:
    def runs(*statuses: str) -> list[TargetRun]:
        return [TargetRun(8, 0, status, 1.0, math.inf, None) for status in statuses]

    cases = {8: runs("not_reached", "not_reached"), 16: runs("reached", "plateaued"), 32: runs("diverged")}
    assert list(fitted_sizes(cases)) == [8]


def test_the_band_of_an_exact_curve_is_the_regression_of_its_linear_model() -> None:
    runs = hyperbola(0.1)
    found = tradeoff_of(runs, 0.95)
    assert found is not None and "poor_fit" not in found.flags
    # An oracle of another kind: the spread of the fitted curve over resampled residual noise.
    at_64 = [
        math.log(fit.steps_min + fit.examples_min / 64)
        for seed in range(150)
        for generator in [numpy.random.default_rng([1, seed])]
        for fit in [
            tradeoff_of(
                exact(
                    {
                        size: (30 * (1 + 64 / size) * numpy.exp(0.1 * generator.normal(size=5))).tolist()
                        for size in SIZES
                    }
                ),
                0.95,
            )
        ]
        if fit is not None
    ]
    middle = min(found.curve, key=lambda point: abs(math.log(point.batch_size / 64)))
    assert middle.low is not None and middle.high is not None
    width = math.log(middle.high / middle.low) / 2
    assert width == pytest.approx(2.03 * numpy.std(at_64), rel=0.4)
    assert middle.low < 60.0 < middle.high


def test_the_band_is_wider_where_sizes_scatter_by_more_than_their_seeds() -> None:
    runs = hyperbola(0.02)
    moved = {
        size: [
            TargetRun(size, one.seed, "reached", *(value * 1.25 ** (-1) ** index for value in (one.low, one.high)), 1.0)
            for one in found
        ]
        for index, (size, found) in enumerate(runs.items())
    }
    plain, scattered = tradeoff_of(runs, 0.95), tradeoff_of(moved, 0.95)
    assert plain is not None and scattered is not None
    widths = [math.log((fit.curve[8].high or 0) / (fit.curve[8].low or 1)) for fit in (plain, scattered)]
    assert "poor_fit" in scattered.flags
    assert widths[1] > 4 * widths[0]


def test_arms_of_an_aa_control_have_no_trade_off() -> None:
    findings = analyze_study(record(TargetWorld(), same_batch_size=32))
    assert (findings.tradeoff, findings.target) == (None, TargetWorld().target)
    assert not any(note.startswith("No trade-off") for note in findings.notes)


def test_the_curve_spans_the_sizes_in_the_fit() -> None:
    tradeoff = tradeoff_of(runs_to_target(prepare(record(TargetWorld()))), 0.95)
    assert tradeoff is not None
    assert (tradeoff.curve[0].batch_size, tradeoff.curve[-1].batch_size) == (8.0, pytest.approx(512.0))
    assert len(tradeoff.curve) == 25
