"""How much of the host's memory may be used: what is free, within the limit of the container."""

import os
from pathlib import Path

ROOT = Path("/")
MEMORY_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def available_memory(root: Path = ROOT) -> int:
    """Return the bytes a new process may take: MemAvailable, or what its control groups leave if that is less.

    Linux (proc(5), cgroups(7), versions 1 and 2, the process's own group and those above it). Elsewhere the physical
    memory, of which nobody tells how much is free.

    Args:
        root: where /proc and /sys are, for tests.
    """
    bounds = [_free(root), *(left for folder in _groups(root) if (left := _left(folder)) is not None)]
    return max(0, min(bounds))


def _free(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> list[Path]:
    """Return the folders of this process's memory control groups, and those above; in a container, just the top one."""
    try:
        lines = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, controllers, place in (line for line in lines if len(line) == 3):
        if controllers in ("", "memory"):
            top = root / "sys/fs/cgroup" / controllers
            own = top / place.strip("/")
            found += [own, *(above for above in own.parents if above.is_relative_to(top))]
    return found


def _left(folder: Path) -> int | None:
    for limit, usage in MEMORY_FILES:
        try:
            return int((folder / limit).read_text()) - int((folder / usage).read_text())
        except (OSError, ValueError):
            # No such file, or "max" in it.
            continue
    return None
