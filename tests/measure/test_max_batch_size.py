import bisect
import gc
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from batchlab.measure.max_batch_size import find_max_batch_size


@dataclass
class FakeDevice:
    """Memory as a function of the batch size, with a limit beyond which a run fails."""

    memory: Callable[[int], float]
    limit: float = 5000.0
    ran: list[int] = field(default_factory=list)
    peak: float = 0.0

    def run(self, batch_size: int) -> None:
        self.ran.append(batch_size)
        if self.memory(batch_size) > self.limit:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1.00 GiB")
        self.peak = self.memory(batch_size)

    def largest(self) -> int:
        """Return the true answer; memory grows with the batch size, but for the noise."""
        return bisect.bisect_right(range(1, 10_000), self.limit, key=self.memory)


@pytest.fixture(autouse=True)
def nothing_to_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake devices hold no memory, and going through all objects takes longer than the search."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


def noisy(b: int) -> float:
    return (500 + 3 * b) * random.Random(b).uniform(0.98, 1.02)


DEVICES = {
    "affine": lambda b: 500.0 + 3 * b,
    "noisy": noisy,
    "steeper above 512": lambda b: 500.0 + 3 * b + 3 * max(0, b - 512),
    "steeper from 100": lambda b: 500 + 0.3 * min(b, 100) + 30 * max(0, b - 100),
    "a floor": lambda b: max(2000.0, 500 + 3 * b),
    "few fit": lambda b: 500.0 + 900 * b,
}


@pytest.mark.parametrize("low", [1, 8, 64, 256])
@pytest.mark.parametrize("name", list(DEVICES))
def test_the_answer_fits_and_is_at_least_nine_tenths_of_the_truth_in_twelve_attempts(name: str, low: int) -> None:
    device = FakeDevice(DEVICES[name])
    found = find_max_batch_size(device.run, low, peak_memory=lambda: device.peak, limit=5000)
    assert device.memory(found.batch_size) <= 5000
    assert found.batch_size in device.ran
    assert found.batch_size >= 0.9 * device.largest()
    assert len(set(device.ran)) == len(device.ran) <= 12
    assert found.limited_by == "memory"


def test_an_affine_device_needs_at_most_five_attempts() -> None:
    for low in (1, 8, 64, 256):
        device = FakeDevice(DEVICES["affine"])
        found = find_max_batch_size(device.run, low, peak_memory=lambda d=device: d.peak, limit=5000)
        assert (found.batch_size, len(found.attempts) <= 5) == (1500, True)


def test_any_affine_device_needs_at_most_five_attempts_wherever_the_search_begins() -> None:
    # 200 devices, fixed beforehand; on some not one example fits.
    generator = random.Random(0)
    for _ in range(200):
        base, slope = generator.uniform(100, 5500), 10 ** generator.uniform(-1, 3)
        device = FakeDevice(lambda b, base=base, slope=slope: base + slope * b)
        low = generator.choice([1, 8, 32, 256, 1024])
        found = find_max_batch_size(device.run, low, peak_memory=lambda d=device: d.peak, limit=5000)
        true = max(0, int((5000 - base) / slope))
        assert 0.95 * true - 1 <= found.batch_size <= true
        assert len(found.attempts) <= 5


def test_what_ran_beyond_the_limit_tells_how_much_smaller_to_go() -> None:
    # The device has 6 % more than may be used.
    device = FakeDevice(DEVICES["affine"], limit=5300)
    found = find_max_batch_size(device.run, 780, peak_memory=lambda: device.peak, limit=5000)
    assert device.ran == [780, 1560, 1500]
    assert (found.batch_size, found.attempts[1].fits, found.attempts[1].peak) == (1500, False, 5180)


def test_nothing_fits() -> None:
    device = FakeDevice(lambda b: 6000.0 + b)
    found = find_max_batch_size(device.run, 8, peak_memory=lambda: device.peak, limit=5000)
    assert (found.batch_size, found.limited_by, device.ran) == (0, "memory", [8, 2, 1])


def test_random_devices_with_jumps_are_searched_to_the_end() -> None:
    generator, shares, attempts = random.Random(0), [], []
    for _ in range(25):
        knots = sorted(generator.sample(range(1, 3000), 3))
        slopes = [generator.uniform(0.2, 20) for _ in range(4)]
        jumps = [generator.choice([0, 0, generator.uniform(0, 400)]) for _ in range(3)]

        def memory(b: int, knots=knots, slopes=slopes, jumps=jumps) -> float:
            edges = [0, *knots, 10**9]
            pieces = zip(edges[:-1], edges[1:], slopes, strict=True)
            steps = sum(jump for knot, jump in zip(knots, jumps, strict=True) if b > knot)
            return 300 + steps + sum(slope * max(0, min(b, end) - start) for start, end, slope in pieces)

        device = FakeDevice(memory)
        found = find_max_batch_size(device.run, 8, peak_memory=lambda d=device: d.peak, limit=5000)
        shares.append(found.batch_size / device.largest())
        attempts.append(len(found.attempts))
    assert min(shares) >= 0.9
    assert max(shares) <= 1
    assert max(attempts) <= 12


def test_the_peak_at_other_sizes_lies_on_the_line_between_those_that_were_run() -> None:
    device = FakeDevice(DEVICES["steeper above 512"])
    found = find_max_batch_size(device.run, 8, peak_memory=lambda: device.peak, limit=5000)
    assert found.peak(found.batch_size) == device.memory(found.batch_size)
    assert (found.peak(12), found.peak(4)) == (536, 512)
    assert find_max_batch_size(device.run, 8).peak(8) is None


def test_without_peaks_the_size_is_found_by_trial() -> None:
    device = FakeDevice(DEVICES["affine"])
    found = find_max_batch_size(device.run)
    assert 0.95 * 1500 <= found.batch_size <= 1500
    assert len(found.attempts) <= 12


@pytest.mark.parametrize(
    ("high", "n_examples", "limited_by"), [(100, None, "limit"), (None, 100, "data"), (100, 200, "limit")]
)
def test_what_ends_the_search_is_told(high: int | None, n_examples: int | None, limited_by: str) -> None:
    device = FakeDevice(DEVICES["affine"])
    found = find_max_batch_size(
        device.run, high=high, peak_memory=lambda: device.peak, limit=5000, n_examples=n_examples
    )
    assert (found.batch_size, found.limited_by) == (100, limited_by)


def test_model_optimizer_and_random_state_are_left_as_found() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    optimizer = torch.optim.Adam(model.parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)

    def run(batch_size: int) -> None:
        if batch_size > 16:
            raise MemoryError
        model(torch.randn(batch_size, 4)).sum().backward()
        optimizer.step()

    assert find_max_batch_size(run, keep=(model, optimizer)).batch_size == 16
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert optimizer.state_dict()["state"] == {}


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def run(batch_size: int) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        find_max_batch_size(run)


def test_a_limit_without_a_peak_is_refused() -> None:
    with pytest.raises(ValueError, match="is compared with"):
        find_max_batch_size(print, limit=3)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError) as error:
        find_max_batch_size(print, peak_memory=lambda: 1.0, limit=0)
    assert str(error.value) == ("`limit` is memory that may be used, above 0, got 0; leave it out where it is unknown.")
