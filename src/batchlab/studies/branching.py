"""Short branches from a live run at several times its batch size, on the same examples."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from batchlab.numerics.equivalent_branches import BranchTest, judge_branches

SEEDS = 3
# The loss of a branch is the mean over this last share of its window: one evaluation would be luck.
END_SHARE = 0.25


class Branching(Protocol):
    """A run that others can branch off from, as a `LiveRun`."""

    @property
    def curve(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return examples at each evaluation, since it branched off, and the losses there."""
        ...

    def train_to(self, examples: int) -> None:
        """Go on up to so many examples since it branched off."""
        ...

    def branch(self, batch_size: int, learning_rate: float, replica: int) -> Self:
        """Return a run that goes on from here with another setting, in the order of data of the replica."""
        ...

    def level_now(self) -> float:
        """Return the validation loss, or what else it is judged by, where it stands."""
        ...


@dataclass(frozen=True, slots=True)
class Branches:
    """What was tried, at which rates, and how it compares after a window of examples, and after the first half of it.

    Where both find the same limit, branches that are as deep stay so, as the test assumes; where the longer one finds a
    larger batch equivalent, large batches were only slow to begin. `examples` is what all trained on together.
    """

    window: int
    learning_rates: Mapping[int, float]
    test: BranchTest
    early: BranchTest
    examples: int

    @property
    def moved(self) -> bool:
        """Return whether the limits of the first half are others."""
        return (self.early.low, self.early.high) != (self.test.low, self.test.high)


def run_branches(trunk: Branching, learning_rates: Mapping[int, float], window: int) -> Branches:
    """Branch off with each batch size at its rate, over the same examples with the same seeds, and compare.

    Args:
        trunk: a run that stands at a checkpoint; it is left there.
        learning_rates: {batch size: rate}; the smallest size is that of the trunk.
        window: examples each branch trains on.
    """
    start = trunk.level_now()
    ends: dict[int, list[float]] = {size: [] for size in learning_rates}
    halfway: dict[int, list[float]] = {size: [] for size in learning_rates}
    for replica in range(SEEDS):
        for size, rate in learning_rates.items():
            branch = trunk.branch(size, rate, replica)
            for until, found in ((window // 2, halfway), (window, ends)):
                branch.train_to(until)
                found[size].append(_end_loss(branch.curve))
    early, test = (judge_branches([start] * SEEDS, found) for found in (halfway, ends))
    return Branches(window, dict(learning_rates), test, early, SEEDS * len(learning_rates) * window)


def _end_loss(curve: tuple[Sequence[float], Sequence[float]]) -> float:
    positions, losses = curve
    late = [loss for place, loss in zip(positions, losses, strict=True) if place > (1 - END_SHARE) * positions[-1]]
    return statistics.fmean(late) if late else float("inf")
