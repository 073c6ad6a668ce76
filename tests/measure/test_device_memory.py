import pytest
import torch

from batchlab.measure.device_memory import cuda_gauge
from batchlab.measure.max_batch_size import find_max_batch_size


class FakeGpu:
    """What torch.cuda tells of a GPU of 1000 bytes, 100 of them taken by others and 50 by torch's cache."""

    def __init__(self) -> None:
        self.peak = self.resets = self.emptied = 0

    def install(self, monkeypatch) -> None:
        answers = {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: 0,
            "empty_cache": self.empty,
            "mem_get_info": lambda device=None: (850, 1000),
            "memory_reserved": lambda device=None: 50,
            "reset_peak_memory_stats": self.reset,
            "max_memory_allocated": lambda device=None: self.peak,
            "synchronize": lambda device=None: None,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(torch.cuda, name, answer)

    def empty(self) -> None:
        self.emptied += 1

    def reset(self, device=None) -> None:
        self.peak, self.resets = 0, self.resets + 1

    def run(self, batch_size: int) -> None:
        if 100 + 2 * batch_size > 900:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        self.peak = max(self.peak, 100 + 2 * batch_size)


def test_a_gpu_in_use_is_watched_by_its_allocator_and_a_reserve_is_kept(monkeypatch) -> None:
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    found = find_max_batch_size(gpu.run, low=8)
    # 94 % of the 900 bytes that are free or torch's own.
    assert (found.batch_size, found.limited_by) == (373, "memory")
    assert [one.peak for one in found.attempts] == [100 + 2 * one.batch_size for one in found.attempts]
    assert gpu.resets == len(found.attempts) == 3


def test_a_failed_attempt_gives_its_memory_back(monkeypatch) -> None:
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    find_max_batch_size(gpu.run, low=500)
    assert gpu.emptied > 1


def test_without_a_gpu_in_use_there_is_no_gauge() -> None:
    assert torch.cuda.is_initialized() or cuda_gauge() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_answer_fits_on_a_real_gpu() -> None:
    torch.zeros(1, device="cuda")

    def run(batch_size: int) -> None:
        torch.ones(batch_size << 24, device="cuda")

    found = find_max_batch_size(run, low=1)
    assert found.limited_by == "memory"
    assert found.batch_size >= 1
