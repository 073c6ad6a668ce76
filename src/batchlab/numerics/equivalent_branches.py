"""Branches of one run at several batch sizes: which come as far on the same examples, and the batch size that implies.

From a checkpoint, branches train on the same W examples, in one order a seed, with k times the batch. A branch is
equivalent to the one with k = 1 where the 90 % interval of the mean paired difference of their losses lies within
± margin: two one-sided tests at 5 %, so that a branch whose true difference is the margin passes in at most 5 % of
repetitions. The margin is a share of the progress that the branch with k = 1 made (Merrill et al. 2025, sec. 3.1, took
a fixed tolerance instead).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[numpy.float64]

LEVEL = 0.95
# A branch may lose this share of the progress: examples cost up to 1/(1 - share) times as much there.
MARGIN_SHARE = 0.25
# Of the progress, what is still told from nothing.
LEAST_PROGRESS = 0.05


@dataclass(frozen=True, slots=True)
class Branch:
    """What the branches with one batch size came to, against those with k = 1; losses are means over seeds.

    `difference` is their loss minus that of k = 1, with its 90 % interval. `outcome` is equivalent (within the margin),
    worse or better (by more than the margin) or undecided. `log_examples_ratio` estimates ln(examples they need over
    those of k = 1 for equal progress); with `is_bound` it is only the least that this can be.
    """

    batch_size: int
    loss: float
    difference: float
    low: float
    high: float
    outcome: str
    log_examples_ratio: float
    sd: float
    is_bound: bool


@dataclass(frozen=True, slots=True)
class BranchTest:
    """The branches in order of batch size, and k*: the largest that is equivalent, as are all smaller ones.

    `low` is the largest batch size up to which all were equivalent (or better), `high` the smallest shown to be worse,
    None where none was; the batch size at which a share `margin_share` of progress is lost lies between them.
    """

    margin: float
    margin_share: float
    progress: float
    branches: tuple[Branch, ...]
    low: int
    high: int | None

    @property
    def overhead(self) -> float:
        """Return by which share examples cost more at the batch size that loses exactly the margin."""
        return 1 / (1 - self.margin_share) - 1

    @property
    def batch_size(self) -> float | None:
        """Return the geometric mean of both limits, None where there is no upper one."""
        return None if self.high is None else math.sqrt(self.low * self.high)


def judge_branches(
    start_losses: Sequence[float], end_losses: Mapping[int, Sequence[float]], *, margin_share: float = MARGIN_SHARE
) -> BranchTest:
    """Return how branches compare with those of the smallest batch size, pair by pair over seeds.

    ln(examples ratio) is -ln f, f the share of progress that a branch makes of what k = 1 makes on as many examples,
    the loss taken to fall evenly within the window. Its error is that of the mean difference over progress, by the
    delta method.

    Args:
        start_losses: at the checkpoint, one entry a seed.
        end_losses: {batch size: loss at the end of the window, one entry a seed, infinite where it diverged}; the
            smallest size is k = 1.
        margin_share: of the progress of k = 1.

    >>> test = judge_branches([1.0, 1.0, 1.0], {8: [0.5, 0.52, 0.48], 32: [0.51, 0.52, 0.48], 128: [0.9, 0.94, 0.92]})
    >>> [branch.outcome for branch in test.branches], test.low, test.high
    (['equivalent', 'equivalent', 'worse'], 32, 128)
    """
    sizes = sorted(end_losses)
    base = numpy.asarray(end_losses[sizes[0]], dtype=float)
    if len(base) < 2:
        raise ValueError(f"Branches are compared over 2 seeds or more, got {len(base)}; 3 are a good number.")
    progress = float((numpy.asarray(start_losses, dtype=float) - base).mean())
    margin = margin_share * max(progress, 0.0)
    branches = tuple(_branch(size, numpy.asarray(end_losses[size], float), base, progress, margin) for size in sizes)
    good = [branch.outcome in ("equivalent", "better") for branch in branches]
    n_good = good.index(False) if False in good else len(good)
    worse = [branch.batch_size for branch in branches[n_good:] if branch.outcome == "worse"]
    return BranchTest(margin, margin_share, progress, branches, sizes[max(0, n_good - 1)], worse[0] if worse else None)


def _branch(size: int, losses: Array, base: Array, progress: float, margin: float) -> Branch:
    n = len(base)
    if not numpy.isfinite(losses).all():
        return Branch(size, math.inf, math.inf, math.inf, math.inf, "worse", 1.0, 0.3, True)
    differences = losses - base
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    reach = float(stdtrit(n - 1, LEVEL)) * error
    low, high = mean - reach, mean + reach
    ratio, sd, is_bound = _log_ratio(mean, error, progress)
    return Branch(size, float(losses.mean()), mean, low, high, _outcome(low, high, margin), ratio, sd, is_bound)


def _outcome(low: float, high: float, margin: float) -> str:
    if (-margin < low and high < margin) or low == high == 0:
        return "equivalent"
    return "worse" if low > margin else "better" if high < -margin else "undecided"


def _log_ratio(difference: float, error: float, progress: float) -> tuple[float, float, bool]:
    if progress <= 0:
        return 0.0, math.inf, False
    share, sd = 1 - difference / progress, error / progress
    if share < LEAST_PROGRESS + sd:
        return -math.log(LEAST_PROGRESS + 2 * sd), 0.3, True
    return -math.log(share), sd / share, False
