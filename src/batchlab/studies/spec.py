"""From what a user asked to a `StudySpec` with nothing left open; all mistakes are found here, before work begins."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import Budget, Current, Schedule, Settings, StudySpec, WorkloadInfo
from batchlab.studies.control_options import read_controls, read_noise_batch_size, read_permute_labels
from batchlab.studies.device_names import device_kind
from batchlab.studies.optimizer_settings import (
    DEFAULT_LEARNING_RATES,
    OPTIMIZER_SETTINGS,
    OTHER_LEARNING_RATE,
    optimizer_choices,
    stored_settings,
)
from batchlab.studies.option_values import (
    count,
    finite,
    one_of,
    positive,
    read_batch_sizes,
    read_current,
    read_milestones,
    read_seeds,
    read_target,
    share,
    text,
)
from batchlab.studies.search_options import read_confirm, read_search
from batchlab.studies.tuning_options import QUASI_RANDOM, Beside, read_sampler, read_tune, read_tuning_trials

BUDGET_KINDS = ("epochs", "examples", "steps")
SCHEDULES = ("constant", "cosine", "step")
LAST_BATCH = ("carry", "drop", "keep")
LR_MODES = ("tune", "linear", "sqrt")
DEFAULT_ARMS = 7

Read = Callable[[Any, WorkloadInfo], Any]


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """A study as it was asked for, in values as a command, a file or Python gives them; None is the workload's own.

    `batch_sizes` may be a range, "8:512" (its powers of two) or a list. `current` is the setting in use today,
    "64@1e-3" or (64, 1e-3), to be compared with the best that is found. `seeds` may be a range, "5..20" or (5, 20):
    confirmation begins with 5 and adds more where the answer is open. `target` is a validation metric to reach, in its
    own unit: 0.05 is an error of 5%. `search` grid finds learning rates for the end of the budget; model makes the
    study a race to the target: its rates fit the target, trials end there, and only batch sizes that may be the fastest
    are confirmed, unless `confirm` is all. `tune` names what is tuned beside the learning rate at every batch size, of
    momentum, weight_decay, warmup and schedule: `tuning_trials` settings that `sampler` picks, quasi-random or one of
    Optuna's. `milestones` and `factor` are those of the schedule `step`.
    """

    batch_sizes: int | str | Sequence[int] | None = None
    current: str | tuple[int, float] | Current | None = None
    epochs: float | None = None
    examples: float | None = None
    steps: float | None = None
    lr: str | float = "tune"
    base_lr: float | None = None
    base_batch_size: int | None = None
    seeds: int | str | tuple[int, int] = 5
    tuning_seeds: int = 2
    seed: int = 0
    optimizer: str | None = None
    optimizer_settings: dict[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    warmup: float = 0.0
    milestones: float | Sequence[float] = Schedule().milestones
    factor: float = Schedule().factor
    last_batch: str = "carry"
    micro_batch_size: int | None = None
    target: float | None = None
    search: str = "grid"
    confirm: str = "contenders"
    tune: str | Sequence[str] = ()
    tuning_trials: int | None = None
    sampler: str = QUASI_RANDOM
    margin: float | None = None
    level: float = 0.95
    device: str = "cpu"
    data_dir: str | None = None
    same_batch_size: int | None = None
    permute_labels: bool = False
    noise_batch_size: int | None = None
    controls: str | Sequence[str] = ()


def resolve_spec(options: StudyOptions, info: WorkloadInfo, mistakes: Sequence[str] = ()) -> StudySpec:
    """Return the resolved question.

    Args:
        options: as asked for.
        info: the workload, whose own choices are the defaults.
        mistakes: those found before, to be told with those found here.

    Raises:
        UsageError: one message a mistake, in the order of the options.
    """
    read, found = _read(options, info)
    if mistakes or found:
        raise UsageError(*mistakes, *found)
    lr_mode, base_lr = read["lr"]
    seeds, max_seeds = read["seeds"]
    schedule = Schedule(read["schedule"], read["warmup"])
    if schedule.kind == "step" or "schedule" in read["tune"]:
        schedule = replace(schedule, milestones=read["milestones"], factor=read["factor"])
    return StudySpec(
        workload=info.reference,
        budget=read["epochs"],
        lr_mode=lr_mode,
        base_lr=base_lr,
        schedule=schedule,
        seeds=seeds,
        max_seeds=max_seeds,
        **{name: read[name] for name in _LIKE_THE_SPEC},
    )


def mistakes_without_workload(options: StudyOptions) -> tuple[str, ...]:
    """Return the mistakes that can be told when the workload cannot be loaded: those with any workload."""
    return _read(options, replace(_ANY_WORKLOAD, optimizer=str(options.optimizer or "any")))[1]


def default_batch_sizes(n_train: int) -> tuple[int, ...]:
    """Return seven powers of two from 8, fewer where the data are few: the largest is at most half the training set.

    >>> default_batch_sizes(1078)
    (8, 16, 32, 64, 128, 256, 512)
    """
    sizes = tuple(2**k for k in range(3, 3 + DEFAULT_ARMS) if 2 ** (k + 1) <= n_train)
    return sizes or (1,)


def _read(options: StudyOptions, info: WorkloadInfo) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options that could be read, by name, and the mistakes in the others."""
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, read in _READERS.items():
        try:
            found[name] = read(options, info)
        except UsageError as error:
            mistakes += error.mistakes
    return found, tuple(mistakes)


