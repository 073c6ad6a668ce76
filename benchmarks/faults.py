"""Make things go wrong in the middle of a real study, one fault a study, and look at what is left.

    python benchmarks/faults.py

A worker process is killed; a Ray worker is killed; PostgreSQL is stopped twice and started again; the disk is full; two
drivers come at once. Each study must end, after one more run of the same command where the fault ends it, with the
trials and the answer of an undisturbed one. Kills of the whole study are in kill_resume.py; clocks that were set, which
would disturb the machine, in the tests of the stores.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evidence import write_evidence
from kill_resume import comparable
from postgres_server import postgres_server
from process_memory import descendants

STUDY = ["digits-mlp", "--batch-sizes", "16,64,256", "--epochs", "8", "--seeds", "6", "--json", "--quiet"]
AWAY_S = 1.0
LONGEST_S = 300.0
FULL, ROOMY = "size=400k", "size=64m"

Findings = dict[str, Any]


def start(store: str, *options: str) -> "subprocess.Popen[str]":
    """Start the study."""
    command = [sys.executable, "-m", "batchlab", "study", *STUDY, "--store", store, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> Findings:
    """Return what a study finds that must come to its end."""
    out, err = process.communicate(timeout=LONGEST_S)
    if process.returncode:
        raise SystemExit(f"the study ended with {process.returncode}: {err}")
    return comparable(json.loads(out))


def trials_in(store: str) -> int:
    """Return how many trials the studies in a store have."""
    command = [sys.executable, "-m", "batchlab", "list", "--json", "--store", store]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(study["n_trials"] for study in json.loads(done.stdout)["studies"]) if done.returncode == 0 else 0


def wait_for_trials(store: str, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until so many trials are stored."""
    while process.poll() is None and trials_in(store) < count:
        time.sleep(0.2)


def worker_killed(folder: Path) -> Findings:
    """Kill a worker process; its trial fails, and is made by the next run."""
    store = os.fspath(folder / "worker.db")
    process = start(store)
    wait_for_trials(store, 5, process)
    os.kill(descendants(process.pid)[-1], signal.SIGKILL)
    process.communicate(timeout=LONGEST_S)
    return finish(start(store))


def ray_worker_killed(folder: Path) -> Findings:
    """Kill an actor's process; its trial is run again by itself."""
    store = os.fspath(folder / "ray.db")
    process = start(store, "--executor", "ray", "--address", "local", "--workers", "2")
    wait_for_trials(store, 5, process)
    actors = [pid for pid in descendants(process.pid) if b"RayWorker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(actors[0], signal.SIGKILL)
    return finish(process)


def server_stopped(folder: Path) -> Findings:
    """Stop PostgreSQL, once in its own way and once without tidying up, and start it again."""
    with postgres_server() as server:
        store = server.address("postgres")
        process = start(store)
        for count, how in ((5, signal.SIGINT), (15, signal.SIGQUIT)):
            wait_for_trials(store, count, process)
            server.stop(how)
            time.sleep(AWAY_S)
            server.start()
        return finish(process)


def disk_full(folder: Path) -> Findings:
    """Let the disk run full, make room, and go on."""
    with mounted(folder / "small") as place:
        store = os.fspath(place / "s.db")
        process = start(store)
        _, err = process.communicate(timeout=LONGEST_S)
        if "its disk is full" not in err:
            raise SystemExit(f"the disk was to run full: {err}")
        subprocess.run(["mount", "-o", f"remount,{ROOMY}", os.fspath(place)], check=True)
        return finish(start(store))


def two_drivers(folder: Path) -> Findings:
    """Start the study twice at once: one is refused, the other one goes on."""
    store = os.fspath(folder / "two.db")
    pair = [start(store), start(store)]
    while all(process.poll() is None for process in pair):
        time.sleep(0.1)
    second = next(process for process in pair if process.poll() is not None)
    _, err = second.communicate()
    if second.returncode != 1 or "A study has one driver at a time" not in err:
        raise SystemExit(f"the second driver was to be refused: {second.returncode}, {err}")
    return finish(next(process for process in pair if process is not second))


@contextmanager
def mounted(place: Path) -> Any:
    """Mount a small file system for the length of a `with`."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", FULL, "tmpfs", os.fspath(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", os.fspath(place)], check=True)


FAULTS: dict[str, Callable[[Path], Findings]] = {
    "worker-killed": worker_killed,
    "two-drivers": two_drivers,
    "disk-full": disk_full,
    "postgresql-stopped-twice": server_stopped,
    "ray-worker-killed": ray_worker_killed,
}


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--only", choices=FAULTS, help="one fault")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        calm = finish(start(os.fspath(Path(name) / "calm.db")))
        for fault in [asked.only] if asked.only else FAULTS:
            started = time.monotonic()
            found = FAULTS[fault](Path(name))
            figures[fault] = {
                "trials": found["trials"],
                "same_trials_and_answer": found == calm,
                "seconds": round(time.monotonic() - started, 1),
            }
            print(fault, json.dumps(figures[fault]), flush=True)
    if asked.write:
        write_evidence("faults", {"study": STUDY}, {"trials_undisturbed": calm["trials"], **figures})
    if not all(figure["same_trials_and_answer"] for figure in figures.values()):
        raise SystemExit("trials were lost, repeated or changed")


if __name__ == "__main__":
    main()
