"""Kill a study's whole process group with SIGKILL at random moments, resume it each time, and look at what is left.

    python benchmarks/kill_resume.py --kills 20

The moments are uniform, from about when the first trials can have finished to a tenth of an undisturbed run later.
At the end there must be one result per trial, none lost, and the answer of a run that nothing disturbed.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from evidence import write_evidence

START_UP_S = 4.0
STUDY = ["digits-mlp", "--epochs", "20", "--seeds", "20", "--json", "--quiet"]


def command(store: Path) -> list[str]:
    """Return the command that starts the study, and the one that goes on with it: they are the same."""
    return [sys.executable, "-m", "batchlab", "study", *STUDY, "--store", str(store)]


def undisturbed(store: Path) -> tuple[dict[str, Any], float]:
    """Run the study to its end; its findings and the seconds it took."""
    started = time.monotonic()
    done = subprocess.run(command(store), capture_output=True, text=True, check=True)
    return json.loads(done.stdout), time.monotonic() - started


def killed_after(store: Path, seconds: float) -> int | None:
    """Start or go on with the study and kill its process group; the trials then stored, None if it ended."""
    process = subprocess.Popen(
        command(store), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return count_results(store)
    return None


def count_results(store: Path) -> int:
    """Return the number of results in the store, 0 before there is one; the file must be sound."""
    if not store.exists():
        return 0
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return connection.execute("SELECT count(*) FROM trials").fetchone()[0] if "trials" in tables else 0


def comparable(findings: dict[str, Any]) -> dict[str, Any]:
    """Return what must not depend on interruptions: everything but seconds."""
    rows = [{k: v for k, v in row.items() if k not in ("step_time_s", "seconds")} for row in findings["batch_sizes"]]
    others = {k: v for k, v in findings["under_other_budgets"].items() if k != "seconds"}
    kept = ("study", "answer", "learning_rate_exponent", "learning_rate_response", "curves", "trials")
    return {**{key: findings[key] for key in kept}, "batch_sizes": rows, "under_other_budgets": others}


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        calm, store = Path(folder) / "calm.db", Path(folder) / "killed.db"
        expected, seconds = undisturbed(calm)
        left: list[int] = []
        while len(left) < asked.kills:
            count = killed_after(store, draw.uniform(START_UP_S, START_UP_S + seconds / 10))
            if count is None:
                break
            left.append(count)
            print(f"kill {len(left):2}: {count} trials in the store", flush=True)
        found, _ = undisturbed(store)
        figures = {
            "kills": len(left),
            "trials_after_each_kill": left,
            "results": count_results(store),
            "results_undisturbed": count_results(calm),
            "same_findings": comparable(found) == comparable(expected),
            "seconds_undisturbed": round(seconds, 1),
        }
    print(json.dumps(figures))
    if asked.write:
        write_evidence("kill-resume", {"study": STUDY, "seed": asked.seed}, figures)
    if not figures["same_findings"] or figures["results"] != figures["results_undisturbed"] or left != sorted(left):
        raise SystemExit("trials were lost, repeated or changed")


if __name__ == "__main__":
    main()
