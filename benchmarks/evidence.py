"""Write what a benchmark found under evidence/, dated, with the machine, the versions and the commit."""

import datetime
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "evidence"
PACKAGES = ("batchlab", "numpy", "scipy", "torch")


def write_evidence(name: str, settings: dict[str, Any], figures: Any) -> Path:
    """Write figures as evidence/DATE-NAME.json and return the path; a later run of the same day replaces it."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{datetime.date.today().isoformat()}-{name}.json"
    record = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {"system": platform.system(), "cores": os.cpu_count(), "processor": _processor()},
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "settings": settings,
        "figures": figures,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"Written: {path.relative_to(FOLDER.parent)}")
    return path


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=FOLDER.parent, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
