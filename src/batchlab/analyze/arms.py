"""Which trials count, and which arm of the study each belongs to; an arm goes by its batch size."""

from collections.abc import Iterable

from batchlab.records import ENGINE, StudyRecord, StudySpec, TrialResult, TrialSettings

TUNING_SEED_BASE = 10_000


def current_trials(record: StudyRecord) -> tuple[TrialResult, ...]:
    """Return the trials made with the workload as it is now and by today's engine.

    A study keeps its id when its model or data change; what was measured before the change answers another question.
    """
    return tuple(
        trial
        for trial in record.trials
        if trial.settings.fingerprint == record.info.fingerprint and trial.settings.engine == ENGINE
    )


def arm_of(spec: StudySpec, settings: TrialSettings) -> int:
    """Return the batch size that names the trial's arm; in an A/A control that is a label, told by the replica."""
    if spec.same_batch_size is None:
        return settings.batch_size
    return spec.batch_sizes[settings.replica - 1]


def results_by_arm(spec: StudySpec, trials: Iterable[TrialResult], purpose: str) -> dict[int, list[TrialResult]]:
    """Return the trials of one purpose (tune or confirm), by arm, in the order of the study's batch sizes."""
    by_arm: dict[int, list[TrialResult]] = {batch_size: [] for batch_size in spec.batch_sizes}
    for trial in trials:
        if trial.settings.purpose == purpose and trial.status != "failed":
            by_arm[arm_of(spec, trial.settings)].append(trial)
    return by_arm
