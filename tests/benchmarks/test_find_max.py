import bisect

import pytest

from find_max import LARGEST, LIMIT, Device, accelerate_from, devices, ours, ours_by_trial


def test_ours_fits_and_needs_fewer_attempts_with_peaks_than_without() -> None:
    memory = devices()["affine"]
    found, by_trial = ours(Device(memory)), ours_by_trial(Device(memory))
    assert (found.batch_size, bisect.bisect_right(range(1, LARGEST), LIMIT, key=memory)) == (1500, 1500)
    assert found.attempts == 3 < by_trial.attempts <= 12
    assert by_trial.batch_size <= 1500


def test_attempts_of_a_peer_are_counted_once_a_size() -> None:
    pytest.importorskip("accelerate", reason="accelerate is a package of the benchmarks")
    device = Device(devices()["affine"])
    found = accelerate_from(2000)(device)
    assert device.ran == [2000, 1800, 1620, 1458]
    assert (found.batch_size, found.attempts) == (1458, 4)
