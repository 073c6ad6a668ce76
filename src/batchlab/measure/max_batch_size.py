"""The largest batch size that fits, in few attempts, each of which is really run."""

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchlab.measure.device_memory import MemoryGauge, cuda_gauge
from batchlab.measure.kept_states import kept_states
from batchlab.measure.out_of_memory import is_out_of_memory, release_memory

MOST_ATTEMPTS = 12
GROWTH = 4
# A failed start says nothing of the slope: two small sizes find it sooner than many halves.
RETREAT = 8
NEAR = 8
# A slope measured at tiny sizes says little: at less than this share of the limit it is not believed to be the end.
BELIEVED_SHARE = 0.8
FULL_SHARE = 0.95
ATTEMPTS_OF_A_LINE = 5


@dataclass(frozen=True, slots=True)
class Attempt:
    """One batch size that was run: whether it fitted, and the peak of memory where that is known."""

    batch_size: int
    fits: bool
    peak: float | None


@dataclass(frozen=True, slots=True)
class MaxBatchSize:
    """The largest batch size that was run and fitted, 0 where not even one example does.

    `limited_by` is memory, data (there are no more examples), limit (`high` was reached) or search (the attempts were
    used up before the end was found).
    """

    batch_size: int
    attempts: tuple[Attempt, ...]
    limited_by: str

    def peak(self, batch_size: float) -> float | None:
        """Return the peak of memory at a batch size, on the line between the sizes that were run; None if unknown."""
        known = sorted((one.batch_size, one.peak) for one in self.attempts if one.peak is not None)
        if len(known) < 2:
            return None
        sizes, peaks = zip(*known, strict=True)
        right = min(max(bisect.bisect_left(sizes, batch_size), 1), len(sizes) - 1)
        slope = (peaks[right] - peaks[right - 1]) / (sizes[right] - sizes[right - 1])
        return float(peaks[right] + slope * (batch_size - sizes[right]))


@dataclass
class _Search:
    """What is known so far: `good` fits, `bad` does not, and nothing between the two has been run."""

    run: Callable[[int], Attempt]
    cap: float
    limit: float
    good: int = 0
    bad: float = math.inf
    misses: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def peaks(self) -> dict[int, float]:
        """Return the peaks that are known, by size."""
        return {one.batch_size: one.peak for one in self.attempts if one.peak is not None}


def find_max_batch_size(
    run_step: Callable[[int], object],
    low: int = 1,
    high: int | None = None,
    peak_memory: Callable[[], float] | None = None,
    limit: float | None = None,
    *,
    n_examples: int | None = None,
    keep: Sequence[Any] = (),
) -> MaxBatchSize:
    """Return the largest batch size that fits, or nearly so, in at most 12 attempts; 3 to 5 where memory is affine.

    Memory is taken to grow linearly in pieces: the next size is read off the line through the two largest that fitted,
    and after a failure lies between what fitted and what did not. Only a size that was run is returned, and none is run
    twice.

    Args:
        run_step: makes two or more full optimizer steps at a batch size (the optimizer's state exists only after the
            first), with the longest examples where they differ (`longest_first`); raises MemoryError,
            torch.OutOfMemoryError or a RuntimeError that says "out of memory" where it does not fit.
        low: the size to begin with; 2 or more where the model normalizes over the batch.
        high: the largest size to try.
        peak_memory: the peak of the last run, in the unit of `limit`. Without either, a GPU that is in use is watched
            by the statistics of torch's allocator; else sizes are found by trial alone.
        limit: the memory that may be used, a reserve for fragmentation already taken off.
        n_examples: how many examples there are.
        keep: models, optimizers, loaders, as in `kept_states`, that are left as they were found; the global random
            states are in any case.

    Raises:
        ValueError: `low` or `high` is below 1, or a limit is not above 0 or nothing can be compared with it.

    >>> memory = {}
    >>> def run_step(batch_size): memory["peak"] = 500 + 3 * batch_size
    >>> found = find_max_batch_size(run_step, peak_memory=lambda: memory["peak"], limit=5000)
    >>> found.batch_size, len(found.attempts), found.limited_by
    (1500, 3, 'memory')
    """
    if low < 1 or (high is not None and high < 1):
        raise ValueError(f"Batch sizes are at least 1, got low={low} and high={high}; begin with 1.")
    if limit is not None and limit <= 0:
        raise ValueError(f"`limit` is memory that may be used, above 0, got {limit}; leave it out where it is unknown.")
    if limit is not None and peak_memory is None:
        raise ValueError("A `limit` is compared with `peak_memory()`, which is missing; pass both or neither.")
    gauge = (
        cuda_gauge()
        if peak_memory is None
        else MemoryGauge(_nothing, peak_memory, math.inf if limit is None else limit)
    )
    cap = min(math.inf if high is None else high, math.inf if n_examples is None else n_examples)
    usable = math.inf if gauge is None else gauge.limit
    search = _Search(lambda size: _attempt(run_step, size, gauge), cap, usable)
    with kept_states(keep):
        _search(search, int(min(low, cap)))
    return MaxBatchSize(search.good, tuple(search.attempts), _limited_by(search, high, n_examples))


