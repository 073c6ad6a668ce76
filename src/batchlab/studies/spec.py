"""From what a user asked to a `StudySpec` with nothing left open; all mistakes are found here, before work begins."""

import difflib
import math
from dataclasses import dataclass, field
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import Budget, Schedule, Setting, StudySpec, WorkloadInfo

BUDGET_KINDS = ("epochs", "examples", "steps")
OPTIMIZER_SETTINGS = {
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov"),
    "adam": ("betas", "eps", "weight_decay", "amsgrad"),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad"),
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
    settings |= _optimizer_settings(optimizer, options.optimizer_settings)
    mode, base_lr = _learning_rate(options, default_lr)
    return StudySpec(
        workload=info.reference,
        batch_sizes=_batch_sizes(options, info),
        budget=_budget(options, info),
        lr_mode=mode,
        base_lr=base_lr,
        base_batch_size=_count("base_batch_size", options.base_batch_size or info.default_batch_size, 1),
        optimizer=optimizer,
        optimizer_settings=tuple(sorted(settings.items())),
        schedule=_schedule(options),
        last_batch=_one_of("last_batch", options.last_batch, LAST_BATCH),
        seeds=_count("seeds", options.seeds, 1),
        tuning_seeds=_count("tuning_seeds", options.tuning_seeds, 1),
        seed=options.seed,
        margin=_margin(options.margin),
        device=options.device,
        data_dir=options.data_dir,
        same_batch_size=options.same_batch_size,
    )


def default_batch_sizes(n_train: int) -> tuple[int, ...]:
    """Return seven powers of two from 8, fewer where the data are few: the largest is at most half the training set.

    >>> default_batch_sizes(1078)
    (8, 16, 32, 64, 128, 256, 512)
    """
    sizes = tuple(2**k for k in range(3, 3 + DEFAULT_ARMS) if 2 ** (k + 1) <= n_train)
    return sizes or (1,)


def _batch_sizes(options: StudyOptions, info: WorkloadInfo) -> tuple[int, ...]:
    sizes = default_batch_sizes(info.n_train) if options.batch_sizes is None else tuple(options.batch_sizes)
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise UsageError(f"Batch sizes are whole numbers of at least 1, got {size!r}; remove it.")
        trained_at = options.same_batch_size or size
        if trained_at > info.n_train:
            raise UsageError(
                f"A batch holds at most the {info.n_train} training {info.unit}s of {info.name}, "
                f"got batch size {size}; use {info.n_train} or less."
            )
    if not sizes:
        raise UsageError("A study needs at least one batch size, got none; give some, as in 8:512 or 8,24,64.")
    if len(set(sizes)) < len(sizes):
        raise UsageError(f"Each batch size is studied once, got {', '.join(map(str, sizes))}; remove the repeated one.")
    return tuple(sorted(sizes))


def _budget(options: StudyOptions, info: WorkloadInfo) -> Budget:
    given = {kind: getattr(options, kind) for kind in BUDGET_KINDS if getattr(options, kind) is not None}
    if len(given) > 1:
        names = " and ".join(f"{kind}={value:g}" for kind, value in given.items())
        raise UsageError(f"A study has one budget, got {names}; keep one of them.")
    kind, value = next(iter(given.items()), ("epochs", info.default_epochs))
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"A budget is a positive number of {kind}, got {value:g}; give a larger one.")
    return Budget(kind, float(value))


def _learning_rate(options: StudyOptions, default_lr: float) -> tuple[str, float]:
    base = default_lr if options.base_lr is None else options.base_lr
    if options.lr in ("tune", "linear", "sqrt"):
        mode, value = str(options.lr), base
    else:
        try:
            mode, value = "fixed", float(options.lr)
        except ValueError:
            raise UsageError(
                f"A learning rate is tune, linear, sqrt or a number, got {options.lr!r}; use `tune` if in doubt."
            ) from None
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"A learning rate is a positive number, got {value:g}; give a larger one, or `tune`.")
    return mode, value


def _optimizer_settings(optimizer: str, settings: dict[str, Any]) -> dict[str, Setting]:
    if "lr" in settings:
        raise UsageError("The learning rate is not an optimizer setting here; give it as `--lr` (in Python `lr=`).")
    known = OPTIMIZER_SETTINGS[optimizer]
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
            raise UsageError(f"The optimizer {optimizer} has no setting {name!r}; {hint}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _schedule(options: StudyOptions) -> Schedule:
    if not 0 <= options.warmup < 1:
        raise UsageError(f"Warm-up is a share of the budget in [0, 1), got {options.warmup:g}; use 0.05, say.")
    return Schedule(_one_of("schedule", options.schedule, SCHEDULES), float(options.warmup))


def _margin(margin: float | None) -> float | None:
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise UsageError(f"The margin is a positive number in the metric's own unit, got {margin:g}; use 0.005, say.")
    return margin


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UsageError(f"`{name}` is {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}; choose one of these.")
    return value


def _count(name: str, value: int, least: int) -> int:
    if value < least:
        raise UsageError(f"`{name}` is a whole number of at least {least}, got {value}; give a larger one.")
    return value
