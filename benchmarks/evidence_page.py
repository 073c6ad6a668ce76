"""Pages of documentation whose figures come from the newest evidence, and from nowhere else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
ROOT = Path(__file__).parent.parent
EVIDENCE, DOCS = ROOT / "evidence", ROOT / "docs"
CALM_CORES = 0.2


def newest(name: str, folder: Path = EVIDENCE) -> Record | None:
    """Return the last record of a benchmark, None where there is none."""
    paths = sorted(path for path in folder.glob(f"*-{name}.json") if path.name[len("2026-01-01-") :] == f"{name}.json")
    return json.loads(paths[-1].read_text(encoding="utf-8")) if paths else None


def section(title: str, name: str, record: Record | None, write: Callable[[Record], str]) -> str:
    """Return a section of a page, which says when and where it was measured, or how to do that."""
    if record is None:
        return f"\n## {title}\n\nNot measured yet: `python benchmarks/{name.replace('-', '_')}.py --write` does it.\n"
    machine, versions = record["machine"], record["versions"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    told = f"\n*Measured {record['date'][:10]} on {where}, Python {versions['python']}, torch {versions['torch']}, "
    told += f"at commit {record['commit']}.*\n"
    busy = record["settings"].get("busy_cores_before", 0.0)
    if busy > CALM_CORES:
        told += f"\nOthers used {busy:.1f} cores when this began: figures with several threads say little.\n"
    return f"\n## {title}\n{told}{write(record)}"


def table(heads: list[str], rows: list[list[str]], n_words: int = 1) -> str:
    """Return a Markdown table whose columns are numbers, but for the first `n_words`."""
    lines = [heads, ["---"] * n_words + ["---:"] * (len(heads) - n_words), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
