"""The box in which several settings are tuned at once, and how a place in it becomes the settings of a trial.

Its axes are alike at every batch size but for the center of the learning rate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from batchlab.records import Schedule, Setting, Settings, StudySpec, TrialSettings

# The learning rate lies so many octaves to either side of its center.
REACH_OCTAVES = 4.0
# Weight decay lies so many octaves to either side of the study's own, or of these where it has none.
DECAY_OCTAVES = 5.0
USUAL_DECAYS = {"adamw": 0.01}
OTHER_DECAY = 3e-4
# Torch's own, of Adam and AdamW; those of `numerics.rules`, which a command must not import to help.
TORCH_BETAS = (0.9, 0.999)
MOMENTUM_KEYS = {"sgd": "momentum", "rmsprop": "momentum", "adam": "betas", "adamw": "betas", "adagrad": None}
LOG, LOG_COMPLEMENT, LINEAR = "log", "log of the complement", "linear"


@dataclass(frozen=True, slots=True)
class Axis:
    """One setting that is tuned: a number between `low` and `high`, even on its `scale`, or one of `choices`."""

    name: str
    low: float = 0.0
    high: float = 1.0
    scale: str = LINEAR
    choices: tuple[str, ...] = ()

    def at(self, share: float) -> Setting:
        """Return the setting at a share of the axis in [0, 1], numbers to three digits so that they can be read.

        >>> Axis("momentum", 0.1, 0.99, LOG_COMPLEMENT).at(0.5), Axis("schedule", choices=("constant", "step")).at(0.7)
        (0.9051, 'step')
        """
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if self.scale == LINEAR:
            return round(self.low + share * (self.high - self.low), 3)
        if self.scale == LOG:
            return _readable(self.low * (self.high / self.low) ** share)
        return round(1 - _readable((1 - self.low) * ((1 - self.high) / (1 - self.low)) ** share), 6)


@dataclass(frozen=True, slots=True)
class TunedSetting:
    """A learning rate and what else is tuned, by the names of `tune`."""

    learning_rate: float
    settings: Settings = ()


# Below a momentum of 0.1 nothing changes any more, and Nesterov's needs one above 0.
AXES: Mapping[str, Axis] = {
    "momentum": Axis("momentum", 0.1, 0.99, LOG_COMPLEMENT),
    "weight_decay": Axis("weight_decay"),
    "warmup": Axis("warmup", 0.0, 0.25),
    "schedule": Axis("schedule", choices=("constant", "cosine", "step")),
}


def axes_of(spec: StudySpec) -> tuple[Axis, ...]:
    """Return the axes of a study's box beside the learning rate's, which is the first of every point."""
    decay = _own_decay(spec)
    lowest, highest = decay * 2**-DECAY_OCTAVES, decay * 2**DECAY_OCTAVES
    decays = Axis("weight_decay", _readable(lowest), _readable(highest), LOG)
    return tuple(decays if name == "weight_decay" else AXES[name] for name in spec.tune)


def setting_at(spec: StudySpec, arm: int, point: Sequence[float]) -> TunedSetting:
    """Return the setting of an arm at a point of the box: shares of the axes, the learning rate's first."""
    settings = tuple((axis.name, axis.at(share)) for axis, share in zip(axes_of(spec), point[1:], strict=True))
    octaves = REACH_OCTAVES * (2 * point[0] - 1)
    return TunedSetting(_readable(_center(spec, arm, settings) * 2**octaves), settings)


def share_from_center(spec: StudySpec, arm: int, setting: TunedSetting) -> float:
    """Return where a learning rate lies on its axis, from -1 at its lowest over 0 in the middle to 1."""
    return math.log2(setting.learning_rate / _center(spec, arm, setting.settings)) / REACH_OCTAVES


def tuned_trial(trial: TrialSettings, settings: Settings) -> TrialSettings:
    """Return a trial with what was tuned in the place of what its study has for all.

    The milestones and the factor of a step schedule are those of the study.
    """
    if not settings:
        return trial
    own, schedule = dict(trial.optimizer_settings), trial.schedule
    for name, value in settings:
        if name == "warmup":
            schedule = replace(schedule, warmup=cast(float, value))
        elif name == "schedule":
            kind = str(value)
            schedule = replace(schedule, kind=kind) if kind == "step" else Schedule(kind, schedule.warmup)
        elif name == "momentum" and momentum_key(trial.optimizer, own) == "betas":
            own["betas"] = (cast(float, value), _betas(own)[1])
        else:
            own[name] = value
    return replace(trial, optimizer_settings=tuple(sorted(own.items())), schedule=schedule)


def settings_of(spec: StudySpec, trial: StudySpec | TrialSettings) -> Settings:
    """Return what a trial, or the study itself, has of each setting that is tuned, by the names of `tune`."""
    own = dict(trial.optimizer_settings)
    momentum = _betas(own)[0] if momentum_key(trial.optimizer, own) == "betas" else own.get("momentum", 0.0)
    found: dict[str, Setting] = {
        "momentum": momentum,
        "weight_decay": own.get("weight_decay", 0.0),
        "warmup": trial.schedule.warmup,
        "schedule": trial.schedule.kind,
    }
    return tuple((name, found[name]) for name in spec.tune)


def momentum_key(optimizer: str, settings: Mapping[str, Setting]) -> str | None:
    """Return where an optimizer has its momentum: `momentum`, the first of `betas`, or nowhere.

    Of an optimizer of the user's own nothing is known but the settings it is given.
    """
    given = next((key for key in ("momentum", "betas") if key in settings), None)
    return MOMENTUM_KEYS.get(optimizer, given)


def _center(spec: StudySpec, arm: int, settings: Settings) -> float:
    """Return the middle of an arm's learning rates: the base moved by the square-root rule, as in every search.

    Torch's momentum buffer v = β v + g is not normalized: what counts is lr/(1 - β), and the middle moves along, so
    that a high momentum does not diverge at half of the rates.
    """
    center = spec.base_lr * math.sqrt((spec.same_batch_size or arm) / spec.base_batch_size)
    momentum = dict(settings).get("momentum")
    own = dict(spec.optimizer_settings)
    if momentum is None or momentum_key(spec.optimizer, own) != "momentum":
        return center
    return center * (1 - cast(float, momentum)) / (1 - cast(float, own.get("momentum", 0.0)))


def _own_decay(spec: StudySpec) -> float:
    own = cast(float, dict(spec.optimizer_settings).get("weight_decay", 0.0))
    return own if own > 0 else USUAL_DECAYS.get(spec.optimizer, OTHER_DECAY)


def _betas(settings: Mapping[str, Setting]) -> tuple[float, ...]:
    return cast(tuple[float, ...], settings.get("betas", TORCH_BETAS))


def _readable(value: float) -> float:
    return float(f"{value:.3g}")
