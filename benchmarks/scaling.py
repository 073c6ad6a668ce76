"""What does a study cost as it grows, how long until its first trial, and what do driver and store take of it?

Four parts. Growth: steps a second and memory as the number of trials, the batch size and the width of the network grow
64 times, each study driven from a fresh process. Start: from the command to its first trial. Idle cores: a tuned study
of the digits, by when its trials were sent and came back. Driver: studies whose trials take no time, with SQLite on
disk and with a store in memory, against what as many trials of the digits took in this very run.

    python benchmarks/scaling.py [--short] [--write]

Linux only: memory is read from /proc.
"""

import argparse
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from batchlab.records import StudySpec, WorkloadInfo
from batchlab.studies.executors import Executor, available_cores
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.opening import Where, opened_executor
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.spec import StudyOptions, resolve_spec
from batchlab.studies.store import Store
from batchlab.studies.store_opening import open_store
from clocked import Clocked
from evidence import write_evidence
from instant import Instant
from process_memory import MIB, descendants, memory_of
from spread import busy_cores, spread
from timeline import idle_shares

WORKLOADS = Path(__file__).parent / "scaling_workloads.py"
STEPS, BASE_TRIALS = 200, 16
GROWTH = (1, 4, 16, 64)
WIDTHS = (16, 64, 256, 1024)
START_COMMAND = ("digits-mlp", "--batch-sizes", "32", "--lr", "0.05", "--steps", "1", "--seeds", "1", "--quiet")
INSTANT_SIZES = tuple(2**power for power in range(10))
INSTANT_TRIALS = (80, 320, 1250, 5000)
START_LIMIT_S = 120.0


def in_fresh_process(function: Any, *arguments: Any) -> Any:
    """Return what a function returns in a process that has imported nothing but this file."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def driven(spec: StudySpec, info: WorkloadInfo, executor: Executor, store: Store) -> Clocked:
    """Run a study and return the executor that has watched it."""
    clocked = Clocked(executor)
    with closing(store):
        run_study(spec, info, name="scaling", store=store, executor=clocked, progress=Quiet())
    return clocked


def store_in(folder: str) -> Store:
    return open_store(os.fspath(Path(folder) / "scaling.db"))


def grown(workload: str, batch_size: int, trials: int) -> dict[str, Any]:
    """Return steps a second and memory of one study, driven from this process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        opened_executor(f"{WORKLOADS}:{workload}", None, "cpu", Where(), Quiet()) as (executor, info),
    ):
        options = StudyOptions(batch_sizes=(batch_size,), lr=0.05, steps=STEPS, seeds=trials)
        clocked = driven(resolve_spec(options, info), info, executor, store_in(folder))
        held = [memory_of(pid) for pid in descendants(os.getpid())]
    own = memory_of(os.getpid())
    return {
        "steps_per_s": trials * STEPS / clocked.seconds,
        "driver_mib": own.resident / MIB,
        "worker_mib": max(one.resident for one in held) / MIB,
        "all_processes_mib": (own.proportional + sum(one.proportional for one in held)) / MIB,
    }


def growth(factors: Iterable[int]) -> list[dict[str, Any]]:
    """Return one row for each quantity and factor."""
    rows = []
    for factor in factors:
        for quantity, workload, batch_size, trials in (
            ("trials", "width_64", 32, BASE_TRIALS * factor),
            ("batch size", "width_64", 8 * factor, BASE_TRIALS),
            ("width", f"width_{WIDTHS[0] * factor}", 32, BASE_TRIALS),
        ):
            value = {"trials": trials, "batch size": batch_size, "width": WIDTHS[0] * factor}[quantity]
            found = in_fresh_process(grown, workload, batch_size, trials)
            rows.append({"quantity": quantity, "factor": factor, "value": value, **found})
    return sorted(rows, key=lambda row: (row["quantity"], row["factor"]))


def start_up(times: int) -> list[float]:
    """Return the seconds from the command to its first trial, which makes one step and whose own time is taken off."""
    return [_one_start() for _ in range(times)]


def _one_start() -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "start.db"
        command = [sys.executable, "-m", "batchlab", "study", *START_COMMAND, "--store", str(store)]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while (seconds := _seconds_of_first_trial(store)) is None:
                if time.perf_counter() - started > START_LIMIT_S or process.poll():
                    raise SystemExit(f"The command should have stored a trial and has not: {' '.join(command)}")
                time.sleep(0.005)
            return time.perf_counter() - started - seconds
        finally:
            process.wait()


