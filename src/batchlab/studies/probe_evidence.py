"""All that a probe has measured at its end, before it is said."""

import math
from dataclasses import dataclass

from batchlab.analyze.probe_findings import ProbeMemory, ProbeNoise
from batchlab.analyze.setting_choice import Outlook
from batchlab.numerics.progress_model import ProgressModel
from batchlab.records import Current, WorkloadInfo
from batchlab.studies.branching import Branches
from batchlab.studies.probe_costs import SizeCost
from batchlab.studies.probe_options import ProbeOptions
from batchlab.studies.racing import Race, arrival
from batchlab.workload import Workload


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was asked, and what was found; `horizon` is the training to come, in examples."""

    workload: Workload
    options: ProbeOptions
    info: WorkloadInfo
    race: Race
    model: ProgressModel
    outlook: Outlook
    costs: dict[int, SizeCost]
    timing_flags: tuple[str, ...]
    memory: ProbeMemory
    peaks: dict[int, int]
    noise: ProbeNoise
    branches: Branches | None
    current: Current | None
    horizon: int
    examples: int
    seconds: float
    timed_out: bool

    @property
    def arrived(self) -> float:
        """Return after how many examples the first run was at the target; infinite where none was."""
        leader = self.race.leader()
        return math.inf if leader is None else arrival(leader, self.race.plan.target)
