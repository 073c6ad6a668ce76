"""Which trials count, and which arm of the study each belongs to; an arm goes by its batch size."""

from collections.abc import Iterable

from batchlab.records import ENGINE, StudyRecord, StudySpec, TrialResult, TrialSettings

TUNING_SEED_BASE = 10_000


def current_trials(record: StudyRecord) -> tuple[TrialResult, ...]:
    """Return the trials made with the workload as it is now, with its number of threads and by today's engine.

    A study keeps its id when its model or data change; what was measured before the change answers another question.
    """
    wanted = (record.info.fingerprint, max(1, record.info.threads), ENGINE)
    return tuple(
        trial
        for trial in record.trials
        if (trial.settings.fingerprint, trial.settings.threads, trial.settings.engine) == wanted
    )


def arm_of(spec: StudySpec, settings: TrialSettings) -> int | None:
    """Return the batch size that names the trial's arm; in an A/A control that is a label, told by the replica.

    None is no arm: today's setting at a batch size of its own, or a trial of a control.
    """
    alike = all(getattr(settings, name) == getattr(spec, name) for name in ("permute_labels", "noise_batch_size"))
    if settings.purpose == "control" or not alike:
        return None
    if spec.same_batch_size is None:
        return settings.batch_size if settings.batch_size in spec.batch_sizes and not settings.replica else None
    return spec.batch_sizes[settings.replica - 1] if settings.replica else None


def results_by_arm(spec: StudySpec, trials: Iterable[TrialResult], purpose: str) -> dict[int, list[TrialResult]]:
    """Return the trials of one purpose (tune or confirm), by arm, in the order of the study's batch sizes.

    At the batch size of today's setting its confirmed trials are among them, whatever their learning rate.
    """
    by_arm: dict[int, list[TrialResult]] = {batch_size: [] for batch_size in spec.batch_sizes}
    for trial in trials:
        arm = arm_of(spec, trial.settings)
        if arm is not None and trial.settings.purpose == purpose and trial.status != "failed":
            by_arm[arm].append(trial)
    return by_arm


def results_of_current(spec: StudySpec, trials: Iterable[TrialResult]) -> list[TrialResult]:
    """Return the confirmed trials of today's setting, failed ones among them, by seed."""
    current = spec.current
    found = [
        trial
        for trial in trials
        if current is not None
        and trial.settings.purpose == "confirm"
        and trial.settings.replica == 0
        and not trial.settings.permute_labels
        and trial.settings.noise_batch_size is None
        and (trial.settings.batch_size, trial.settings.learning_rate) == (current.batch_size, current.learning_rate)
        and (trial.settings.optimizer_settings, trial.settings.schedule) == (spec.optimizer_settings, spec.schedule)
    ]
    return sorted(found, key=lambda one: one.settings.seed)
