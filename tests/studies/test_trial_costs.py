import dataclasses

import pytest

from batchlab.errors import ExecutorError
from batchlab.records import TrialResult, TrialSettings
from batchlab.studies.plan import trial_settings
from batchlab.studies.trial_costs import known_costs, timed_costs
from simulated import INFO, InstantExecutor, World, spec

STEP_S, EVALUATION_S, WARM_UP_S = {8: 0.001, 64: 0.3}, 0.05, 3.0


class Clock:
    """Answers trials with what they would take; the first of a batch size takes longer."""

    def __init__(self) -> None:
        self.lengths: dict[int, list[int]] = {}

    def __call__(self, settings: TrialSettings) -> TrialResult:
        lengths = self.lengths.setdefault(settings.batch_size, [])
        busy_s = settings.n_steps * STEP_S[settings.batch_size] + (0 if lengths else WARM_UP_S)
        lengths.append(settings.n_steps)
        result = World({8: 0.1, 64: 0.1}).result(settings)
        n_evaluations = len(result.curve.steps)
        evaluation_s = EVALUATION_S * n_evaluations
        return dataclasses.replace(result, seconds=busy_s + evaluation_s, evaluation_s=evaluation_s)


def settings(batch_size: int, purpose: str = "confirm") -> TrialSettings:
    return trial_settings(spec(batch_sizes=(8, 64)), INFO, batch_size, 0.1, 0, purpose)


def test_short_trials_tell_what_long_ones_take_and_the_first_only_warms_up() -> None:
    clock = Clock()
    costs = timed_costs(InstantExecutor(clock), [settings(8), settings(64)], INFO)
    for size in (8, 64):
        trial = settings(size)
        look_s = EVALUATION_S * (INFO.n_train + INFO.n_test) / INFO.n_valid
        expected = trial.n_steps * STEP_S[size] + (2 + len(trial.evaluate_at)) * EVALUATION_S
        assert costs[size].seconds(settings(size, "tune")) == pytest.approx(expected)
        assert costs[size].seconds(trial) == pytest.approx(expected + look_s)


def test_trials_grow_until_they_take_half_a_second_or_are_as_long_as_the_real_ones() -> None:
    clock = Clock()
    timed_costs(InstantExecutor(clock), [settings(8), settings(64)], INFO)
    assert clock.lengths == {8: [5, 5, 150, 512], 64: [5, 5]}


def test_a_trial_that_fails_while_it_is_timed_is_told() -> None:
    def fail(settings: TrialSettings) -> TrialResult:
        raise RuntimeError("ValueError: no such layer")

    with pytest.raises(ExecutorError) as raised:
        timed_costs(InstantExecutor(fail), [settings(8)], INFO)
    assert str(raised.value) == (
        "Trials were to be timed, but one failed: ValueError: no such layer; mend that and try again."
    )


def test_trials_of_the_store_tell_by_their_medians() -> None:
    result = World({8: 0.1}).result(settings(8))
    n, looks = result.steps, len(result.curve.steps)
    seconds = [(n * 0.01, 0.2), (n * 0.02, 0.4), (n * 0.09, 0.9)]
    found = [
        dataclasses.replace(result, seconds=busy + looks * look, evaluation_s=looks * look) for busy, look in seconds
    ]
    cost = known_costs([*found, dataclasses.replace(result, status="failed", seconds=1e9)])[8]
    assert (cost.step_s, cost.evaluation_s) == (pytest.approx(0.02), pytest.approx(0.4))
