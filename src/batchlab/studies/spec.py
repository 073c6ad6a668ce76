"""From what a user asked to a `StudySpec` with nothing left open; all mistakes are found here, before work begins."""

import math
from dataclasses import dataclass, field
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import Budget, Current, Schedule, Setting, StudySpec, WorkloadInfo
from batchlab.studies.optimizer_settings import (
    DEFAULT_LEARNING_RATES,
    OTHER_LEARNING_RATE,
    optimizer_choices,
    stored_settings,
    whole_number,
)

BUDGET_KINDS = ("epochs", "examples", "steps")
SCHEDULES = ("constant", "cosine", "step")
LAST_BATCH = ("carry", "drop", "keep")
DEFAULT_ARMS = 7
# Metrics that are shares: nobody means an error of 5 when saying 5.
SHARES = ("error", "accuracy")
# With fewer seeds nothing is shown to be worse; that of `analyze.contest`, which a command must not import to help.
FEWEST_AT_A_LOOK = 3


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """A study as it was asked for; None means the workload's own default.

    `current` is the setting in use today, "64@1e-3" or (64, 1e-3), to be compared with the best that is found.
    `seeds` may be a range, "5..20" or (5, 20): confirmation begins with 5 and adds more where the answer is open.
    `target` is a validation metric to reach, in its own unit: 0.05 is an error of 5%.
    """

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
    seeds: int | str | tuple[int, int] = 5
    tuning_seeds: int = 2
    seed: int = 0
    margin: float | None = None
    device: str = "cpu"
    data_dir: str | None = None
    same_batch_size: int | None = None
    micro_batch_size: int | None = None
    current: str | tuple[int, float] | Current | None = None
    target: float | None = None


def resolve_spec(options: StudyOptions, info: WorkloadInfo) -> StudySpec:
    """Return the resolved question.

    Raises:
        UsageError: one message a mistake, in the order of the options.
    """
    optimizer = _one_of("optimizer", options.optimizer or info.optimizer, optimizer_choices(info))
    settings: dict[str, Setting] = dict(info.optimizer_settings) if optimizer == info.optimizer else {}
    usual_lr = DEFAULT_LEARNING_RATES.get(optimizer, OTHER_LEARNING_RATE)
    default_lr = float(settings.pop("lr", usual_lr))  # type: ignore[arg-type]
    if "lr" in options.optimizer_settings:
        raise UsageError("The learning rate is not an optimizer setting here; give it as `--lr` (in Python `lr=`).")
    settings |= options.optimizer_settings
    mode, base_lr = _learning_rate(options, default_lr)
    seeds, max_seeds = read_seeds(options.seeds)
    return StudySpec(
        workload=info.reference,
        batch_sizes=_batch_sizes(options, info),
        budget=_budget(options, info),
        lr_mode=mode,
        base_lr=base_lr,
        base_batch_size=_count("base_batch_size", _or(options.base_batch_size, info.default_batch_size), 1),
        optimizer=optimizer,
        optimizer_settings=stored_settings(optimizer, settings),
        schedule=_schedule(options),
        last_batch=_one_of("last_batch", options.last_batch, LAST_BATCH),
        seeds=seeds,
        max_seeds=max_seeds,
        tuning_seeds=_count("tuning_seeds", options.tuning_seeds, 1),
        seed=_count("seed", options.seed, 0),
        margin=_margin(options.margin),
        device=options.device,
        data_dir=options.data_dir,
        same_batch_size=_batch_size(options.same_batch_size, info) if options.same_batch_size is not None else None,
        micro_batch_size=_micro_batch_size(options.micro_batch_size),
        current=_current(options, info),
        target=_target(options.target, info),
    )


def default_batch_sizes(n_train: int) -> tuple[int, ...]:
    """Return seven powers of two from 8, fewer where the data are few: the largest is at most half the training set.

    >>> default_batch_sizes(1078)
    (8, 16, 32, 64, 128, 256, 512)
    """
    sizes = tuple(2**k for k in range(3, 3 + DEFAULT_ARMS) if 2 ** (k + 1) <= n_train)
    return sizes or (1,)


