"""Trials on a Ray cluster of two workers, one for the whole module; none of it depends on where a trial ran."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

import batchlab
from batchlab.errors import MissingPackage, UnknownWorkload
from batchlab.records import Budget, StudyRecord, TrialResult, TrialSettings, to_json
from batchlab.studies.executors import Event, WorkloadSource
from batchlab.studies.local_executor import LocalExecutor
from batchlab.studies.ray_executor import RayExecutor
from batchlab.studies.trials import trial_settings
from simulated import INFO, spec

WORKLOAD_FILE = """
import os
import torch
from torch import nn
from batchlab.workload import Workload

print("loading in a worker")
inputs = torch.arange(64.0).reshape(64, 1) / 64
targets = (inputs[:, 0] > 0.5).long()

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)
    def forward(self, x):
        if self.training and len(x) == 5:
            raise RuntimeError("five is right out")
        if self.training and len(x) == 7:
            os._exit(3)
        return self.layer(x)

workload = Workload("tiny", Model, (inputs, targets), (inputs, targets))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start Ray on this machine, as small as it gets."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=80_000_000,
        address="local",
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> WorkloadSource:
    """Return a workload in a file of the user's own."""
    path = tmp_path_factory.mktemp("ray") / "tiny.py"
    path.write_text(WORKLOAD_FILE)
    return WorkloadSource(f"{path}:workload")


@pytest.fixture(scope="module")
def said() -> list[str]:
    """Return what the user was told."""
    return []


@pytest.fixture(scope="module")
def executor(cluster: None, source: WorkloadSource, said: list[str]) -> Iterator[RayExecutor]:
    """Return two workers with the tiny workload."""
    with RayExecutor(source, on_notice=said.append) as started:
        started.inspect()
        yield started


def trial(batch_size: int, seed: int = 0) -> TrialSettings:
    """Return a short trial."""
    question = spec(batch_sizes=(batch_size,), budget=Budget("steps", 6), lr_mode="fixed")
    return trial_settings(question, INFO, batch_size, 0.1, seed, "confirm")


def outcome(executor: RayExecutor | LocalExecutor) -> Event:
    """Return the next event that ends a trial."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        event = executor.next_event(1.0)
        if event is not None and event.examples is None:
            return event
    raise AssertionError("no trial ended within five minutes")


def wait_until_free(executor: RayExecutor, count: int = 1) -> None:
    """Wait for workers."""
    deadline = time.monotonic() + 300
    while executor.free() < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def plain(result: TrialResult | None) -> object:
    """Return all of a result but what it cost and where and when it was made."""
    assert result is not None
    whole = to_json(dataclasses.replace(result, host=""))
    return {name: value for name, value in whole.items() if not name.endswith(("seconds", "_s"))}


def test_a_trial_is_the_same_to_the_last_bit_as_in_a_process_here(
    executor: RayExecutor, source: WorkloadSource
) -> None:
    with LocalExecutor(source, workers=1, on_output=lambda _: None) as local:
        info = local.inspect()
        local.submit("here", trial(4))
        here = outcome(local).result
    wait_until_free(executor)
    assert executor.inspect() == info
    executor.submit("there", trial(4))
    assert plain(outcome(executor).result) == plain(here)


def test_what_a_trial_raises_fails_it_and_the_worker_goes_on(executor: RayExecutor) -> None:
    wait_until_free(executor)
    executor.submit("raises", trial(5))
    event = outcome(executor)
    assert event.key == "raises"
    assert event.error is not None and event.error.strip().endswith("RuntimeError: five is right out")
    executor.submit("after", trial(4))
    assert outcome(executor).result is not None


def test_a_trial_that_kills_every_worker_fails(executor: RayExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchlab.studies.ray_executor.MOST_ATTEMPTS", 1)
    wait_until_free(executor)
    executor.submit("kills", trial(7))
    event = outcome(executor)
    assert event.key == "kills"
    assert event.error is not None and event.error.startswith("Workers of the Ray cluster died of it, 1 of 1 (")


def test_a_worker_that_is_killed_costs_its_trial_a_second_run(executor: RayExecutor, said: list[str]) -> None:
    wait_until_free(executor)
    executor.submit("killed", dataclasses.replace(trial(4), n_steps=400_000, evaluate_at=(0,)))
    place = next(place for place in executor._places if place.key == "killed")
    worker = ray.get(place.actor.__ray_call__.remote(lambda self: os.getpid()))
    executor._trials["killed"].settings = trial(4)
    os.kill(worker, signal.SIGKILL)
    event = outcome(executor)
    assert (event.key, event.result is not None) == ("killed", True)
    assert any(text.endswith("; its trial is run again.") for text in said)


def test_a_canceled_trial_ends_with_the_reason(executor: RayExecutor) -> None:
    wait_until_free(executor)
    executor.submit("hangs", dataclasses.replace(trial(4), n_steps=10_000_000, evaluate_at=(0,)))
    executor.cancel("hangs", "It took too long")
    assert outcome(executor) == Event("hangs", error="It took too long")


def test_what_users_code_prints_is_passed_on(executor: RayExecutor, said: list[str]) -> None:
    wait_until_free(executor)
    executor.submit("prints", trial(4))
    outcome(executor)
    deadline = time.monotonic() + 300
    while "| loading in a worker" not in said:
        assert time.monotonic() < deadline
        executor.next_event(0.1)


def test_steps_are_timed_in_one_worker(executor: RayExecutor) -> None:
    wait_until_free(executor)
    times = executor.time_steps([trial(8)], on_wait=lambda: None)
    assert [one.batch_size for one in times] == [8]


def test_what_loading_raises_comes_back_as_itself(cluster: None, executor: RayExecutor) -> None:
    executor._end()
    with (
        RayExecutor(WorkloadSource("digits-mlq"), workers=1, on_notice=lambda _: None) as other,
        pytest.raises(UnknownWorkload),
    ):
        other.inspect()


def test_a_study_is_the_same_here_on_ray_and_on_postgresql(
    cluster: None, tmp_path: Path, postgres_address: str, untimed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RayExecutor, "time_steps", lambda self, settings, on_wait: ())

    def run(store: str, **where: object) -> StudyRecord:
        return batchlab.study(
            "digits-mlp", batch_sizes=(64, 256), steps=12, seeds=2, tuning_seeds=1, store=store, workers=2, **where
        ).record

    here = run(str(tmp_path / "here.db"))
    there = run(postgres_address, executor="ray")
    assert there.id == here.id
    assert {json.dumps(plain(one)) for one in there.trials} == {json.dumps(plain(one)) for one in here.trials}
    assert {one.host for one in there.trials} == {one.host for one in here.trials}
    again = batchlab.load_study(store=postgres_address)
    assert again.answer == batchlab.load_study(store=tmp_path / "here.db").answer


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage) as caught:
        RayExecutor(WorkloadSource("digits-mlp"), on_notice=lambda _: None)
    assert str(caught.value) == (
        "Trials on a Ray cluster need the package ray, which is not installed; run `pip install 'batchlab[ray]'`, here "
        "and on the machines of the cluster."
    )