def _search(search: _Search, first: int) -> None:
    size = first
    while not _run(search, size):
        if size == 1:
            return
        size = (max(2, size // RETREAT) if size == first else 2) if size > 2 else 1
    if 2 * size < min(search.bad, search.cap + 1):
        _run(search, 2 * size)
    if search.good > 2 and len(search.peaks) == 1 and search.bad < math.inf:
        _run(search, search.good // 2)
    while (
        len(search.attempts) < MOST_ATTEMPTS
        and search.good < search.cap
        and search.bad - search.good > max(1, 0.05 * search.good)
    ):
        following = _next_size(search)
        if following is None:
            return
        if not _run(search, following):
            search.misses += 1


def _next_size(search: _Search) -> int | None:
    """Return the size to run next, None where the largest that fitted is as good as the end."""
    good, bad, slope = search.good, search.bad, _slope(search)
    size = float(GROWTH * good)
    if slope is not None:
        peak = search.peaks[good]
        if slope > 0:
            size = good + math.floor((search.limit - peak) / slope + 1e-9)
        if size <= 1.02 * good:
            full = peak / search.limit
            if full >= FULL_SHARE or (full >= BELIEVED_SHARE and len(search.attempts) >= ATTEMPTS_OF_A_LINE):
                return None
            # Across a jump in memory a line is too steep: look a little further, or twice as far.
            size = 1.05 * good if full >= BELIEVED_SHARE else 2 * good
    # A line is believed until it has misled; from not too far away once more, with a margin.
    if math.isfinite(bad) and (slope is None or search.misses):
        middle = math.floor(math.sqrt(good * bad)) if bad > 2 * good else (good + bad) // 2
        once = slope is not None and search.misses == 1 and bad <= NEAR * good
        size = min(size, max(middle, math.floor(0.9 * bad)) if once else middle)
    return int(min(max(size, good + 1), bad - 1, search.cap))


def _slope(search: _Search) -> float | None:
    """Return the memory an example takes next to the largest size that fitted; None where that is not known.

    A size above it may have a peak too: one that ran, but took more than the limit.
    """
    good, peaks = search.good, search.peaks
    others = [size for size in peaks if size != good]
    if good not in peaks or not others or math.isinf(search.limit):
        return None
    nearest = min((size for size in others if size > good), default=None) or max(others)
    return (peaks[nearest] - peaks[good]) / (nearest - good)


def _run(search: _Search, size: int) -> bool:
    found = search.run(size)
    search.attempts.append(found)
    if found.fits:
        search.good = max(search.good, size)
    else:
        search.bad = min(search.bad, size)
    return found.fits


def _attempt(run_step: Callable[[int], object], size: int, gauge: MemoryGauge | None) -> Attempt:
    """Run a size; the exception is left behind before anything else, as its traceback holds the tensors."""
    if gauge is not None:
        gauge.reset()
    try:
        run_step(size)
        fits = True
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        fits = False
    if not fits:
        release_memory()
        return Attempt(size, False, None)
    if gauge is None:
        return Attempt(size, True, None)
    peak = gauge.peak()
    return Attempt(size, peak <= gauge.limit, peak)


def _nothing() -> None:
    pass


def _limited_by(search: _Search, high: int | None, n_examples: int | None) -> str:
    if search.good >= search.cap:
        return "data" if n_examples is not None and search.cap == n_examples and search.cap != high else "limit"
    near = search.bad - search.good <= max(1, 0.05 * search.good)
    return "memory" if near or len(search.attempts) < MOST_ATTEMPTS else "search"
