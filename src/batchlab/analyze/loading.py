"""Whether training waits for its data, which no batch size can mend."""

import math
from collections.abc import Mapping, Sequence

from batchlab.analyze.wording import say_list
from batchlab.records import TrialResult, WorkloadInfo

MOST_WAITING = 0.5


def loading_note(result: TrialResult, info: WorkloadInfo) -> str | None:
    """Return a sentence where the trial spent more than half of its seconds waiting for data, None otherwise.

    Args:
        result: of one trial, finished or not.
        info: its workload, for how many examples an epoch has.
    """
    return _note([result.settings.batch_size], [result], info) if _share([result]) > MOST_WAITING else None


def loading_notes(trials: Mapping[int, Sequence[TrialResult]], info: WorkloadInfo) -> list[str]:
    """Return the sentence about all batch sizes that waited, with the times of the one that did so the most, if any."""
    waited = {size: _share(found) for size, found in trials.items() if _share(found) > MOST_WAITING}
    if not waited:
        return []
    worst = max(waited, key=waited.__getitem__)
    return [_note([worst, *(size for size in waited if size != worst)], trials[worst], info)]


def _share(trials: Sequence[TrialResult]) -> float:
    seconds = math.fsum(one.seconds for one in trials)
    trained = any(one.examples for one in trials)
    return math.fsum(one.loading_s for one in trials) / seconds if trained and seconds > 0 else 0.0


def _note(sizes: Sequence[int], trials: Sequence[TrialResult], info: WorkloadInfo) -> str:
    epochs = math.fsum(one.examples for one in trials) / info.n_train
    loading, seconds = (
        _say_seconds(math.fsum(getattr(one, name) for one in trials) / epochs) for name in ("loading_s", "seconds")
    )
    others = f" (and more than half of it at {say_list(sizes[1:])})" if len(sizes) > 1 else ""
    return (
        f"Loading takes {loading} of each {seconds} epoch at batch size {sizes[0]}{others}: `cache=True` or more "
        "`num_workers` in the workload would help, another batch size would not."
    )


def _say_seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
