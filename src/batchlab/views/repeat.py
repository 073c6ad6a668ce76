"""The command that asks a study's question again."""

import shlex

from batchlab.records import LIVE_PREFIX, Schedule, Setting, StudyRecord, StudySpec


def repeat_command(record: StudyRecord) -> str:
    """Return the `batchlab study` command that asks the same question: same sizes, budget, seeds and settings."""
    return " ".join(repeat_parts(record))


def repeat_parts(record: StudyRecord) -> tuple[str, ...]:
    """Return the words of `repeat_command` that belong together: each option with its value, quoted for a shell."""
    spec = record.spec
    options: list[tuple[str, str]] = [
        ("--batch-sizes", ",".join(map(str, spec.batch_sizes))),
        (f"--{spec.budget.kind}", _text(spec.budget.value)),
        ("--seeds", str(spec.seeds) if spec.max_seeds is None else f"{spec.seeds}..{spec.max_seeds}"),
        ("--tuning-seeds", str(spec.tuning_seeds)),
        ("--seed", str(spec.seed)),
        *_learning_rate_options(spec),
        ("--optimizer", spec.optimizer),
        *(("--set", f"{key}={_text(value)}") for key, value in spec.optimizer_settings if key != "lr"),
        ("--schedule", spec.schedule.kind),
        ("--warmup", _text(spec.schedule.warmup)),
        ("--last-batch", spec.last_batch),
        ("--device", spec.device),
    ]
    if spec.micro_batch_size is not None:
        options.append(("--micro-batch-size", str(spec.micro_batch_size)))
    if spec.current is not None:
        options.append(("--current", f"{spec.current.batch_size}@{_text(spec.current.learning_rate)}"))
    if spec.target is not None:
        options.append(("--target", _text(spec.target)))
    if spec.search == "model":
        options += [("--search", spec.search), ("--confirm", spec.confirm)]
    options += _tuning_options(spec)
    if spec.margin is not None:
        options.append(("--margin", _text(spec.margin)))
    if spec.data_dir is not None:
        options.append(("--data", spec.data_dir))
    options += [("--control", name) for name in spec.controls]
    options += [("--set", f"{name}={_text(value)}") for name, value in _rarely_set(spec)]
    return (f"batchlab study {shlex.quote(spec.workload)}", *(shlex.join(option) for option in options))


def is_repeatable(record: StudyRecord) -> bool:
    """Return whether the command asks the question again: a workload that was an object cannot be named in it."""
    return not record.spec.workload.startswith(LIVE_PREFIX)


def _rarely_set(spec: StudySpec) -> list[tuple[str, Setting]]:
    """Return the settings without an option of their own, where they differ from the defaults."""
    usual = Schedule(kind=spec.schedule.kind, warmup=spec.schedule.warmup)
    found: list[tuple[str, Setting | None, Setting | None]] = [
        ("level", spec.level, 0.95),
        ("same_batch_size", spec.same_batch_size, None),
        ("permute_labels", spec.permute_labels, False),
        ("noise_batch_size", spec.noise_batch_size, None),
        ("milestones", spec.schedule.milestones, usual.milestones),
        ("factor", spec.schedule.factor, usual.factor),
    ]
    return [(name, value) for name, value, default in found if value is not None and value != default]


def _learning_rate_options(spec: StudySpec) -> list[tuple[str, str]]:
    if spec.lr_mode == "fixed":
        return [("--lr", _text(spec.base_lr))]
    base = [("--base-lr", _text(spec.base_lr)), ("--base-batch-size", str(spec.base_batch_size))]
    return [("--lr", spec.lr_mode), *base]


def _tuning_options(spec: StudySpec) -> list[tuple[str, str]]:
    if not spec.tune:
        return []
    return [("--tune", ",".join(spec.tune)), ("--tuning-trials", str(spec.tuning_trials)), ("--sampler", spec.sampler)]


def _text(value: Setting | None) -> str:
    """Return a setting as an option takes it, floats to the last digit."""
    if isinstance(value, tuple):
        return ",".join(_text(item) for item in value)
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
