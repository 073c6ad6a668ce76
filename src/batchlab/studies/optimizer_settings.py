"""The settings an optimizer may have, by name, and how they are stored."""

import difflib
import operator
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import Setting, Settings, WorkloadInfo

NUMBER, PAIR, FLAG = "a number", "two numbers, as in 0.9,0.999", "true or false"
ADAM_SETTINGS = {"betas": PAIR, "eps": NUMBER, "weight_decay": NUMBER, "amsgrad": FLAG}
OPTIMIZER_SETTINGS = {
    "sgd": {"momentum": NUMBER, "dampening": NUMBER, "weight_decay": NUMBER, "nesterov": FLAG},
    "adam": ADAM_SETTINGS,
    "adamw": ADAM_SETTINGS,
    "rmsprop": {"alpha": NUMBER, "eps": NUMBER, "weight_decay": NUMBER, "momentum": NUMBER, "centered": FLAG},
    "adagrad": {"lr_decay": NUMBER, "weight_decay": NUMBER, "initial_accumulator_value": NUMBER, "eps": NUMBER},
}
DEFAULT_LEARNING_RATES = {"sgd": 0.01, "adagrad": 0.01}
OTHER_LEARNING_RATE = 0.001


def optimizer_choices(info: WorkloadInfo) -> tuple[str, ...]:
    """Return the optimizers to choose from: those with a name, and the workload's own."""
    return tuple(dict.fromkeys((*OPTIMIZER_SETTINGS, info.optimizer)))


def stored_settings(optimizer: str, settings: dict[str, Setting]) -> Settings:
    """Return the settings in a form that does not depend on how they were written: 0, 0.0 and "0" are one question.

    A class or function of the user's takes settings that nobody here knows: they stay as they are.

    Raises:
        UsageError: one message a mistake.
    """
    known = OPTIMIZER_SETTINGS.get(optimizer)
    stored: dict[str, Setting] = {}
    mistakes: list[str] = []
    for name, value in sorted(settings.items()):
        try:
            stored[name] = _own_setting(name, value) if known is None else _known_setting(optimizer, name, value)
        except UsageError as error:
            mistakes += error.mistakes
    if stored.get("nesterov") and not stored.get("momentum") and known is not None:
        mistakes.append("`nesterov` needs a momentum above 0, got none; set momentum=0.9, or leave nesterov out.")
    if mistakes:
        raise UsageError(*mistakes)
    return tuple(stored.items())


def _known_setting(optimizer: str, name: str, value: Any) -> Setting:
    known = OPTIMIZER_SETTINGS[optimizer]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
        raise UsageError(f"The optimizer {optimizer} has no setting {name!r}; {hint}")
    return _setting(name, value, known[name])


def _setting(name: str, value: Any, kind: str) -> Setting:
    try:
        if kind == NUMBER and not isinstance(value, bool):
            return float(value)
        if kind == PAIR:
            first, second = value
            return float(first), float(second)
        if kind == FLAG and value in (True, False):
            return bool(value)
    except (TypeError, ValueError):
        pass
    raise UsageError(f"The optimizer setting `{name}` is {kind}, got {value!r}; correct it.")


def _own_setting(name: str, value: Any) -> Setting:
    """Return a setting of the user's own optimizer as plain data: a number stays whole where it is."""
    if isinstance(value, (bool, str)):
        return value
    whole = whole_number(value)
    try:
        if whole is not None:
            return whole
        return tuple(map(float, value)) if isinstance(value, (tuple, list)) else float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"The optimizer setting `{name}` is a number, true or false, a text or several numbers, got {value!r}; "
            "correct it."
        ) from None


def whole_number(value: Any) -> int | None:
    """Return a whole number of whatever integer type as an int, None for anything else."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None