def _batch_sizes(options: StudyOptions, info: WorkloadInfo) -> tuple[int, ...]:
    asked = default_batch_sizes(info.n_train) if options.batch_sizes is None else options.batch_sizes
    sizes = read_batch_sizes(asked)
    # In an A/A control the sizes are only names.
    return sizes if options.same_batch_size is not None else _fitting(sizes, info)


def _current(options: StudyOptions, info: WorkloadInfo) -> Current | None:
    if options.current is None:
        return None
    current = read_current(options.current)
    _fitting((current.batch_size,), info)
    return current


def _same_batch_size(options: StudyOptions, info: WorkloadInfo) -> int | None:
    same = options.same_batch_size
    return None if same is None else _fitting((count("same_batch_size", same, 1),), info)[0]


def _fitting(sizes: tuple[int, ...], info: WorkloadInfo) -> tuple[int, ...]:
    large = [size for size in sizes if size > info.n_train]
    if large:
        raise UsageError(
            f"A batch holds at most the {info.n_train} training {info.unit}s of {info.name}, "
            f"got batch size {', '.join(map(str, large))}; use {info.n_train} or less."
        )
    return sizes


def _budget(options: StudyOptions, info: WorkloadInfo) -> Budget:
    given = {kind: getattr(options, kind) for kind in BUDGET_KINDS if getattr(options, kind) is not None}
    if len(given) > 1:
        names = " and ".join(f"{kind}={value}" for kind, value in given.items())
        raise UsageError(f"A study has one budget, got {names}; keep one of them.")
    kind, value = next(iter(given.items()), ("epochs", info.default_epochs))
    return Budget(kind, positive(f"A budget is a positive number of {kind}", value))


def _learning_rate(options: StudyOptions, info: WorkloadInfo) -> tuple[str, float]:
    """Return the mode and the base learning rate."""
    optimizer = options.optimizer or info.optimizer
    own = dict(info.optimizer_settings).get("lr") if optimizer == info.optimizer else None
    usual = DEFAULT_LEARNING_RATES.get(optimizer, OTHER_LEARNING_RATE) if own is None else own
    if options.lr in LR_MODES:
        base = usual if options.base_lr is None else options.base_lr
        return str(options.lr), positive("A learning rate is a positive number", base)
    value = finite(options.lr)
    if value is None:
        raise UsageError(
            f"A learning rate is tune, linear, sqrt or a number, got {options.lr!r}; use `tune` if in doubt."
        )
    if options.base_lr is not None:
        raise UsageError(
            f"`base_lr` is for lr tune, linear and sqrt, got it beside lr={value:g}; leave one of the two out."
        )
    return "fixed", positive("A learning rate is a positive number", value)


def _optimizer(options: StudyOptions, info: WorkloadInfo) -> str:
    return one_of("optimizer", options.optimizer or info.optimizer, optimizer_choices(info))


def _optimizer_settings(options: StudyOptions, info: WorkloadInfo) -> Settings:
    given, optimizer = options.optimizer_settings, options.optimizer or info.optimizer
    if not isinstance(given, dict):
        raise UsageError(f"`optimizer_settings` has a value for each name, got {given!r}; write momentum = 0.9, say.")
    if "lr" in given:
        raise UsageError("The learning rate is not an optimizer setting here; give it as `--lr` (in Python `lr=`).")
    own = dict(info.optimizer_settings) if optimizer == info.optimizer else {}
    own.pop("lr", None)
    return stored_settings(optimizer, own | given)


