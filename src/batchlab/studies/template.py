"""The template process: it loads torch and the workload once, and is forked into as many workers as are wanted.

Run as `python -m batchlab.studies.template FD`, where FD is its end of a socket pair. Messages:

    load SOURCE       -> loaded IS_FORKABLE, or error EXCEPTION_NAME TEXT
    fork, 2 handles   -> process id; the handles are the new worker's end of its socket pair, and where it prints
    wait PID          -> exit code
"""

import ctypes
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

import torch

from batchlab.studies.executors import WorkloadSource
from batchlab.studies.worker import described, load_source, serve
from batchlab.workload import Workload

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve one driver until it closes the pipe; the driver's death ends this process, also while it loads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    torch.set_num_threads(1)
    _warm_up()
    pipe = Connection(int(sys.argv[1]))
    source: WorkloadSource | None = None
    workload: Workload | None = None
    while True:
        try:
            kind, *content = pipe.recv()
            if kind == "load":
                (source,) = content
                workload, answer = _load(source)
                pipe.send(answer)
            elif kind == "wait":
                pipe.send(os.waitstatus_to_exitcode(os.waitpid(content[0], 0)[1]))
            else:
                _fork(pipe, source, workload)
        except (EOFError, OSError):
            return


def _warm_up() -> None:
    """Make torch load what it loads with the first optimizer, which takes as long as torch itself, once for all."""
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def _load(source: WorkloadSource) -> tuple[Workload | None, tuple[object, ...]]:
    try:
        workload = load_source(source)
        if workload.cache:
            # Read once here, and shared by all that are forked.
            workload.splits(0)
        return workload, ("loaded", _is_forkable())
    except (Exception, SystemExit) as error:
        return None, ("error", *described(error))


def _is_forkable() -> bool:
    """Return whether nothing runs here that a fork would leave in an unknown state."""
    alone = threading.active_count() == 1 and torch.get_num_threads() == 1
    return alone and not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


def _fork(pipe: Connection, source: WorkloadSource | None, workload: Workload | None) -> None:
    """Make a worker; in the parent its process id is sent, the child serves its own driver and never returns."""
    theirs, output = recv_handle(pipe), recv_handle(pipe)
    pid = os.fork()
    if pid:
        # Both make the child the leader of its group, so that neither has to be first.
        os.setpgid(pid, pid)
        os.close(theirs)
        os.close(output)
        pipe.send(pid)
        return
    os.setpgid(0, 0)
    pipe.close()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    serve(Connection(theirs), source, workload)
    os._exit(0)


if __name__ == "__main__":
    main()
