import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchlab.errors import DeviceError, ExecutorError, UnknownWorkload
from batchlab.records import Budget, TrialSettings
from batchlab.studies.executors import Event, WorkloadSource
from batchlab.studies.local_executor import LocalExecutor
from batchlab.studies.plan import trial_settings
from simulated import INFO, spec

WORKLOAD_FILE = """
import os
import torch
from torch import nn
from batchlab.workload import Workload

inputs = torch.arange(64.0).reshape(64, 1) / 64
targets = (inputs[:, 0] > 0.5).long()

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)
    def forward(self, x):
        if os.environ.get("BATCHLAB_TEST_MISBEHAVE") == "exit" and self.training and len(x) == 7:
            os._exit(3)
        if self.training and len(x) == 5:
            raise RuntimeError("five is right out")
        return self.layer(x)

workload = Workload("tiny", Model, (inputs, targets), (inputs, targets))
"""


@pytest.fixture
def source(tmp_path: Path) -> WorkloadSource:
    """Return a workload in a file of the user's own."""
    path = tmp_path / "tiny.py"
    path.write_text(WORKLOAD_FILE)
    return WorkloadSource(f"{path}:workload")


@pytest.fixture
def executor(source: WorkloadSource, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    """Return two workers with the tiny workload."""
    monkeypatch.setenv("BATCHLAB_TEST_MISBEHAVE", "exit")
    with LocalExecutor(source, workers=2) as started:
        yield started


def trial(executor: LocalExecutor, batch_size: int, seed: int = 0) -> TrialSettings:
    """Return a short trial."""
    question = spec(batch_sizes=(batch_size,), budget=Budget("steps", 6), lr_mode="fixed")
    return trial_settings(question, INFO, batch_size, 0.1, seed, "confirm")


def outcome(executor: LocalExecutor) -> Event:
    """Return the next event that ends a trial."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        event = executor.next_event(1.0)
        if event is not None and event.examples is None:
            return event
    raise AssertionError("no trial ended within a minute")


def test_workers_run_trials_survive_errors_and_are_replaced_when_they_die(executor: LocalExecutor) -> None:
    info = executor.inspect()
    assert (info.name, info.n_train, info.metric) == ("tiny", 64, "error")

    executor.submit("a", trial(executor, 4))
    executor.submit("b", trial(executor, 4))
    assert executor.free() == 0
    results = [outcome(executor).result, outcome(executor).result]
    assert results[0] is not None and results[1] is not None
    assert results[0].curve.valid_loss == results[1].curve.valid_loss

    executor.submit("raises", trial(executor, 5))
    event = outcome(executor)
    assert event.key == "raises"
    assert event.error is not None and event.error.strip().endswith("RuntimeError: five is right out")

    executor.submit("dies", trial(executor, 7))
    event = outcome(executor)
    assert (event.key, event.error) == ("dies", "The worker process ended with exit code 3.")
    assert executor.free() == 2

    executor.submit("after", trial(executor, 4))
    executor.submit("after2", trial(executor, 4))
    assert {outcome(executor).key, outcome(executor).key} == {"after", "after2"}

    times = executor.time_steps([trial(executor, 4), trial(executor, 8)], on_wait=lambda: None)
    assert [one.batch_size for one in times] == [4, 8]
    assert all(0 < one.low_s <= one.median_s <= one.high_s for one in times)


def test_a_device_that_is_not_there_is_an_error(source: WorkloadSource) -> None:
    with LocalExecutor(source, devices=("cuda:9",)) as executor, pytest.raises(DeviceError) as raised:
        executor.inspect()
    assert str(raised.value) == "`--device` must be a device of this machine (cpu), got 'cuda:9'; use cpu."


def test_a_trial_whose_worker_is_killed_is_run_once_more(executor: LocalExecutor) -> None:
    executor.inspect()
    executor.submit("killed", dataclasses.replace(trial(executor, 4), n_steps=1_000_000, evaluate_at=(0,)))
    worker = next(worker for worker in executor._crew.workers if worker.key == "killed")
    worker.settings = trial(executor, 4)
    os.kill(worker.process.pid, signal.SIGKILL)
    event = outcome(executor)
    assert (event.key, event.result is not None) == ("killed", True)


def test_what_loading_raises_comes_back_as_itself() -> None:
    with LocalExecutor(WorkloadSource("digits-mlq"), workers=1) as executor, pytest.raises(UnknownWorkload):
        executor.inspect()


def test_a_file_that_raises_shows_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise RuntimeError('half-written')")
    with (
        LocalExecutor(WorkloadSource(f"{path}:workload"), workers=1) as executor,
        pytest.raises(Exception, match="half-written"),
    ):
        executor.inspect()


def test_workers_end_with_their_driver(source: WorkloadSource) -> None:
    pid = os.fork()
    if pid == 0:
        executor = LocalExecutor(source, workers=1)
        executor.inspect()
        Path(source.reference.split(":")[0]).parent.joinpath("pid").write_text(
            str(executor._crew.workers[0].process.pid)
        )
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    worker = int(Path(source.reference.split(":")[0]).parent.joinpath("pid").read_text())
    deadline = time.monotonic() + 10
    while _is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_alive(worker)


def test_a_worker_that_ends_while_loading_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "leaves.py"
    path.write_text("import os; os._exit(4)")
    with LocalExecutor(WorkloadSource(f"{path}:workload"), workers=1) as executor:
        with pytest.raises(ExecutorError) as raised:
            executor.inspect()
    assert str(raised.value) == (
        f"A worker process was to load the workload ({path}:workload), but ended with exit code 4; mend that, "
        "and run the command again."
    )


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


COUNTED_FILE = """
import os, threading, time
import torch
from torch import nn
from batchlab.workload import Workload

with open({place!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n")
{at_import}
inputs = torch.arange(64.0).reshape(64, 1) / 64
workload = Workload("counted", lambda: nn.Linear(1, 2), (inputs, (inputs[:, 0] > 0.5).long()),
                    (inputs, (inputs[:, 0] > 0.5).long()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize(
    ("at_import", "n_loads"), [("", 1), ("threading.Thread(target=time.sleep, args=(30,), daemon=True).start()", 3)]
)
def test_the_workload_is_loaded_once_unless_it_cannot_be_forked(tmp_path: Path, at_import: str, n_loads: int) -> None:
    loads, path = tmp_path / "loads", tmp_path / "counted.py"
    path.write_text(COUNTED_FILE.format(place=str(loads), at_import=at_import))
    with LocalExecutor(WorkloadSource(f"{path}:workload"), workers=2) as executor:
        executor.inspect()
        for seed in range(2):
            executor.submit(str(seed), trial(executor, 8, seed))
        found = set()
        while len(found) < 2:
            event = executor.next_event(1)
            if event is not None and event.examples is None:
                assert event.error is None
                found.add(event.key)
    # Where it was loaded by a template that cannot be forked, each of the two workers loads it again.
    assert len(loads.read_text().split()) == n_loads