def _search(options: StudyOptions, _: WorkloadInfo) -> str:
    needs = {
        "a target": options.target is not None,
        "learning rates to tune": options.lr == "tune",
        "a constant schedule": options.schedule == "constant",
    }
    if options.search == "model" and options.controls:
        raise UsageError(
            "The model search ends trials at the target, where controls have nothing to compare, got `controls` beside "
            "it; use grid, or ask for a race of equal arms with `same_batch_size`."
        )
    return read_search(options.search, needs)


def _tune(options: StudyOptions, info: WorkloadInfo) -> tuple[str, ...]:
    optimizer = options.optimizer or info.optimizer
    is_known = optimizer in OPTIMIZER_SETTINGS or (info.name and optimizer == info.optimizer)
    own = dict(info.optimizer_settings) if optimizer == info.optimizer else {}
    others = {name: getattr(options, name) for name in ("lr", "search", "schedule", "warmup", "controls")}
    given = options.optimizer_settings if isinstance(options.optimizer_settings, dict) else {}
    return read_tune(options.tune, Beside(optimizer if is_known else "", own | given, **others))


def _margin(options: StudyOptions, _: WorkloadInfo) -> float | None:
    margin = options.margin
    return None if margin is None else positive("The margin is a positive number in the metric's own unit", margin)


def _count_of(name: str, least: int) -> Read:
    """Return the reader of a whole number, None where it is not given."""

    def read(options: StudyOptions, _: WorkloadInfo) -> int | None:
        value = getattr(options, name)
        return None if value is None else count(name, value, least)

    return read


# In the order of the options; the three budgets are read together.
_READERS: Mapping[str, Read] = {
    "batch_sizes": _batch_sizes,
    "current": _current,
    "epochs": _budget,
    "lr": _learning_rate,
    "base_batch_size": lambda options, info: count(
        "base_batch_size", info.default_batch_size if options.base_batch_size is None else options.base_batch_size, 1
    ),
    "seeds": lambda options, _: read_seeds(options.seeds),
    "tuning_seeds": _count_of("tuning_seeds", 1),
    "seed": _count_of("seed", 0),
    "optimizer": _optimizer,
    "optimizer_settings": _optimizer_settings,
    "schedule": lambda options, _: one_of("schedule", options.schedule, SCHEDULES),
    "warmup": lambda options, _: share("Warm-up is a share of the budget in [0, 1)", options.warmup, "use 0.05, say"),
    "milestones": lambda options, _: read_milestones(options.milestones),
    "factor": lambda options, _: positive("The factor of a step schedule is a positive number", options.factor),
    "last_batch": lambda options, _: one_of("last_batch", options.last_batch, LAST_BATCH),
    "micro_batch_size": _count_of("micro_batch_size", 1),
    "target": lambda options, info: read_target(options.target, info.metric),
    "search": _search,
    "confirm": lambda options, _: read_confirm(options.confirm),
    "tune": _tune,
    "tuning_trials": lambda options, _: read_tuning_trials(options.tuning_trials, options.tune),
    "sampler": lambda options, _: read_sampler(options.sampler, options.tune),
    "margin": _margin,
    "level": lambda options, _: share("The level is a probability in [0.5, 1)", options.level, "use 0.95", least=0.5),
    "device": lambda options, _: device_kind(text("device", options.device)),
    "data_dir": lambda options, _: None if options.data_dir is None else text("data_dir", options.data_dir),
    "same_batch_size": _same_batch_size,
    "permute_labels": lambda options, info: read_permute_labels(options.permute_labels, info),
    "noise_batch_size": lambda options, info: read_noise_batch_size(options.noise_batch_size, info),
    "controls": lambda options, info: read_controls(options.controls, info, of_one_size=options.same_batch_size),
}
_LIKE_THE_SPEC = {one.name for one in fields(StudySpec)} & set(_READERS) - {"seeds", "schedule"}
# Holds any batch and judges by any metric.
_ANY_WORKLOAD = WorkloadInfo("", "", "", sys.maxsize, 0, 0, 0, "", False, 0.0, False, "", "", (), 1, 1.0, False)
