"""Which process drives a study, and whether it still lives."""

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SILENCE_S = 60.0
HEARTBEAT_S = 10.0

Sign = Literal["alive", "dead", "silent"]


@dataclass(frozen=True, slots=True)
class Driver:
    """The process that works on a study.

    `process_start` is the start time the system gives for the process, in its own unit, None where it gives none.
    `heartbeat` is the last sign of life, in seconds since 1970 by the clock of the store. `owner` is the user, and
    `machine` tells apart machines, and containers, of one host name; both are empty in records of earlier versions.
    """

    host: str
    pid: int
    process_start: int | None
    since: str
    heartbeat: float
    owner: str = ""
    machine: str = ""


def this_driver(since: str, now: float) -> Driver:
    """Return the calling process as a driver."""
    pid = os.getpid()
    return Driver(socket.gethostname(), pid, _process_start(pid), since, now, user_name(), _machine())


def user_name() -> str:
    """Return the name of the user, or the number of one who has no name, as happens in containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"user {os.getuid()}"


def is_alive(driver: Driver, now: float) -> bool:
    """Return whether the driver is known to work; `now` is told by the clock that told its heartbeat."""
    return sign_of(driver, now) == "alive"


def sign_of(driver: Driver, now: float) -> Sign:
    """Return whether the driver still works, as far as can be told from here and by one look.

    On this machine the process must exist, and where the system tells when it started be the same one: process ids are
    used again. Elsewhere, a heartbeat less than a minute old is a sign of life. An older one is none, and one that lies
    in the future says that a clock was set: such a driver is silent, and whoever must know watches it for a while.
    """
    fresh: Sign = "alive" if abs(now - driver.heartbeat) < SILENCE_S else "silent"
    # On Windows the question "does it exist?" would be a signal that ends the process.
    if not _is_here(driver) or os.name == "nt":
        return fresh
    if driver.process_start is not None:
        return "alive" if _process_start(driver.pid) == driver.process_start else "dead"
    return fresh if _exists(driver.pid) else "dead"


def _is_here(driver: Driver) -> bool:
    return driver.host == socket.gethostname() and driver.machine in ("", _machine())


def _machine() -> str:
    """Return what no other running machine has, and no container that numbers its processes anew; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


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
