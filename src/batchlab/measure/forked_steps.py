"""The process that makes steps of a size in a child of its own, under a limit of memory.

Run as `python -m batchlab.measure.forked_steps FD`, where FD is its end of a socket pair. It loads torch and the step
once, and forks for each size, so that every size begins with the same memory. Messages:

    load SEARCH_PATH PICKLED            -> loaded, or failed TEXT
    run BATCH_SIZE LIMIT THREADS        -> fits PEAK_BYTES, lacking, failed TEXT, or died EXIT_CODE
"""

import ctypes
import os
import pickle
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import torch

from batchlab.measure.out_of_memory import is_out_of_memory

PR_SET_PDEATHSIG = 1
STATUS = Path("/proc/self/status")
KIB = 1024
# A size that takes a little more than the limit ends all the same, and its peak says how much smaller to go.
BEYOND_LIMIT = 1.05

Outcome = tuple[object, ...]


def main() -> None:
    """Serve the process at the other end until it closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    # Standard output belongs to whoever asked.
    os.dup2(2, 1)
    # One thread: a pool of threads does not survive a fork.
    torch.set_num_threads(1)
    # torch loads half of itself with the first optimizer: once, here.
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    pipe = Connection(int(sys.argv[1]))
    try:
        _, search_path, pickled = pipe.recv()
        sys.path.extend(place for place in search_path if place not in sys.path)
        try:
            run_step = pickle.loads(pickled)
        except Exception:
            pipe.send(("failed", traceback.format_exc()))
            return
        pipe.send(("loaded",))
        while True:
            _, batch_size, limit, threads = pipe.recv()
            pipe.send(_in_child(lambda: _outcome(run_step, batch_size, limit, threads)))  # noqa: B023
    except (EOFError, OSError):
        return


def _in_child(work: Callable[[], Outcome]) -> Outcome:
    """Return what a forked child found out, or how it died."""
    reading, writing = Pipe(duplex=False)
    pid = os.fork()
    if not pid:
        _die_with_parent()
        writing.send(work())
        os._exit(0)
    writing.close()
    try:
        outcome: Outcome | None = reading.recv()
    except EOFError:
        outcome = None
    reading.close()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ("died", code) if outcome is None else outcome


def _outcome(run_step: Callable[[int], Any], batch_size: int, limit: int, threads: int) -> Outcome:
    torch.set_num_threads(threads)
    # Starts the threads, whose stacks would else have to fit under the limit.
    torch.ones(1 << 16).add_(1)
    _limit_memory(int(BEYOND_LIMIT * limit))
    try:
        run_step(batch_size)
        fits = True
    except (MemoryError, RuntimeError) as error:
        fits, failure = False, None if is_out_of_memory(error) else traceback.format_exc()
    except BaseException:
        fits, failure = False, traceback.format_exc()
    # Reporting needs memory as well.
    _limit_memory(None)
    if fits:
        return "fits", _peak()
    return ("lacking",) if failure is None else ("failed", failure)


def _limit_memory(limit: int | None) -> None:
    """Let this process hold at most so many bytes, by its address space, of which some is mapped and never filled."""
    soft, hard = resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_AS)[1]
    if limit is not None:
        soft = max(_status("VmSize"), _status("VmSize") - _status("VmRSS") + limit)
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _peak() -> int:
    """Return the most bytes this process has held; that of `getrusage` may be its parent's."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def _status(name: str) -> int:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith(f"{name}:")), 0)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
