"""What the quiet pass times: a step of every batch size that trains, as it went through in trials."""

import dataclasses
from collections.abc import Collection

from batchlab.records import StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.plan import timed_settings

LEAST_S, MOST_STEPS = 60.0, 2000


def to_time(spec: StudySpec, info: WorkloadInfo, results: Collection[TrialResult]) -> tuple[list[TrialSettings], float]:
    """Return the settings whose steps are to be timed, and the seconds in which that must be done."""
    step_s = {one.settings.batch_size: one.seconds / one.steps for one in results if one.status == "done"}
    settings = [
        dataclasses.replace(one, micro_batch_size=_micro_batch_size(results, one.batch_size))
        for one in timed_settings(spec, info)
        if one.batch_size in step_s
    ]
    return settings, LEAST_S + MOST_STEPS * sum(step_s.values())


def _micro_batch_size(results: Collection[TrialResult], batch_size: int) -> int | None:
    """Return the largest micro-batch size at which trials of this batch size went through, None where it is unknown."""
    return max(one.micro_batch_size for one in results if one.settings.batch_size == batch_size) or None
