"""The command as a user types it, on small real studies."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchlab.cli.main import main

Here = Callable[..., tuple[int, str, str]]
SMALL = ["digits-mlp", "--batch-sizes", "64,256", "--epochs", "2", "--seeds", "3"]


def batchlab(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "batchlab", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run the command in `tmp_path` without starting Python anew; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return (code, *capsys.readouterr())

    return run


def without_seconds(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the machine's speed has no part in."""
    rows = [{k: v for k, v in row.items() if k not in ("step_time_s", "seconds")} for row in found["batch_sizes"]]
    return {**{k: found[k] for k in ("answer", "curves", "trials", "learning_rate_response")}, "batch_sizes": rows}


@pytest.mark.usefixtures("untimed")
def test_a_study_killed_with_its_workers_goes_on_where_it_was(tmp_path: Path, here: Here) -> None:
    command = [sys.executable, "-m", "batchlab", "study", *SMALL, "--json"]
    kept = []
    for _ in range(2):
        process = subprocess.Popen(
            command, cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        kept.append(_wait_for_more(tmp_path / "batchlab.db", than=kept[-1] if kept else 0, process=process))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found, calm_store = json.loads(here("resume", "--json")[1]), tmp_path / "calm.db"
    calm = json.loads(here("study", *SMALL, "--json", "--store", str(calm_store))[1])
    assert without_seconds(found) == without_seconds(calm)
    assert _count(tmp_path / "batchlab.db") == _count(calm_store) == found["trials"]["done"]


def _wait_for_more(store: Path, than: int, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 120
    while (count := _count(store)) <= than:
        assert process.poll() is None, "the study ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return count


def _count(store: Path) -> int:
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            count: int = connection.execute("SELECT count(*) FROM trials").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        if "connection" in locals():
            connection.close()
    return count


def test_the_whole_round_from_study_to_report(tmp_path: Path, here: Here) -> None:
    study = ["no-signal", "--batch-sizes", "50,200", "--epochs", "2", "--lr", "0.001", "--seeds", "4", "--name", "coin"]
    done = batchlab("study", *study, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("No batch size can be recommended")
    assert here("show", "coin")[1].splitlines()[0] == first
    assert "coin" in here("list")[1]
    assert here("report", "coin", "-o", "r.html")[0] == 0
    assert "No batch size can be recommended" in (tmp_path / "r.html").read_text()
    table = here("export", "coin", "--format", "csv")[1].splitlines()
    assert len(table) == 1 + 2 * 4
    again = json.loads(here("study", *study, "--json")[1])
    assert again["answer"]["verdict"] == "no-signal"


def test_a_second_driver_is_told_who_runs_the_study(tmp_path: Path) -> None:
    long = ["digits-mlp", "--batch-sizes", "8,16", "--epochs", "10", "--seeds", "50", "--lr", "0.01"]
    command = [sys.executable, "-m", "batchlab", "study", *long, "--workers", "1"]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_more(tmp_path / "batchlab.db", than=0, process=first)
        second = batchlab("study", *long, folder=tmp_path)
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(60)
    assert second.returncode == 1
    assert f"process {first.pid}" in second.stderr or f"pid {first.pid}" in second.stderr


def test_a_live_workload_is_studied_from_python(tmp_path: Path) -> None:
    import torch
    from torch import nn

    import batchlab

    class Net(nn.Module):
        """A class that no worker could import."""

        def __init__(self) -> None:
            """Make one layer."""
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Return the logits."""
            return self.layer(x)  # type: ignore[no-any-return]

    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 4, generator=generator)
    targets = (inputs[:, 0] > 0).long()
    workload = batchlab.Workload("mine", Net, (inputs[:120], targets[:120]), (inputs[120:], targets[120:]))
    store = tmp_path / "s.db"
    study = batchlab.study(workload, batch_sizes=(8, 60), seeds=3, epochs=2, lr=0.1, store=store, workers=1)
    assert study.answer.verdict in ("edge-of-range", "tied", "underpowered")
    assert len(study.trials) == 6
    with pytest.raises(batchlab.errors.UsageError) as raised:  # type: ignore[attr-defined]
        batchlab.resume(store=store)
    assert "batchlab.study(workload, ...)" in str(raised.value)


@pytest.mark.usefixtures("untimed")
def test_the_example_of_an_own_model_runs(here: Here) -> None:
    example = Path(__file__).parent.parent / "examples" / "own_model.py"
    options = ["--batch-sizes", "16,64", "--epochs", "2", "--seeds", "2", "--lr", "0.01"]
    code, out, err = here("study", f"{example}:workload", *options)
    assert code == 0, err
    assert out.startswith("Use batch size ")


OWN_MODEL = """
import torch
from torch import nn
from batchlab import Workload

inputs = torch.linspace(-1, 1, 64).reshape(64, 1)
targets = (inputs[:, 0] > 0).long()
workload = Workload("own", lambda: nn.Sequential(nn.Linear(1, {width}), nn.ReLU(), nn.Linear({width}, 2)),
                    (inputs, targets), (inputs, targets))
"""


@pytest.mark.usefixtures("untimed")
def test_an_edited_model_makes_new_trials_and_an_unedited_one_none(tmp_path: Path, here: Here) -> None:
    file, arguments = tmp_path / "own.py", ["--batch-sizes", "8,16", "--steps", "5", "--seeds", "2", "--lr", "0.1"]
    counts, said = [], []
    for width in (4, 4, 5):
        file.write_text(OWN_MODEL.format(width=width))
        code, _, err = here("study", "own.py:workload", *arguments, "--workers", "1")
        assert code == 0, err
        counts.append(_count(tmp_path / "batchlab.db"))
        said.append("own has changed since this study was last run: its trials are made anew." in err)
    assert counts == [4, 4, 8]
    assert said == [False, False, True]
