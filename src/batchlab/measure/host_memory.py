"""The largest batch size that fits into the host's memory, found in child processes that may run out of it."""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from batchlab.errors import CannotTravel, ExecutorError
from batchlab.measure.available_memory import available_memory
from batchlab.measure.device_memory import RESERVE
from batchlab.measure.max_batch_size import MaxBatchSize, find_max_batch_size


def find_max_batch_size_on_host(
    run_step: Callable[[int], object],
    low: int = 1,
    high: int | None = None,
    limit: int | None = None,
    *,
    n_examples: int | None = None,
    threads: int | None = None,
) -> MaxBatchSize:
    """Return the largest batch size that fits into the host's memory; peaks are bytes resident in a process.

    As `find_max_batch_size`, with every size in a child process of its own: a peak begins anew with each, what is
    loaded and trained there is gone with it, and a child that is killed for its memory takes nobody with it.

    Args:
        run_step: as for `find_max_batch_size`; a copy of it travels to another process (by pickle, by cloudpickle where
            that is installed), with the model and the data it refers to. Linux and macOS.
        low: the size to begin with.
        high: the largest size to try.
        limit: bytes a process may hold, the interpreter and torch included; by default 94 % of what is available now.
        n_examples: how many examples there are.
        threads: torch's threads in the children, by default as here.

    Raises:
        CannotTravel: `run_step` cannot be pickled, or not be unpickled elsewhere.
        ExecutorError: a step failed for another reason than memory.
    """
    import torch

    usable = limit if limit is not None else int((1 - RESERVE) * available_memory())
    peaks: list[int] = [0]
    with _forking(run_step) as ask:

        def run(batch_size: int) -> None:
            kind, *found = ask("run", batch_size, usable, threads or torch.get_num_threads())
            if kind == "lacking" or (kind == "died" and found[0] == -signal.SIGKILL):
                raise MemoryError
            if kind != "fits":
                raise ExecutorError(_failure(batch_size, kind, found[0]))
            peaks[0] = found[0]

        return find_max_batch_size(run, low, high, lambda: float(peaks[0]), float(usable), n_examples=n_examples)


@contextmanager
def _forking(run_step: Callable[[int], object]) -> Iterator[Callable[..., tuple[Any, ...]]]:
    """Give the function that asks the forking process, which has loaded `run_step`, and ends with the block."""
    pickled = _pickled(run_step)
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "batchlab.measure.forked_steps", str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, process_group=0)
    theirs.close()
    pipe = Connection(ours.detach())

    def ask(*message: object) -> tuple[Any, ...]:
        try:
            pipe.send(message)
            answer: tuple[Any, ...] = pipe.recv()
        except (EOFError, OSError) as error:
            raise ExecutorError(
                f"A process must go on making steps, but ended with code {process.wait()}; see what it printed last."
            ) from error
        return answer

    try:
        kind, *found = ask("load", [os.getcwd(), *filter(None, sys.path)], pickled)
        if kind != "loaded":
            raise CannotTravel(
                "`run_step` must be loadable in another process, which failed with "
                f"{_last_line(found[0])!r}; define it in a module that can be imported, or measure with "
                "`find_max_batch_size` in this process."
            )
        yield ask
    finally:
        pipe.close()
        process.kill()
        process.wait()


def _pickled(run_step: Callable[[int], object]) -> bytes:
    try:
        import cloudpickle

        dumps: Callable[[Any], bytes] = cloudpickle.dumps
    except ImportError:
        dumps = pickle.dumps
    try:
        return dumps(run_step)
    except Exception as error:
        raise CannotTravel(
            f"`run_step` must travel to another process, but cannot be pickled ({error}); make what cannot be pickled "
            "inside of it, or measure with `find_max_batch_size` in this process."
        ) from error


def _failure(batch_size: int, kind: str, found: object) -> str:
    how = f"its process ended with code {found}" if kind == "died" else f"with {_last_line(found)!r}"
    return (
        f"A step must succeed or run out of memory, but at batch size {batch_size} it failed: {how}; call it in this "
        "process to see where."
    )


def _last_line(text: object) -> str:
    return str(text).strip().splitlines()[-1]
