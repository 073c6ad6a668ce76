"""What a study under way has come to, counted as trials end: to show it costs the same after five and five thousand."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from batchlab.analyze.arms import arm_of
from batchlab.records import StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.running import work_of


class Queue:
    """Trials that wait for a worker, the longest first, so that none idles long at the end; `work` is their cost."""

    def __init__(self, trials: Iterable[TrialSettings]) -> None:
        """Take the trials, in any order."""
        self._trials = sorted(trials, key=work_of)
        self.work = sum(map(work_of, self._trials))

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._trials)

    def __iter__(self) -> Iterator[TrialSettings]:
        """Yield those that wait."""
        return iter(self._trials)

    def pop(self) -> TrialSettings:
        """Return the longest and take it out."""
        settings = self._trials.pop()
        self.work -= work_of(settings)
        return settings


@dataclass(slots=True)
class Tally:
    """The confirmed trials of each batch size, added up."""

    spec: StudySpec
    info: WorkloadInfo
    sums: dict[int, tuple[float, int]] = field(default_factory=dict)

    def add(self, result: TrialResult) -> None:
        """Count a trial; only a confirmed one at an arm's own setting says how good the arm is."""
        settings, current = result.settings, self.spec.current
        arm = arm_of(self.spec, settings)
        if arm is None or settings.purpose != "confirm" or result.status != "done":
            return
        if current is not None and (settings.batch_size, settings.learning_rate) == dataclasses.astuple(current):
            return
        total, count = self.sums.get(arm, (0.0, 0))
        self.sums[arm] = (total + result.valid_metric, count + 1)

    def best(self) -> str | None:
        """Return what leads so far in words, None before there is anything."""
        if not self.sums:
            return None
        means = {arm: total / count for arm, (total, count) in self.sums.items()}
        best = (max if self.info.higher_is_better else min)(means, key=means.__getitem__)
        return f"batch size {best}: {self.info.metric} {means[best]:.4g}"
