"""The checks of `batchlab doctor`; torch is imported here, and only when they run."""

import importlib.metadata
import os
import platform
from contextlib import closing
from dataclasses import dataclass

import batchlab
from batchlab.cli.output import place_of
from batchlab.errors import BatchlabError, StoreError, UsageError
from batchlab.studies.executors import available_cores
from batchlab.studies.store_addresses import kind_of, store_path
from batchlab.studies.store_opening import open_store
from batchlab.workloads import builtin_names

NEEDED = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "sqlalchemy",
    "cloudpickle",
    "rich",
    "jinja2",
    "markupsafe",
    "plotly",
)
OPTIONAL = ("pandas",)
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: it is fine, is missing where that can be lived with, or fails."""

    subject: str
    status: str
    detail: str


def run_checks(store: str, data_dir: str | None) -> tuple[Check, ...]:
    """Return all checks, in the order in which they are worth reading."""
    return (
        Check("batchlab", "fine", batchlab.__version__),
        Check("python", "fine", f"{platform.python_version()} on {platform.platform()}"),
        *(_package(name, "fails") for name in NEEDED),
        *(_package(name, "missing") for name in OPTIONAL),
        _machine(),
        *_devices(),
        _store(store),
        *(_workload(name, data_dir) for name in builtin_names()),
    )


def _package(name: str, otherwise: str) -> Check:
    try:
        return Check(name, "fine", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, otherwise, f"not installed; run `pip install {name}`")


def _machine() -> Check:
    cores = available_cores()
    try:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GIB:.1f} GiB of memory"
    except (AttributeError, ValueError, OSError):
        memory = ""
    return Check("machine", "fine", f"{cores} cores{memory}")


def _devices() -> list[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Check("devices", "fails", f"torch cannot be imported ({error}); install it again")]
    checks = [Check("cpu", "fine", f"{torch.get_num_threads()} threads")]
    for index in range(torch.cuda.device_count()):
        seen = torch.cuda.get_device_properties(index)
        checks.append(Check(f"cuda:{index}", "fine", f"{seen.name}, {seen.total_memory / GIB:.1f} GiB"))
    return checks


def _store(store: str) -> Check:
    try:
        place = place_of(store)
        if kind_of(store) == "memory":
            return Check("store", "fine", place)
        if kind_of(store) == "file" and not (path := store_path(store)).exists():
            writable = os.access(path.parent, os.W_OK)
            detail = f"{place}, made by the first study" if writable else f"{path.parent} is not yours to write to"
            return Check("store", "fine" if writable else "fails", detail)
        with closing(open_store(store, create=False)) as opened:
            return Check("store", "fine", f"{place}, {len(opened.studies())} studies")
    except StoreError as error:
        return Check("store", "fails", str(error))


def _workload(name: str, data_dir: str | None) -> Check:
    """Return whether a workload finds its data; a folder is passed on only to those that read files."""
    try:
        try:
            batchlab.load_workload(name, data_dir=data_dir)
        except UsageError:
            batchlab.load_workload(name)
    except (ImportError, BatchlabError) as error:
        return Check(name, "missing", str(error))
    return Check(name, "fine", "its data are there")
