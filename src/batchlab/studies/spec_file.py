"""A study as a TOML file: its keys are the options of `batchlab.study`; read before a study, written after one."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import LIVE_PREFIX, StudyRecord, StudySpec
from batchlab.studies.store_addresses import IN_MEMORY

SUFFIX, SQLITE = ".toml", "sqlite:///"


def is_spec_file(path: str | os.PathLike[str]) -> bool:
    """Return whether what stands in the place of a workload is the path of a spec file."""
    return os.fspath(path).endswith(SUFFIX)


def read_spec_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a spec file says, by key; paths in it that are relative start from its folder.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    file = Path(path).expanduser().absolute()
    try:
        with file.open("rb") as stream:
            given = tomllib.load(stream)
    except OSError as error:
        raise UsageError(
            f"A spec was expected at {file}, and reading it failed ({error.strerror}); correct the path."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f'A spec is a TOML file, with lines like batch_sizes = "8:512", and {file} is none ({error}); correct it.'
        ) from None
    return {key: _placed(key, value, file.parent) for key, value in given.items()}


def spec_text(record: StudyRecord) -> str:
    """Return the spec file that asks a study's question again: with it and the same workload the id is the same."""
    lines = [
        f"# Study {record.name or record.id}, id {record.id}: `batchlab study FILE` with this file asks the same again."
    ]
    live = record.spec.workload.startswith(LIVE_PREFIX)
    if live:
        lines.append("# Its workload was a Python object; name one in a file, as in file.py:attribute.")
    lines.append(f"{'# ' if live else ''}workload = {_toml(record.spec.workload)}")
    lines += [f"name = {_toml(record.name)}"] if record.name else []
    options = options_of(record.spec)
    settings = options.pop("optimizer_settings")
    lines += [f"{key} = {_toml(value)}" for key, value in options.items()]
    if settings:
        lines += ["", "[optimizer_settings]", *(f"{_key(key)} = {_toml(value)}" for key, value in settings.items())]
    return "\n".join(lines) + "\n"


def options_of(spec: StudySpec) -> dict[str, Any]:
    """Return the options that ask a study's question again, by name; those that say nothing are left out.

    With them and the same workload `resolve_spec` gives the same spec.
    """
    fixed, has_steps = spec.lr_mode == "fixed", spec.schedule.kind == "step" or "schedule" in spec.tune
    found: dict[str, Any] = {
        "batch_sizes": spec.batch_sizes,
        "current": None if spec.current is None else f"{spec.current.batch_size}@{spec.current.learning_rate!r}",
        spec.budget.kind: spec.budget.value,
        "lr": spec.base_lr if fixed else spec.lr_mode,
        "base_lr": None if fixed else spec.base_lr,
        "base_batch_size": spec.base_batch_size,
        "seeds": spec.seeds if spec.max_seeds is None else f"{spec.seeds}..{spec.max_seeds}",
        "tuning_seeds": spec.tuning_seeds,
        "seed": spec.seed,
        "optimizer": spec.optimizer,
        "optimizer_settings": dict(spec.optimizer_settings),
        "schedule": spec.schedule.kind,
        "warmup": spec.schedule.warmup,
        "milestones": spec.schedule.milestones if has_steps else None,
        "factor": spec.schedule.factor if has_steps else None,
        "last_batch": spec.last_batch,
        "micro_batch_size": spec.micro_batch_size,
        "target": spec.target,
        "search": "model" if spec.search == "model" else None,
        "confirm": spec.confirm if spec.search == "model" else None,
        "tune": spec.tune or None,
        "tuning_trials": spec.tuning_trials,
        "sampler": spec.sampler if spec.tune else None,
        "margin": spec.margin,
        "level": spec.level,
        "device": spec.device,
        "data_dir": spec.data_dir,
        "same_batch_size": spec.same_batch_size,
        "permute_labels": spec.permute_labels or None,
        "noise_batch_size": spec.noise_batch_size,
        "controls": spec.controls or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _placed(key: str, value: Any, folder: Path) -> Any:
    """Return the value with a path in it made absolute."""
    if not isinstance(value, str):
        return value
    if key == "workload" and value.rpartition(":")[0].endswith(".py"):
        return str(folder / Path(value).expanduser())
    if key == "data_dir":
        return str(folder / Path(value).expanduser())
    if key == "store" and ("://" not in value or value.startswith(SQLITE)) and value != IN_MEMORY:
        return str(folder / Path(value.removeprefix(SQLITE)).expanduser())
    return value


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: Any) -> str:
    """Return a value as TOML writes it; its texts are JSON's but for one character."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
