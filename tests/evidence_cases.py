"""Evidence files for tests of the pages that are written from them."""

import json
from pathlib import Path
from typing import Any


def write(folder: Path, name: str, figures: Any, date: str = "2026-01-02", **settings: Any) -> None:
    """Write evidence as `evidence.py` does."""
    record = {
        "benchmark": name,
        "date": f"{date}T00:00:00+00:00",
        "commit": "abc1234",
        "machine": {"system": "Linux", "cores": 2, "processor": "P"},
        "versions": {"python": "3.11.1", "torch": "2.13.0"},
        "settings": settings,
        "figures": figures,
    }
    (folder / f"{date}-{name}.json").write_text(json.dumps(record))
