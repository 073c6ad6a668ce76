"""From a workload, named or live, to an executor that has loaded it and what there is to know of it."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from batchlab.errors import CannotTravel, UsageError
from batchlab.records import LIVE_PREFIX, StudyRecord, WorkloadInfo
from batchlab.studies.device_names import device_names
from batchlab.studies.executors import Executor, WorkloadSource
from batchlab.studies.local_executor import LocalExecutor
from batchlab.studies.progress import Progress
from batchlab.workloads import builtin_names

if TYPE_CHECKING:
    from batchlab.studies.ray_executor import RayExecutor
    from batchlab.workload import Workload

LiveWorkload = Union["Workload", Callable[[], "Workload"]]
AnyWorkload = str | LiveWorkload

LOCAL, RAY = "local", "ray"
EXECUTORS = (LOCAL, RAY)
SLOW_TO_LOAD_S = 10.0


@dataclass(frozen=True, slots=True)
class Where:
    """What runs trials: `executor` is local or ray, `address` that of a Ray cluster, `workers` how many at a time."""

    executor: str | None = None
    address: str | None = None
    workers: int | None = None


@contextmanager
def opened_executor(
    workload: AnyWorkload, data_dir: str | None, device: str, where: Where, watcher: Progress
) -> Iterator[tuple[Executor, WorkloadInfo]]:
    """Start what runs the trials: worker processes, or this one where a live workload cannot reach another.

    Args:
        workload: a reference, a live workload, or a live factory of one.
        data_dir: where its data files are, for references.
        device: where trials run, as in cpu, cuda or cuda:0,1.
        where: processes here, by default as many as are fastest (one a core, on a GPU one, or as measured), or a
            Ray cluster.
        watcher: told what the workload prints, that it loads slowly, or that trials run here.
    """
    with ExitStack() as stack:
        if isinstance(workload, str):
            yield _with_workers(stack, WorkloadSource(reference_of(workload), data_dir), device, where, watcher)
        else:
            yield _with_live(stack, workload, device, where, watcher)


def _with_workers(
    stack: ExitStack, source: WorkloadSource, device: str, where: Where, watcher: Progress
) -> tuple[Executor, WorkloadInfo]:
    executor = _started(source, device, where, watcher)
    stack.push(executor)
    return executor, executor.inspect(_told_when_slow(watcher))


def _started(source: WorkloadSource, device: str, where: Where, watcher: Progress) -> "LocalExecutor | RayExecutor":
    if where.executor != RAY:
        return LocalExecutor(source, workers=where.workers, devices=device_names(device), on_output=watcher.notice)
    from batchlab.studies.ray_executor import RayExecutor

    return RayExecutor(source, address=where.address, workers=where.workers, device=device, on_notice=watcher.notice)


def _with_live(
    stack: ExitStack, workload: LiveWorkload, device: str, where: Where, watcher: Progress
) -> tuple[Executor, WorkloadInfo]:
    reference = reference_of(workload)
    try:
        source = WorkloadSource(reference, None, _pickled(workload), tuple(sys.path))
        return _with_workers(stack, source, device, where, watcher)
    except CannotTravel as error:
        reason = str(error)
    stack.close()
    watcher.notice(
        f"Trials run in this process, one at a time, as {reason} A workload in a file, given as 'file.py:attribute', "
        "is trained by several processes."
    )
    return _in_process(workload, reference, device)


def reference_of(workload: AnyWorkload) -> str:
    """Return the name under which a study knows its workload; a file's is absolute, so that any folder will do."""
    if isinstance(workload, str):
        file, colon, attribute = workload.rpartition(":")
        if colon and file.endswith(".py"):
            return f"{os.path.abspath(os.path.expanduser(file))}:{attribute}"
        return workload
    name = getattr(workload, "name", None) or getattr(workload, "__name__", None)
    if name is None or not (hasattr(workload, "splits") or callable(workload)):
        raise UsageError(
            "A workload is a built-in name, 'file.py:attribute', a batchlab.Workload or a function that returns one, "
            f"got {type(workload).__name__}; make a Workload of your model and data."
        )
    return f"{LIVE_PREFIX}{name}"


def trusted_reference(record: StudyRecord) -> str:
    """Return the workload that a study names, unless that would run a file which only somebody else's store names.

    Raises:
        UsageError: the workload was a live object, or the study comes from another machine.
    """
    reference = record.spec.workload
    if reference.startswith(LIVE_PREFIX):
        raise UsageError(
            f"The workload of study {record.name} was a Python object, which the store does not hold; go on with "
            f"`batchlab.resume({record.name!r}, workload=...)`, or call `batchlab.study(workload, ...)` as before."
        )
    if reference not in builtin_names() and record.info.inspected_on != platform.node():
        raise UsageError(
            f"Study {record.name} was run on {record.info.inspected_on or 'another machine'} and names {reference}, "
            "which is not run here unasked; name the workload yourself, as in "
            "`batchlab resume --workload FILE.py:attribute`."
        )
    return reference


def _in_process(
    workload: "Workload | Callable[[], Workload]", reference: str, device: str
) -> tuple[Executor, WorkloadInfo]:
    from batchlab.studies.in_process import InProcessExecutor
    from batchlab.workloads.loading import made_by

    executor = InProcessExecutor(made_by(workload, reference), reference)
    return executor, executor.inspect(device_names(device)[0])


def _pickled(workload: object) -> bytes:
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(workload)
    except Exception as error:
        raise CannotTravel(f"the workload cannot be pickled ({' '.join(str(error).split())}).") from error
    return pickled


def _told_when_slow(watcher: Progress) -> Callable[[], None]:
    """Return what to call while the workload loads: it says so once when that takes long."""
    started, told = time.monotonic(), False

    def on_wait() -> None:
        nonlocal told
        if not told and time.monotonic() - started > SLOW_TO_LOAD_S:
            told = True
            watcher.notice(f"Loading the workload has taken {SLOW_TO_LOAD_S:.0f} s so far; Ctrl-C gives up.")

    return on_wait
