"""Which process drives a study, and whether it still lives."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

SILENCE_S = 60.0
HEARTBEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Driver:
    """The process that works on a study.

    `process_start` is the start time the system gives for the process, in its own unit, None where it gives none.
    `heartbeat` is the last sign of life, in seconds since 1970.
    """

    host: str
    pid: int
    process_start: int | None
    since: str
    heartbeat: float


def this_driver(since: str) -> Driver:
    """Return the calling process as a driver."""
    return Driver(socket.gethostname(), os.getpid(), _process_start(os.getpid()), since, time.time())


def is_alive(driver: Driver) -> bool:
    """Return whether the driver still works, as far as can be told from here.

    On this machine the process must exist, and where the system tells when it started be the same one: process ids are
    used again. Elsewhere, the last heartbeat must be less than a minute old.
    """
    fresh = time.time() - driver.heartbeat < SILENCE_S
    # On Windows the question "does it exist?" would be a signal that ends the process.
    if driver.host != socket.gethostname() or os.name == "nt":
        return fresh
    if driver.process_start is not None:
        return _process_start(driver.pid) == driver.process_start
    return fresh and _exists(driver.pid)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_start(pid: int) -> int | None:
    """Return the clock ticks from boot to the start of a process (proc(5)), None for a zombie or without /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The command's name is in parentheses and may itself hold any character; state is the first field after it.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
