"""What a trial of a study costs: told by trials like it, or by a quick timing on the workers that would run it."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchlab.errors import ExecutorError
from batchlab.records import TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.executors import Executor
from batchlab.studies.progress import last_line

FIRST_STEPS, LEAST_S, MOST_GROWTH = 5, 0.5, 30.0
SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True, slots=True)
class TrialCost:
    """The seconds of trials at one batch size, while the other workers are busy too.

    All that is neither evaluation nor the last look at training and test data, `closing_s`, is in the steps.
    """

    step_s: float
    evaluation_s: float
    closing_s: float

    def seconds(self, settings: TrialSettings) -> float:
        """Return what a trial with these settings takes; tuning trials do without the last look."""
        n_evaluations = 2 + min(len(settings.evaluate_at), settings.n_steps)
        closing_s = 0.0 if settings.purpose == "tune" else self.closing_s
        return settings.n_steps * self.step_s + n_evaluations * self.evaluation_s + closing_s


def known_costs(results: Iterable[TrialResult]) -> dict[int, TrialCost]:
    """Return the cost of a trial at each batch size at which some came to their end."""
    by_size: dict[int, list[TrialResult]] = {}
    for one in results:
        if one.status == "done" and one.steps:
            by_size.setdefault(one.settings.batch_size, []).append(one)
    return {
        size: TrialCost(
            statistics.median(_busy_s(one) / one.steps for one in found),
            statistics.median(one.evaluation_s / len(one.curve.steps) for one in found),
            0.0,
        )
        for size, found in by_size.items()
    }


def timed_costs(executor: Executor, settings: Sequence[TrialSettings], info: WorkloadInfo) -> dict[int, TrialCost]:
    """Return the cost of a trial at each of the settings' batch sizes, from short trials that are not kept.

    They begin with a few steps and are made longer until they take half a second, or are as long as the real ones.

    Raises:
        ExecutorError: one of them failed.
    """
    # The first round only warms up: workers find out things once, and torch sets itself up.
    lengths = {one.batch_size: min(one.n_steps, FIRST_STEPS) for one in settings}
    _run(executor, [_shortened(one, lengths[one.batch_size]) for one in settings])
    found: dict[int, TrialResult] = {}
    while left := [one for one in settings if one.batch_size not in found]:
        results = _run(executor, [_shortened(one, lengths[one.batch_size]) for one in left])
        for one, result in zip(left, results, strict=True):
            busy_s = _busy_s(result)
            if busy_s >= LEAST_S or result.steps == one.n_steps or result.status != "done":
                found[one.batch_size] = result
            growth = min(MOST_GROWTH, max(2.0, 2 * LEAST_S / max(1e-6, busy_s)))
            lengths[one.batch_size] = min(one.n_steps, math.ceil(growth * result.steps))
    closing = (info.n_train + info.n_test) / info.n_valid
    return {size: _cost(result, closing) for size, result in found.items()}


def _shortened(settings: TrialSettings, n_steps: int) -> TrialSettings:
    return dataclasses.replace(settings, n_steps=n_steps, evaluate_at=(), purpose="time")


def _busy_s(result: TrialResult) -> float:
    return result.seconds - result.evaluation_s


def _cost(result: TrialResult, closing: float) -> TrialCost:
    evaluation_s = result.evaluation_s / len(result.curve.steps)
    return TrialCost(_busy_s(result) / result.steps, evaluation_s, closing * evaluation_s)


def _run(executor: Executor, trials: Sequence[TrialSettings]) -> list[TrialResult]:
    """Return the results of the trials, which run side by side as in a study."""
    waiting = {str(index): one for index, one in enumerate(trials)}
    results: dict[str, TrialResult] = {}
    keys = list(waiting)
    while len(results) < len(trials):
        while keys and executor.free():
            executor.submit(keys[0], waiting[keys.pop(0)])
        event = executor.next_event(SECONDS_BETWEEN_LOOKS)
        if event is not None and event.result is not None:
            results[event.key] = event.result
        elif event is not None and event.examples is None:
            raise ExecutorError(
                f"Trials were to be timed, but one failed: {last_line(event.error)}; mend that and try again."
            )
    return [results[key] for key in waiting]
