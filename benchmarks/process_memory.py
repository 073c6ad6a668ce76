"""How much memory a process and its descendants hold, read from /proc; Linux only."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process: resident, and its share of what it holds together with others."""

    resident: int
    proportional: int


def memory_of(pid: int) -> Memory:
    """Return what a process holds now (proc(5): Rss and Pss of smaps_rollup)."""
    fields = {}
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            fields[name] = int(rest.split()[0]) * 1024
    return Memory(fields["Rss"], fields["Pss"])


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes that a process has started, theirs included."""
    parents: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            parents[int(folder.name)] = int(text.rpartition(")")[2].split()[1])
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found