def read_current(value: Any) -> Current:
    """Return the setting in use today, given as "64@1e-3", as (64, 1e-3) or as a `Current`.

    >>> read_current("64@1e-3")
    Current(batch_size=64, learning_rate=0.001)

    Raises:
        UsageError: it has another form, or its numbers mean nothing.
    """
    size, rate = _current_parts(value)
    if size is None or rate is None:
        raise UsageError(
            "Today's setting is a batch size and its learning rate, 64@1e-3 or in Python also (64, 1e-3), got "
            f"{value!r}; write it so."
        )
    if size < 1:
        raise UsageError(f"Today's batch size is a whole number of at least 1, got {size}; correct it.")
    return Current(size, _positive("Today's learning rate is a positive number", rate))


def read_seeds(value: Any) -> tuple[int, int | None]:
    """Return the seeds to begin with and, where more may be added, the most of them.

    >>> read_seeds(5), read_seeds("5..20"), read_seeds((5, 20))
    ((5, None), (5, 20), (5, 20))

    Raises:
        UsageError: it has another form, or its numbers mean nothing.
    """
    if not isinstance(value, (str, tuple, list)):
        return _count("seeds", value, 1), None
    numbers = [_whole_or_none(part) for part in (value.split("..") if isinstance(value, str) else value)]
    first, last = numbers if len(numbers) == 2 else (None, None)
    if first is None or last is None or not FEWEST_AT_A_LOOK <= first < last:
        raise UsageError(
            f"A range of seeds goes from {FEWEST_AT_A_LOOK} or more up to a larger number, as in 5..20, got {value!r}; "
            "write it so, or give one number."
        )
    return first, last


def _whole_or_none(value: Any) -> int | None:
    try:
        return int(value) if isinstance(value, str) else whole_number(value)
    except ValueError:
        return None


def _current_parts(value: Any) -> tuple[int | None, float | None]:
    """Return batch size and learning rate, None for what cannot be read."""
    try:
        if isinstance(value, Current):
            return value.batch_size, value.learning_rate
        if isinstance(value, str):
            size, rate = value.split("@")
            return int(size), float(rate)
        size, rate = value
        return whole_number(size), float(rate)
    except (TypeError, ValueError):
        return None, None


def _current(options: StudyOptions, info: WorkloadInfo) -> Current | None:
    if options.current is None:
        return None
    current = read_current(options.current)
    _batch_size(current.batch_size, info)
    return current


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
    whole = whole_number(size)
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


def _schedule(options: StudyOptions) -> Schedule:
    if not 0 <= options.warmup < 1:
        raise UsageError(f"Warm-up is a share of the budget in [0, 1), got {options.warmup:g}; use 0.05, say.")
    return Schedule(_one_of("schedule", options.schedule, SCHEDULES), float(options.warmup))


def _micro_batch_size(size: int | None) -> int | None:
    return None if size is None else _count("micro_batch_size", size, 1)


def _margin(margin: float | None) -> float | None:
    return None if margin is None else _positive("The margin is a positive number in the metric's own unit", margin)


def _target(target: Any, info: WorkloadInfo) -> float | None:
    if target is None:
        return None
    value = _finite(target)
    if value is None:
        raise UsageError(f"A target is a finite number in the metric's own unit, got {target!r}; give one.")
    if info.metric in SHARES and not 0 <= value <= 1:
        percent = f"{value / 100:g}" if 1 < value <= 100 else "0.05"
        advice = f"give {percent} for {100 * float(percent):g}%"
        raise UsageError(f"A target of {info.metric} lies between 0 and 1, got {value:g}; {advice}.")
    return value


def _positive(expected: str, value: Any) -> float:
    number = _finite(value)
    if number is None or number <= 0:
        raise UsageError(f"{expected}, got {value!r}; give one above 0.")
    return number


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UsageError(f"`{name}` is {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}; choose one of these.")
    return value


def _count(name: str, value: Any, least: int) -> int:
    whole = whole_number(value)
    if whole is None or whole < least:
        raise UsageError(f"`{name}` is a whole number of at least {least}, got {value!r}; correct it.")
    return whole
