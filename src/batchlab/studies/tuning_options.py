"""What is tuned beside the learning rate, with how many trials and by which sampler: the options, read."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from batchlab.analyze.tuning_box import AXES, MOMENTUM_KEYS, momentum_key
from batchlab.errors import UsageError
from batchlab.records import Setting
from batchlab.studies.option_values import count, one_of

QUASI_RANDOM = "quasi-random"
# Those of Optuna, with the packages that each needs.
OPTUNA_SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "tpe": ("optuna",),
    "gp": ("optuna",),
    "cmaes": ("optuna", "cmaes"),
    "random": ("optuna",),
}
SAMPLERS = (QUASI_RANDOM, *OPTUNA_SAMPLERS)
INSTALL = "pip install 'batchlab[optuna]'"
FEWEST_TRIALS, MORE_A_SETTING = 12, 6
# Those whose arms move learning rate or steps alone, when they were tuned with more.
ARMS_CONTROLS = ("lr", "equal-updates", "extra-training")


@dataclass(frozen=True, slots=True)
class Beside:
    """What else a study was asked for that `tune` has to agree with; `optimizer` is "" where it is not known."""

    optimizer: str
    optimizer_settings: Mapping[str, Setting]
    lr: Any
    search: Any
    schedule: Any
    warmup: Any
    controls: Any


def read_tune(value: Any, beside: Beside) -> tuple[str, ...]:
    """Return the names of what is tuned beside the learning rate, given as a list or as "momentum,warmup".

    Raises:
        UsageError: one message a mistake.
    """
    asked = _names(value) if value else ()
    mistakes = [_unknown(name) for name in asked if name not in AXES]
    names = tuple(name for name in AXES if name in asked)
    mistakes += [_missing(name, beside) for name in names if not _has(name, beside)]
    mistakes += _clashes(names, beside) if asked else []
    if mistakes:
        raise UsageError(*mistakes)
    return names


def read_tuning_trials(value: Any, tune: Any) -> int | None:
    """Return how many settings are tried at each batch size: 12, and 6 more for each name of `tune`, unless given."""
    if not tune:
        if value is not None:
            raise UsageError(f"`tuning_trials` counts settings of `tune`, got {value!r} without; name what to tune.")
        return None
    if value is not None:
        return count("tuning_trials", value, 2)
    return FEWEST_TRIALS + MORE_A_SETTING * (len(set(_names(tune))) if isinstance(tune, Iterable) else 0)


def read_sampler(value: Any, tune: Any) -> str:
    """Return what picks the settings to try; a sampler of Optuna's must be installed."""
    sampler = one_of("sampler", value, SAMPLERS)
    if sampler == QUASI_RANDOM:
        return sampler
    if not tune:
        raise UsageError(f"A `sampler` picks settings of `tune`, got {sampler} without; name what to tune.")
    missing = missing_packages(sampler)
    if missing:
        raise UsageError(f"The sampler {sampler} needs {missing}, which this Python does not have; run `{INSTALL}`.")
    return sampler


def missing_packages(sampler: str) -> str:
    """Return the packages that a sampler needs and that are not installed, in words; nothing where all are there."""
    return " and ".join(name for name in OPTUNA_SAMPLERS[sampler] if find_spec(name) is None)


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if not isinstance(value, Iterable):
        raise UsageError(f"`tune` is a list of settings, got {value!r}; write momentum,weight_decay, say.")
    return [str(part) for part in value]


def _unknown(name: str) -> str:
    if name in ("lr", "learning_rate"):
        return f"`tune` names what is tuned beside the learning rate, got {name!r}; leave it out."
    near = difflib.get_close_matches(name, AXES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(AXES)}."
    return f"`tune` knows no setting {name!r}; {hint}"


def _has(name: str, beside: Beside) -> bool:
    optimizer, settings = beside.optimizer, beside.optimizer_settings
    if name == "momentum" and optimizer:
        return momentum_key(optimizer, settings) is not None
    return name != "weight_decay" or optimizer in ("", *MOMENTUM_KEYS) or name in settings


def _missing(name: str, beside: Beside) -> str:
    rest = ", ".join(other for other in AXES if _has(other, beside))
    if beside.optimizer in MOMENTUM_KEYS:
        return f"The optimizer {beside.optimizer} has no {name} to tune; with it `tune` takes {rest}."
    return (
        f"Nobody knows whether the optimizer {beside.optimizer} takes {name}; give it one (optimizer_settings."
        f"{name}=...), or tune {rest}."
    )


def _clashes(names: Sequence[str], beside: Beside) -> list[str]:
    """Return what else was asked for that leaves nothing to tune."""
    found = []
    if beside.lr != "tune":
        found.append(f"`tune` tunes the learning rate too, got lr={beside.lr} beside it; leave one of the two out.")
    if beside.search == "model":
        found.append("The model search tunes learning rates alone, got `tune` beside it; leave one of the two out.")
    for name, usual in (("warmup", 0.0), ("schedule", "constant")):
        given = getattr(beside, name)
        if name in names and given != usual:
            found.append(f"`tune` finds the {name}, got {name}={given} beside it; leave one of the two out.")
    moved = [name for name in ARMS_CONTROLS if name in _names(beside.controls or ())]
    if moved:
        found.append(
            f"The control {moved[0]} changes one setting of those that `tune` finds together; leave one of the two out."
        )
    return found
