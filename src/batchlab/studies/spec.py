"""From what a user asked to a `StudySpec` with nothing left open; all mistakes are found here, before work begins."""

import difflib
import math
import operator
from dataclasses import dataclass, field
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import Budget, Schedule, Setting, Settings, StudySpec, WorkloadInfo

BUDGET_KINDS = ("epochs", "examples", "steps")
NUMBER, PAIR, FLAG = "a number", "two numbers, as in 0.9,0.999", "true or false"
ADAM_SETTINGS = {"betas": PAIR, "eps": NUMBER, "weight_decay": NUMBER, "amsgrad": FLAG}
OPTIMIZER_SETTINGS = {
    "sgd": {"momentum": NUMBER, "dampening": NUMBER, "weight_decay": NUMBER, "nesterov": FLAG},
    "adam": ADAM_SETTINGS,
    "adamw": ADAM_SETTINGS,
}
SCHEDULES = ("constant", "cosine", "step")
LAST_BATCH = ("carry", "drop", "keep")
DEFAULT_LEARNING_RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}
DEFAULT_ARMS = 7


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """A study as it was asked for; None means the workload's own default."""

    batch_sizes: tuple[int, ...] | None = None
    lr: str | float = "tune"
    base_lr: float | None = None
    base_batch_size: int | None = None
    epochs: float | None = None
    examples: float | None = None
    steps: float | None = None
    optimizer: str | None = None
    optimizer_settings: dict[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    warmup: float = 0.0
    last_batch: str = "carry"
    seeds: int = 5
    tuning_seeds: int = 2
    seed: int = 0
    margin: float | None = None
    device: str = "cpu"
    data_dir: str | None = None
    same_batch_size: int | None = None


def resolve_spec(options: StudyOptions, info: WorkloadInfo) -> StudySpec:
    """Return the resolved question.

    Raises:
        UsageError: one message a mistake, in the order of the options.
    """
    optimizer = _one_of("optimizer", options.optimizer or info.optimizer, tuple(OPTIMIZER_SETTINGS))
    settings: dict[str, Setting] = dict(info.optimizer_settings) if optimizer == info.optimizer else {}
    default_lr = float(settings.pop("lr", DEFAULT_LEARNING_RATES[optimizer]))  # type: ignore[arg-type]
    if "lr" in options.optimizer_settings:
        raise UsageError("The learning rate is not an optimizer setting here; give it as `--lr` (in Python `lr=`).")
    settings |= options.optimizer_settings
    mode, base_lr = _learning_rate(options, default_lr)
    return StudySpec(
        workload=info.reference,
        batch_sizes=_batch_sizes(options, info),
        budget=_budget(options, info),
        lr_mode=mode,
        base_lr=base_lr,
        base_batch_size=_count("base_batch_size", _or(options.base_batch_size, info.default_batch_size), 1),
        optimizer=optimizer,
        optimizer_settings=_optimizer_settings(optimizer, settings),
        schedule=_schedule(options),
        last_batch=_one_of("last_batch", options.last_batch, LAST_BATCH),
        seeds=_count("seeds", options.seeds, 1),
        tuning_seeds=_count("tuning_seeds", options.tuning_seeds, 1),
        seed=_count("seed", options.seed, 0),
        margin=_margin(options.margin),
        device=options.device,
        data_dir=options.data_dir,
        same_batch_size=_batch_size(options.same_batch_size, info) if options.same_batch_size is not None else None,
    )


def default_batch_sizes(n_train: int) -> tuple[int, ...]:
    """Return seven powers of two from 8, fewer where the data are few: the largest is at most half the training set.

    >>> default_batch_sizes(1078)
    (8, 16, 32, 64, 128, 256, 512)
    """
    sizes = tuple(2**k for k in range(3, 3 + DEFAULT_ARMS) if 2 ** (k + 1) <= n_train)
    return sizes or (1,)


def _batch_sizes(options: StudyOptions, info: WorkloadInfo) -> tuple[int, ...]:
    asked = default_batch_sizes(info.n_train) if options.batch_sizes is None else tuple(options.batch_sizes)
    # In an A/A control the sizes are only names.
    sizes = tuple(_batch_size(size, info, is_name=options.same_batch_size is not None) for size in asked)
    if not sizes:
        raise UsageError("A study needs at least one batch size, got none; give some, as in 8:512 or 8,24,64.")
    if len(set(sizes)) < len(sizes):
        raise UsageError(f"Each batch size is studied once, got {', '.join(map(str, sizes))}; remove the repeated one.")
    return tuple(sorted(sizes))


def _batch_size(size: Any, info: WorkloadInfo, *, is_name: bool = False) -> int:
    whole = _whole(size)
    if whole is None or whole < 1:
        raise UsageError(f"Batch sizes are whole numbers of at least 1, got {size!r}; remove it.")
    if whole > info.n_train and not is_name:
        raise UsageError(
            f"A batch holds at most the {info.n_train} training {info.unit}s of {info.name}, "
            f"got batch size {whole}; use {info.n_train} or less."
        )
    return whole


def _budget(options: StudyOptions, info: WorkloadInfo) -> Budget:
    given = {kind: getattr(options, kind) for kind in BUDGET_KINDS if getattr(options, kind) is not None}
    if len(given) > 1:
        names = " and ".join(f"{kind}={value:g}" for kind, value in given.items())
        raise UsageError(f"A study has one budget, got {names}; keep one of them.")
    kind, value = next(iter(given.items()), ("epochs", info.default_epochs))
    return Budget(kind, _positive(f"A budget is a positive number of {kind}", value))


def _learning_rate(options: StudyOptions, default_lr: float) -> tuple[str, float]:
    base = default_lr if options.base_lr is None else options.base_lr
    if options.lr in ("tune", "linear", "sqrt"):
        mode, value = str(options.lr), base
    else:
        try:
            mode, value = "fixed", float(options.lr)
        except (TypeError, ValueError):
            raise UsageError(
                f"A learning rate is tune, linear, sqrt or a number, got {options.lr!r}; use `tune` if in doubt."
            ) from None
    if mode == "fixed" and options.base_lr is not None:
        raise UsageError(
            f"`base_lr` is for lr tune, linear and sqrt, got it beside lr={value:g}; leave one of the two out."
        )
    return mode, _positive("A learning rate is a positive number", value)


def _optimizer_settings(optimizer: str, settings: dict[str, Setting]) -> Settings:
    """Return the settings in a form that does not depend on how they were written: 0, 0.0 and "0" are one question."""
    known = OPTIMIZER_SETTINGS[optimizer]
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
            raise UsageError(f"The optimizer {optimizer} has no setting {name!r}; {hint}")
    resolved = {name: _setting(name, value, known[name]) for name, value in settings.items()}
    if resolved.get("nesterov") and not resolved.get("momentum"):
        raise UsageError("`nesterov` needs a momentum above 0, got none; set momentum=0.9, or leave nesterov out.")
    return tuple(sorted(resolved.items()))


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


def _schedule(options: StudyOptions) -> Schedule:
    if not 0 <= options.warmup < 1:
        raise UsageError(f"Warm-up is a share of the budget in [0, 1), got {options.warmup:g}; use 0.05, say.")
    return Schedule(_one_of("schedule", options.schedule, SCHEDULES), float(options.warmup))


def _margin(margin: float | None) -> float | None:
    return None if margin is None else _positive("The margin is a positive number in the metric's own unit", margin)


def _positive(expected: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{expected}, got {value!r}; give one above 0.")
    return number


def _whole(value: Any) -> int | None:
    """Return a whole number of whatever integer type as an int, None for anything else."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UsageError(f"`{name}` is {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}; choose one of these.")
    return value


def _count(name: str, value: Any, least: int) -> int:
    whole = _whole(value)
    if whole is None or whole < least:
        raise UsageError(f"`{name}` is a whole number of at least {least}, got {value!r}; correct it.")
    return whole
