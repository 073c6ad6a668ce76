"""A worker process: started once, it loads the workload and runs the trials it is sent.

Run as `python -m batchlab.studies.worker FD`, where FD is its end of a socket pair. Messages are pickled tuples:

    load SOURCE                     -> nothing
    use DEVICE                      -> nothing; which of several GPUs is this worker's
    inspect DEVICE                  -> info WorkloadInfo
    rehearse SETTINGS...            -> rehearsed Rehearsal
    pace INDEX THREADS SECONDS      -> pace STEPS_PER_S, with the settings of that index
    trial KEY SETTINGS              -> progress KEY EXAMPLES ..., result KEY TrialResult MEMORY_BYTES
    time SETTINGS...                -> times (StepTime, ...)

Whatever fails answers `error KEY EXCEPTION_NAME TEXT` instead. The worker ends when its driver does.
"""

import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch

from batchlab.errors import BatchlabError, CannotTravel
from batchlab.measure.block_timing import Steps
from batchlab.studies.executors import WorkloadSource, available_cores
from batchlab.studies.layout import Rehearsal
from batchlab.train.devices import check_device
from batchlab.train.energy import quiet_pass
from batchlab.train.inspection import inspect_workload
from batchlab.train.rehearsal import free_memory, pace, rehearse
from batchlab.train.threads import thread_counts
from batchlab.train.trial import run_trial
from batchlab.workload import Workload
from batchlab.workloads.loading import load_workload, made_by

SECONDS_BETWEEN_REPORTS = 0.5


@dataclass
class _State:
    """What the worker holds between messages."""

    pipe: Connection
    source: WorkloadSource | None = None
    workload: Workload | None = None
    steppers: list[Steps] = field(default_factory=list)


def main() -> None:
    """Serve one driver until it closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))


def serve(pipe: Connection, source: WorkloadSource | None = None, workload: Workload | None = None) -> None:
    """Answer the messages of a driver until it closes the pipe; what is loaded already need not be sent."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    state = _State(pipe, source, workload)
    handlers: dict[str, Callable[..., None]] = {
        "load": _load,
        "use": _use,
        "inspect": _inspect,
        "rehearse": _rehearse,
        "pace": _pace,
        "trial": _trial,
        "time": _time,
    }
    while True:
        try:
            kind, key, *rest = state.pipe.recv()
        except (EOFError, OSError):
            return
        try:
            handlers[kind](state, key, *rest)
        except (BrokenPipeError, ConnectionResetError):
            return
        except (Exception, SystemExit) as error:
            state.pipe.send(("error", key, *described(error)))


def _load(state: _State, key: str, source: WorkloadSource) -> None:
    state.source, state.workload = source, None
    state.workload = load_source(source)


def _use(state: _State, key: str, device: str) -> None:
    """Make this GPU the current one: everything else here speaks of "cuda", so that trials are alike on all of them."""
    check_device(device)
    torch.cuda.set_device(device)


def _inspect(state: _State, key: str, device: str) -> None:
    assert state.source is not None and state.workload is not None
    info = inspect_workload(state.workload, state.source.reference, device)
    state.pipe.send(("info", key, info))


def _rehearse(state: _State, key: str, settings: Any) -> None:
    assert state.workload is not None
    free = free_memory(settings[0].device)
    state.steppers, seconds, memory = rehearse(state.workload, settings)
    state.pipe.send(("rehearsed", key, Rehearsal(tuple(seconds), memory, free)))


def _pace(state: _State, key: str, index: int, threads: int, seconds: float) -> None:
    state.pipe.send(("pace", key, pace(state.steppers[index], threads, seconds)))


def _trial(state: _State, key: str, settings: Any) -> None:
    assert state.workload is not None
    state.steppers.clear()
    # At each trial: users' code may have set it.
    torch.set_num_threads(settings.threads)
    state.pipe.send(("progress", key, 0))
    last = time.monotonic()

    def report(examples: int) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            state.pipe.send(("progress", key, examples))

    result = run_trial(state.workload, settings, on_evaluation=report)
    state.pipe.send(("result", key, result, _memory()))


def _time(state: _State, key: str, settings: Any) -> None:
    assert state.workload is not None
    threads = thread_counts(available_cores()) if settings[0].device == "cpu" else available_cores()
    state.pipe.send(("times", key, quiet_pass(state.workload, settings, threads=threads)))


def load_source(source: WorkloadSource) -> Workload:
    """Return the workload, wherever it comes from."""
    if source.pickled is None:
        return load_workload(source.reference, data_dir=source.data_dir)
    import cloudpickle

    sys.path.extend(place for place in source.search_path if place not in sys.path)
    try:
        found = cloudpickle.loads(source.pickled)
    except Exception as error:
        raise CannotTravel(f"{source.reference} cannot be unpickled in a worker process ({error}).") from error
    return made_by(found, source.reference)


def described(error: BaseException) -> tuple[str, str]:
    """Return the name of an expected exception, else "", and what there is to say of it."""
    if isinstance(error, BatchlabError):
        return type(error).__name__, str(error)
    if isinstance(error, SystemExit):
        return "", f"SystemExit: the workload's code called sys.exit({error.code!r})"
    return "", traceback.format_exc()


def _memory() -> int:
    """Return the bytes of memory this process holds, at most where only the peak is known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        # In bytes on macOS, the only other system that gets here.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _end_with_parent(parent: int) -> None:
    """End at once when the driver is gone: nobody waits for the trial under way, and it would hold a core."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
