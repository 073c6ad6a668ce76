"""The trials of a study as flat rows, for tables and files."""

from collections.abc import Iterable

from batchlab.records import TrialResult

Cell = str | int | float | None


def trial_rows(trials: Iterable[TrialResult]) -> list[dict[str, Cell]]:
    """Return one row a trial, all with the same columns; what a trial does not have is None."""
    return [_row(trial) for trial in trials]


def _row(trial: TrialResult) -> dict[str, Cell]:
    settings = trial.settings
    return {
        "purpose": settings.purpose,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "optimizer_settings": ", ".join(f"{name}={value}" for name, value in settings.optimizer_settings),
        "schedule": settings.schedule.kind,
        "warmup": settings.schedule.warmup,
        "seed": settings.seed,
        "replica": settings.replica,
        "status": trial.status,
        "steps": trial.steps,
        "examples": trial.examples,
        "valid_loss": trial.valid_loss,
        "valid_metric": trial.valid_metric,
        "baseline_metric": trial.baseline_metric,
        "train_loss": trial.train_loss,
        "train_metric": trial.train_metric,
        "test_loss": trial.test_loss,
        "test_metric": trial.test_metric,
        "noise_batch_size": settings.noise_batch_size,
        "permute_labels": settings.permute_labels,
        "micro_batch_size": trial.micro_batch_size or None,
        "seconds": trial.seconds,
        "loading_s": trial.loading_s,
        "host": trial.host,
        "owner": trial.owner,
        "message": trial.message,
    }
