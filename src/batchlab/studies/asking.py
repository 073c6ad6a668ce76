"""From the keywords of a study, or its spec file, to what is asked and how it is to be run."""

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping
from typing import Any, cast

from batchlab.errors import UsageError
from batchlab.studies.opening import EXECUTORS, RAY, AnyWorkload
from batchlab.studies.option_values import count, positive, text
from batchlab.studies.spec import BUDGET_KINDS, LR_MODES, StudyOptions
from batchlab.studies.spec_file import is_spec_file, read_spec_file


@dataclasses.dataclass(frozen=True, slots=True)
class RunOptions:
    """How a study is run, which has no part in its question; None is the default."""

    store: str | os.PathLike[str] | None = None
    name: str | None = None
    workers: int | None = None
    executor: str | None = None
    address: str | None = None
    timeout: float | None = None
    max_minutes: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A study as it was asked for; `mistakes` are those that show before the workload is loaded."""

    workload: AnyWorkload
    options: StudyOptions
    run: RunOptions
    mistakes: tuple[str, ...]


def option_names() -> tuple[str, ...]:
    """Return the names of all options: those of the question, then those of the run."""
    return tuple(field.name for kind in (StudyOptions, RunOptions) for field in dataclasses.fields(kind))


def ask(
    workload: AnyWorkload | os.PathLike[str], given: Mapping[str, Any], spec: str | os.PathLike[str] | None = None
) -> Asked:
    """Return what is asked; an option that is given wins over the spec file, and None is not given.

    Args:
        workload: what to train, or a spec file that names it.
        given: options by name.
        spec: a spec file, whose own workload gives way to the one above.

    Raises:
        UsageError: the spec file cannot be read, or names no workload.
    """
    file = {} if spec is None else read_spec_file(spec)
    if isinstance(workload, str | os.PathLike) and is_spec_file(workload):
        file = read_spec_file(workload)
        workload = _workload_of(workload, file.get("workload"))
    file.pop("workload", None)
    options = _merged(file, {name: value for name, value in given.items() if value is not None})
    if isinstance(options.get("data_dir"), str | os.PathLike):
        options["data_dir"] = os.path.abspath(os.path.expanduser(options["data_dir"]))
    run, mistakes = _run_options(options)
    question = {field.name for field in dataclasses.fields(StudyOptions)}
    known = {name: value for name, value in options.items() if name in question}
    unknown = [_unknown(name) for name in options if name not in option_names()]
    return Asked(cast(AnyWorkload, workload), StudyOptions(**known), run, (*unknown, *mistakes))


def _merged(file: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a file with those given in their place, and without those that these leave no room for."""
    gone: set[str] = set()
    if any(kind in given for kind in BUDGET_KINDS):
        gone |= set(BUDGET_KINDS)
    if "lr" in given and given["lr"] not in LR_MODES:
        gone.add("base_lr")
    if given.get("optimizer", file.get("optimizer")) != file.get("optimizer"):
        gone |= {"base_lr", "optimizer_settings"}
    merged = {name: value for name, value in file.items() if name not in gone}
    own, more = (part.get("optimizer_settings") for part in (merged, given))
    merged |= given
    if isinstance(own, dict) and isinstance(more, Mapping):
        merged["optimizer_settings"] = own | dict(more)
    return merged


def _workload_of(file: str | os.PathLike[str], named: Any) -> str:
    if not isinstance(named, str) or is_spec_file(named):
        raise UsageError(
            f"A spec names its workload, a built-in name or file.py:attribute, got {named!r} in {file}; write "
            'workload = "digits-mlp", say.'
        )
    return named


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, option_names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(option_names())}."
    return f"`study` has no option {name!r}; {hint}"


def _run_options(given: Mapping[str, Any]) -> tuple[RunOptions, list[str]]:
    """Return how the study is to be run, and the mistakes in that."""
    read: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, reader in _RUN_READERS.items():
        if given.get(name) is not None:
            try:
                read[name] = reader(given[name])
            except UsageError as error:
                mistakes += error.mistakes
    if "address" in read and read.get("executor") != RAY:
        mistakes.append("An `address` is that of a Ray cluster; add the executor, ray, or leave it out.")
    return RunOptions(**read), mistakes


def _executor(value: str) -> str:
    if value not in EXECUTORS:
        raise UsageError(f"An executor is {' or '.join(EXECUTORS)}, got {value!r}; choose one.")
    return value


def _name(value: Any) -> str:
    if value == "latest":
        raise UsageError("A study can have any name but `latest`, which means the study saved last; choose another.")
    return text("name", value)


_RUN_READERS: Mapping[str, Callable[[Any], Any]] = {
    "store": lambda value: value if isinstance(value, os.PathLike) else text("store", value),
    "name": _name,
    "workers": lambda value: count("workers", value, 1),
    "executor": lambda value: _executor(text("executor", value)),
    "address": lambda value: text("address", value),
    "timeout": lambda value: positive("A timeout is a positive number of seconds", value),
    "max_minutes": lambda value: positive("`max_minutes` is a positive number of minutes", value),
}
