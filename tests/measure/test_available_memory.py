from pathlib import Path

import pytest

from batchlab.measure.available_memory import available_memory

GIB = 1 << 30
FREE = 8 * GIB


def tree(root: Path, cgroup: str, files: dict[str, int | str]) -> Path:
    files = {
        "proc/meminfo": f"MemTotal: 99999 kB\nMemAvailable: {FREE // 1024} kB\n",
        "proc/self/cgroup": cgroup,
        **files,
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


def test_without_groups_it_is_what_the_system_says(tmp_path: Path) -> None:
    assert available_memory(tree(tmp_path, "", {})) == FREE


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/job", {f"{V2}/job/memory.max": 3 * GIB, f"{V2}/job/memory.current": GIB}, 2 * GIB),
        ("0::/a/job", {f"{V2}/a/memory.max": 3 * GIB, f"{V2}/a/memory.current": GIB}, 2 * GIB),
        ("0::/job", {f"{V2}/job/memory.max": "max", f"{V2}/job/memory.current": GIB}, FREE),
        # In a container the group's own path is not visible, its files are at the top.
        ("0::/far/away", {f"{V2}/memory.max": 3 * GIB, f"{V2}/memory.current": GIB}, 2 * GIB),
        (
            "4:memory:/job\n3:cpu:/other",
            {f"{V1}/job/memory.limit_in_bytes": GIB, f"{V1}/job/memory.usage_in_bytes": GIB // 4},
            3 * GIB // 4,
        ),
        ("4:memory:/", {f"{V1}/memory.limit_in_bytes": 2**63 - 4096, f"{V1}/memory.usage_in_bytes": GIB}, FREE),
        ("0::/", {f"{V2}/memory.max": GIB, f"{V2}/memory.current": 2 * GIB}, 0),
    ],
)
def test_a_control_group_leaves_less(tmp_path: Path, cgroup: str, files: dict, expected: int) -> None:
    assert available_memory(tree(tmp_path, cgroup, files)) == expected


def test_elsewhere_it_is_the_physical_memory(tmp_path: Path) -> None:
    assert available_memory(tmp_path) > GIB // 4
