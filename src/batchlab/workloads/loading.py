"""Find a workload by name, in a file, or in a package."""

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from batchlab.errors import BatchlabError, UnknownWorkload, UsageError, WorkloadError
from batchlab.workload import Workload
from batchlab.workloads import BUILTIN, builtin_names

OWN = "your own is 'path/to/file.py:attribute' or 'package.module:attribute'"


def load_workload(ref: str, *, data_dir: str | Path | None = None) -> Workload:
    """Return the workload that `ref` names.

    Args:
        ref: a built-in name ("digits-mlp"), "path/to/file.py:attribute" or "package.module:attribute"; the attribute
            is a Workload or a callable that returns one. The file's folder and the current one are importable.
        data_dir: where the data files lie, for workloads that read some.

    Raises:
        UnknownWorkload: nothing has this name.
        WorkloadError: it was found and could not be loaded; DataMissing and DataCorrupt where that is its data.
        UsageError: `data_dir` is given and the workload reads no files.
    """
    folder = None if data_dir is None else Path(data_dir)
    target = BUILTIN.get(ref, ref)
    place, colon, attribute = target.rpartition(":")
    if not colon or not place or not attribute:
        raise _unknown(ref)
    module = _load_file(ref, Path(place)) if place.endswith(".py") else _load_module(ref, place)
    if not hasattr(module, attribute):
        raise UnknownWorkload(_no_attribute(module, place, attribute))
    found = getattr(module, attribute)
    if callable(found) and not isinstance(found, Workload):
        found = _call(found, ref, folder)
    elif folder is not None:
        raise _no_data_dir(ref)
    if not isinstance(found, Workload):
        raise WorkloadError(
            f"{ref!r} must be a batchlab.Workload or a function that returns one, but is {_kind(found)}; "
            "name the attribute that holds the workload."
        )
    return found


def made_by(found: Any, ref: str) -> Workload:
    """Return a live workload, or the one that a live factory makes when it is called without arguments."""
    if callable(found) and not isinstance(found, Workload):
        found = _call(found, ref, None)
    if not isinstance(found, Workload):
        raise WorkloadError(
            f"{ref!r} must be a batchlab.Workload or a function that returns one, but is {_kind(found)}; pass the "
            "workload itself."
        )
    return found


def _load_file(ref: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise UnknownWorkload(
            f"{ref!r} should name a Python file, but there is no file {path.absolute()}; "
            "correct the path or change to the right folder."
        )
    _make_importable(path.parent)
    # One name a file, so that two files called alike do not replace each other.
    name = f"batchlab_file_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AssertionError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BatchlabError:
        raise
    except Exception as cause:
        del sys.modules[name]
        raise _broken(ref, "loaded", cause) from cause
    return module


def _load_module(ref: str, name: str) -> ModuleType:
    _make_importable(Path())
    try:
        return importlib.import_module(name)
    except BatchlabError:
        raise
    except ModuleNotFoundError as cause:
        if cause.name is not None and (name == cause.name or name.startswith(f"{cause.name}.")):
            raise UnknownWorkload(
                f"{ref!r} should name a Python module, but none called {name!r} can be imported; "
                "install it, change to its folder, or name a file as 'path/to/file.py:attribute'."
            ) from None
        raise _broken(ref, "imported", cause) from cause
    except Exception as cause:
        raise _broken(ref, "imported", cause) from cause


def _make_importable(folder: Path) -> None:
    # At the end, so that a neighbor of the file never hides an installed package.
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)


def _call(make: Any, ref: str, data_dir: Path | None) -> Any:
    arguments = {}
    if data_dir is not None:
        if "data_dir" not in inspect.signature(make).parameters:
            raise _no_data_dir(ref)
        arguments = {"data_dir": data_dir}
    try:
        return make(**arguments)
    except BatchlabError:
        raise
    except Exception as cause:
        raise _broken(ref, "called without arguments", cause) from cause


def _unknown(ref: str) -> UnknownWorkload:
    if ref.endswith(".py"):
        return UnknownWorkload(
            f"{ref!r} should say which attribute of the file is the workload, but names only the file; "
            f"write '{ref}:attribute'."
        )
    near = [repr(name) for name in difflib.get_close_matches(ref, builtin_names(), n=2)]
    if near:
        return UnknownWorkload(
            f"No workload is called {ref!r}; did you mean {' or '.join(near)}? "
            f"`batchlab doctor` lists those built in; {OWN}."
        )
    return UnknownWorkload(f"No workload is called {ref!r}; built in are {', '.join(builtin_names())}; {OWN}.")


def _no_attribute(module: ModuleType, place: str, attribute: str) -> str:
    held = [name for name, value in vars(module).items() if isinstance(value, Workload)]
    near = held or difflib.get_close_matches(attribute, vars(module), n=2)
    hint = f"did you mean {' or '.join(repr(name) for name in near)}?" if near else "define it there."
    return f"{place} should have the attribute {attribute!r}, but has none of that name; {hint}"


def _no_data_dir(ref: str) -> UsageError:
    return UsageError(
        f"A data folder is for workloads that read files, but {ref!r} takes none; leave `data_dir` (--data) out."
    )


def _broken(ref: str, verb: str, cause: Exception) -> WorkloadError:
    # The innermost frame that is the user's: not ours, and not the import machinery's.
    frames = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen")
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    message = " ".join(str(cause).split())
    return WorkloadError(
        f"{ref!r} should be a workload, but raised {type(cause).__name__} when {verb}: {message}{place}; "
        "mend it and try again."
    )


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