def _seconds_of_first_trial(store: Path) -> float | None:
    if not store.exists():
        return None
    try:
        with closing(sqlite3.connect(store)) as connection:
            found = connection.execute("SELECT json_extract(result, '$.seconds') FROM trials").fetchone()
    except sqlite3.OperationalError:
        # The tables are not there yet.
        return None
    return None if found is None else float(found[0])


def idle(seeds: int) -> dict[str, Any]:
    """Return the idle shares of a tuned study of the digits, and what its trials took."""
    with (
        tempfile.TemporaryDirectory() as folder,
        opened_executor("digits-mlp", None, "cpu", Where(), Quiet()) as (executor, info),
    ):
        clocked = driven(resolve_spec(StudyOptions(seeds=seeds), info), info, executor, store_in(folder))
    trials = [(clocked.sent[key], back) for key, back in clocked.back.items()]
    shares = idle_shares(trials, available_cores())
    return {
        "trials": len(trials),
        "seconds": clocked.seconds,
        "trial_s": sum(back - sent for sent, back in trials) / len(trials),
        "idle_share": shares.whole,
        "idle_share_at_end": shares.at_end,
    }


def driver(trials: int, info: WorkloadInfo) -> dict[str, Any]:
    """Return what driver and store take for a study of so many trials that take no time."""
    options = StudyOptions(batch_sizes=INSTANT_SIZES, lr=0.05, seeds=trials // len(INSTANT_SIZES))
    spec = resolve_spec(options, info)
    with tempfile.TemporaryDirectory() as folder:
        seconds = [_instant(spec, info, store) for store in (MemoryStore(), store_in(folder))]
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {"trials": trials, "driver_s": seconds[0], "driver_and_store_s": seconds[1], "store_mib": size / MIB}


def _instant(spec: StudySpec, info: WorkloadInfo, store: Store) -> float:
    started = time.perf_counter()
    driven(spec, info, Instant(available_cores()), store)
    return time.perf_counter() - started


def digits_info() -> WorkloadInfo:
    with opened_executor("digits-mlp", None, "cpu", Where(workers=1), Quiet()) as (_, info):
        return info


def show(figures: dict[str, Any]) -> None:
    """Print all parts."""
    print(f"{'':<12}{'':>8}{'steps/s':>11}{'driver':>12}{'worker':>12}{'together':>12}")
    for row in figures["growth"]:
        print(f"{row['quantity']:<12}{row['value']:>8,}{row['steps_per_s']:>11,.0f}", end="")
        print("".join(f"{row[name]:>8,.0f} MiB" for name in ("driver_mib", "worker_mib", "all_processes_mib")))
    start, found = figures["start_s"], figures["idle"]
    print(f"\nCommand to first trial: {start['median']:.2f} s ({start['low']:.2f} to {start['high']:.2f})")
    print(f"{found['trials']} trials of the digits, {found['trial_s']:.2f} s each: cores idle", end="")
    print(f" {found['idle_share']:.1%}, of it at the end {found['idle_share_at_end']:.1%}")
    print(f"\n{'trials':>8}{'driver':>10}{'+ store':>10}{'a trial':>12}{'of real trials':>16}{'file':>12}")
    for row in figures["driver"]:
        print(f"{row['trials']:>8,}{row['driver_s']:>8.2f} s{row['driver_and_store_s']:>8.2f} s", end="")
        print(f"{1e3 * row['driver_and_store_s'] / row['trials']:>9.2f} ms", end="")
        print(f"{row['share']:>16.1%}{row['store_mib']:>8.1f} MiB")


def measure(short: bool) -> dict[str, Any]:
    factors, starts = (GROWTH[:2], 1) if short else (GROWTH, 5)
    found = in_fresh_process(idle, 1 if short else 5)
    info = in_fresh_process(digits_info)
    rows = [in_fresh_process(driver, trials, info) for trials in INSTANT_TRIALS[: 3 if short else None]]
    for row in rows:
        row["share"] = row["driver_and_store_s"] / (row["trials"] * found["trial_s"] / available_cores())
    return {"growth": growth(factors), "start_s": spread(start_up(starts)), "idle": found, "driver": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--short", action="store_true", help="small studies only: a minute or two")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    busy = busy_cores()
    figures = measure(asked.short)
    show(figures)
    if asked.write:
        settings = {"steps": STEPS, "trials": BASE_TRIALS, "cores": available_cores(), "busy_cores_before": busy}
        write_evidence("scaling", settings, figures)


if __name__ == "__main__":
    main()
