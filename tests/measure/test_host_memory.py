import re
import signal
import threading
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from batchlab.errors import CannotTravel, ExecutorError
from batchlab.measure import host_memory
from batchlab.measure.host_memory import find_max_batch_size_on_host
from memory_cases import Filling, killed_above_100, training

MIB = 1 << 20
LIMIT = 600 * MIB


def test_the_largest_size_under_a_real_limit_is_found_in_five_attempts() -> None:
    found = find_max_batch_size_on_host(Filling(), low=2000, limit=LIMIT, threads=1)
    first, *rest = found.attempts
    assert (first.batch_size, first.fits, first.peak) == (2000, False, None)
    peaks = {one.batch_size: one.peak / MIB for one in rest if one.peak is not None}
    # One mebibyte an example, beside what the interpreter and torch take.
    assert all(abs((peaks[size] - peaks[250]) - (size - 250)) < 8 for size in peaks)
    room = 250 + LIMIT / MIB - peaks[250]
    assert 0.93 * room <= found.batch_size <= room + 1
    assert len(found.attempts) <= 5
    assert found.limited_by == "memory"


def test_a_real_training_step_in_a_closure_is_limited_by_its_data() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))

    def run_step(batch_size: int) -> None:
        training(model, batch_size)

    before = model[0].weight.clone()
    found = find_max_batch_size_on_host(run_step, low=2, n_examples=64)
    assert (found.batch_size, found.limited_by) == (64, "data")
    assert torch.equal(model[0].weight, before)


def test_a_child_that_is_killed_has_run_out_of_memory() -> None:
    found = find_max_batch_size_on_host(killed_above_100, low=64, high=1000, limit=LIMIT)
    assert 95 <= found.batch_size <= 100
    assert found.limited_by == "memory"


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (("failed", "Traceback ...\nValueError: a bad shape\n"), "with 'ValueError: a bad shape'"),
        (("died", -signal.SIGSEGV), "its process ended with code -11"),
    ],
)
def test_another_failure_is_no_lack_of_memory(monkeypatch, answer, how) -> None:
    @contextmanager
    def forking(run_step):
        yield lambda *message: answer

    monkeypatch.setattr(host_memory, "_forking", forking)
    with pytest.raises(ExecutorError) as error:
        find_max_batch_size_on_host(print, low=4)
    assert str(error.value) == (
        f"A step must succeed or run out of memory, but at batch size 4 it failed: {how}; call it in this process to "
        "see where."
    )


def test_what_cannot_be_pickled_is_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(CannotTravel) as error:
        find_max_batch_size_on_host(lambda batch_size: lock.acquire())
    assert re.fullmatch(
        r"`run_step` must travel to another process, but cannot be pickled \(cannot pickle '_thread.lock' object\); "
        "make what cannot be pickled inside of it, or measure with `find_max_batch_size` in this process.",
        str(error.value),
    )
