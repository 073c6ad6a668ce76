"""Branches of a trunk whose loss falls evenly, slower at larger batches."""

import pytest

from batchlab.studies.branching import SEEDS, run_branches


class Trunk:
    """Loses 1e-3 an example; at batch size 128 nothing at first, then as much."""

    def __init__(self, batch_size=8, delay=0.0, noise=0.0):
        self.batch_size, self.delay, self.noise, self.places, self.losses = batch_size, delay, noise, [], []

    @property
    def curve(self):
        return self.places, self.losses

    def level_now(self):
        return 1.0

    def branch(self, batch_size, learning_rate, replica):
        return Trunk(batch_size, self.delay if batch_size == 128 else 0.0, 1e-4 * (replica + batch_size % 3))

    def train_to(self, examples):
        for place in range(self.places[-1] + 8 if self.places else 8, examples + 1, 8):
            self.places.append(place)
            self.losses.append(1 - 1e-3 * max(0.0, place - self.delay) + self.noise)


def test_branches_that_are_alike_stay_so():
    found = run_branches(Trunk(), {8: 0.1, 32: 0.4, 128: 1.6}, 400)
    assert (found.test.low, found.test.high, found.moved) == (128, None, False)
    assert found.examples == SEEDS * 3 * 400


def test_a_large_batch_that_is_slow_to_begin_is_told_from_one_that_falls_behind():
    found = run_branches(Trunk(delay=80), {8: 0.1, 128: 1.6}, 400)
    assert found.early.high == 128 and found.test.high is None and found.moved


def test_the_loss_of_a_branch_is_the_mean_of_its_last_quarter():
    found = run_branches(Trunk(), {8: 0.1, 32: 0.4}, 400)
    assert found.test.branches[0].loss == pytest.approx(1 - 1e-3 * 352 + 3e-4, abs=1e-9)
