"""Studies with controls in a world whose causes are known, run at once."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from batchlab.analyze.findings import ControlFindings, StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord, TrialResult, TrialSettings
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

SIZES = (8, 32, 128)


@dataclasses.dataclass(frozen=True)
class Causes:
    """What an error is made of, in points: per octave fewer updates or examples than batch size 8 has, per octave less
    gradient noise, and per squared octave off the best learning rate; plus noise of sd `sd`.

    With permuted labels it is 0.9, whatever else.
    """

    updates: float = 0.0
    examples: float = 0.0
    noise: float = 0.0
    learning_rate: float = 0.5
    sd: float = 0.02

    def result(self, settings: TrialSettings) -> TrialResult:
        """Return the result of one trial."""
        size, steps = settings.batch_size, settings.n_steps
        noise_size = settings.noise_batch_size or size
        off = math.log2(settings.learning_rate / (0.1 * (noise_size / 32) ** 0.5))
        points = 2.0 + self.updates * max(0.0, math.log2(512 / steps))
        points += self.examples * math.log2(8 * 512 / (steps * size)) + self.noise * math.log2(noise_size / 8)
        points += self.learning_rate * off**2
        if settings.permute_labels:
            points = 90.0 + 0.01 * off**2
        plain = World({size: 0.0}, noise=self.sd / 100, seed_noise=0.001).result(settings)
        own = World({size: 0.0}, best_rate=lambda _: settings.learning_rate, noise=self.sd / 100, seed_noise=0.001)
        error = points / 100 + own.result(settings).valid_metric
        curve = dataclasses.replace(plain.curve, valid_metric=(0.9, 0.5, 0.3, error), valid_loss=(0.9, 0.5, 0.3, error))
        return dataclasses.replace(plain, curve=curve, valid_metric=error, valid_loss=error, test_metric=error)


def studied(respond: Callable[[TrialSettings], TrialResult], **changes: Any) -> tuple[StudyRecord, StudyFindings]:
    """Return a study over 8, 32 and 128 with controls, and what it found."""
    asked = spec(**({"batch_sizes": SIZES, "controls": ("lr",)} | changes))
    store = MemoryStore()
    record = run_study(asked, INFO, name="s", store=store, executor=InstantExecutor(respond), progress=Quiet())
    return record, analyze_study(record)


def control(respond: Callable[[TrialSettings], TrialResult], name: str, **changes: Any) -> ControlFindings:
    """Return what one control finds."""
    return studied(respond, controls=(name,), **changes)[1].controls[0]
