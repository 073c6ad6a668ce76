"""The settings of a short trial."""

from typing import Any

from batchlab.records import Schedule, TrialSettings


def settings(**changes: Any) -> TrialSettings:
    """Return the settings of a trial of 25 steps, changed as asked."""
    plain: dict[str, Any] = {
        "workload": "tiny",
        "fingerprint": "",
        "batch_size": 8,
        "learning_rate": 0.1,
        "n_steps": 25,
        "optimizer": "sgd",
        "optimizer_settings": (("momentum", 0.9),),
        "schedule": Schedule(),
        "last_batch": "carry",
        "evaluate_at": (8, 64, 200),
        "base_seed": 0,
        "seed": 0,
        "replica": 0,
        "purpose": "confirm",
        "device": "cpu",
    }
    return TrialSettings(**(plain | changes))
