"""The largest batch size that fits, in few attempts, each of which is really run."""

import copy
import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from batchlab.measure.out_of_memory import is_out_of_memory

MOST_ATTEMPTS = 12
GROWTH = 4
# A slope measured at tiny sizes says little: at less than this share of the limit it is not believed to be the end.
BELIEVED_SHARE = 0.8


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
    def peaks(self) -> list[tuple[int, float]]:
        """Return size and peak of the runs that fitted, by size."""
        return sorted((one.batch_size, one.peak) for one in self.attempts if one.fits and one.peak is not None)


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
            first), with the longest examples where they differ; raises MemoryError, torch.OutOfMemoryError or a
            RuntimeError that says "out of memory" where it does not fit.
        low: the size to begin with.
        high: the largest size to try.
        peak_memory: the peak of the last run, in the unit of `limit`; without it sizes are found by trial alone.
        limit: the memory that may be used, a reserve for fragmentation already taken off.
        n_examples: how many examples there are.
        keep: objects with `state_dict` and `load_state_dict`, as model and optimizer, that are left as they were found;
            torch's random state is in any case.

    Raises:
        ValueError: `low` or `high` is below 1, or a limit is given that nothing can be compared with.
    """
    if low < 1 or (high is not None and high < 1):
        raise ValueError(f"Batch sizes are at least 1, got low={low} and high={high}; begin with 1.")
    if limit is not None and peak_memory is None:
        raise ValueError("A `limit` is compared with `peak_memory()`, which is missing; pass both or neither.")
    usable = math.inf if limit is None else limit
    cap = min(math.inf if high is None else high, math.inf if n_examples is None else n_examples)
    states = [copy.deepcopy(one.state_dict()) for one in keep]
    search = _Search(lambda size: _attempt(run_step, size, peak_memory, usable), cap, usable)
    with torch.random.fork_rng():
        try:
            _search(search, int(min(low, cap)))
        finally:
            for one, state in zip(keep, states, strict=True):
                one.load_state_dict(state)
    return MaxBatchSize(search.good, tuple(search.attempts), _limited_by(search, high, n_examples))


def _search(search: _Search, first: int) -> None:
    size = first
    while not _run(search, size):
        if size == 1:
            return
        size //= 2
    if search.bad == math.inf and 2 * size <= search.cap:
        _run(search, 2 * size)
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
    good, bad, peaks = search.good, search.bad, search.peaks
    size = float(GROWTH * good)
    if len(peaks) > 1 and math.isfinite(search.limit):
        (below, lower), (above, upper) = peaks[-2:]
        slope = (upper - lower) / (above - below)
        if slope > 0:
            size = good + math.floor((search.limit - upper) / slope + 1e-9)
        if size <= 1.02 * good:
            if upper >= BELIEVED_SHARE * search.limit:
                return None
            size = 2 * good
    if math.isfinite(bad):
        middle = math.floor(math.sqrt(good * bad)) if bad > 2 * good else (good + bad) // 2
        trusting = search.misses == 1 and len(peaks) > 1
        size = min(size, max(middle, math.floor(0.9 * bad)) if trusting else middle)
    return int(min(max(size, good + 1), bad - 1, search.cap))


def _run(search: _Search, size: int) -> bool:
    found = search.run(size)
    search.attempts.append(found)
    if found.fits:
        search.good = max(search.good, size)
    else:
        search.bad = min(search.bad, size)
    return found.fits


def _attempt(
    run_step: Callable[[int], object], size: int, peak_memory: Callable[[], float] | None, usable: float
) -> Attempt:
    """Run a size; the exception is left behind before anything else, as its traceback holds the tensors."""
    try:
        run_step(size)
        fits = True
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        fits = False
    if not fits:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return Attempt(size, False, None)
    peak = None if peak_memory is None else float(peak_memory())
    return Attempt(size, peak is None or peak <= usable, peak)


def _limited_by(search: _Search, high: int | None, n_examples: int | None) -> str:
    if search.good >= search.cap:
        return "data" if n_examples is not None and search.cap == n_examples and search.cap != high else "limit"
    near = search.bad - search.good <= max(1, 0.05 * search.good)
    return "memory" if near or len(search.attempts) < MOST_ATTEMPTS else "search"
