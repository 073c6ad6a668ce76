"""What the quiet pass times: a step of every batch size that trains, as it went through in trials."""

import dataclasses
from collections.abc import Collection

from batchlab.records import StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.plan import timed_settings

LEAST_S, MOST_STEPS = 60.0, 2000


def to_time(spec: StudySpec, info: WorkloadInfo, results: Collection[TrialResult]) -> tuple[list[TrialSettings], float]:
    """Return the settings whose steps are to be timed, and the seconds in which that must be done.

    Those of every size that trains, which the results tell, or of all in a race, which is timed before it begins.
    """
    ended = [one for one in results if one.status in ("done", "stopped") and one.steps]
    step_s = {one.settings.batch_size: one.seconds / one.steps for one in ended}
    settings = [
        dataclasses.replace(one, micro_batch_size=_micro_batch_size(results, one.batch_size))
        for one in timed_settings(spec, info)
        if one.batch_size in step_s or spec.search == "model"
    ]
    # Before the first trial nothing tells how long a step takes.
    return settings, LEAST_S + MOST_STEPS * sum(step_s.values()) if step_s else LEAST_S * len(settings)


def _micro_batch_size(results: Collection[TrialResult], batch_size: int) -> int | None:
    """Return the largest micro-batch size at which trials of this batch size went through, None where it is unknown."""
    sizes = [one.micro_batch_size for one in results if one.settings.batch_size == batch_size]
    return max(sizes, default=0) or None
