"""The batch size that reaches a target soonest, and which others cost little more.

Time to a target is T(B) = S_min (1 + B_crit/B) t(B), t(B) = max(t0, a + b B) seconds a step: a overhead, b per example,
t0 a floor below which no step is faster. With joules in place of seconds the same functions minimize energy.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds of a step, max(floor, overhead + per example · batch size)."""

    overhead_s: float
    per_example_s: float
    floor_s: float = 0.0

    def seconds(self, batch_size: float) -> float:
        """Return the seconds of one step."""
        return max(self.floor_s, self.overhead_s + self.per_example_s * batch_size)


@dataclass(frozen=True, slots=True)
class FastestBatchSize:
    """The batch size with the least time to the target, and the range in which time exceeds it by at most `tolerance`.

    `time` is in least steps S_min times seconds; times S_min it is seconds. `kind` says what holds the optimum: smooth
    (both sides rise slowly), knee (where the floor ends), cap (the largest batch size allowed) or smallest (batch size
    1). `half_cost` and `double_cost` are the shares by which half and twice the size take longer: at most 0.125 at a
    smooth optimum, up to 1 elsewhere.
    """

    batch_size: float
    time: float
    low: float
    high: float
    tolerance: float
    kind: str
    half_cost: float
    double_cost: float


def best_time_batch_size(
    critical_batch_size: float, step_overhead_s: float, step_per_example_s: float, step_floor_s: float = 0.0
) -> float:
    """Return the batch size that minimizes the time to a target, max((t0 - a)/b, √(a B_crit/b)).

    Time falls before it and rises after it, so with a largest batch size that fits, the smaller of both is best. inf
    where b = 0: then only a cap ends the gain (`fastest_batch_size`). A value below 1 means batch size 1.

    Args:
        critical_batch_size: B_crit in examples.
        step_overhead_s: a, seconds a step takes whatever its batch size.
        step_per_example_s: b, seconds per example.
        step_floor_s: t0, seconds below which no step gets.

    >>> round(best_time_batch_size(300, 0.02, 0.0005), 3), round(best_time_batch_size(300, 0.02, 0.0005, 0.1), 3)
    (109.545, 160.0)
    """
    _check(critical_batch_size, StepTime(step_overhead_s, step_per_example_s, step_floor_s))
    if step_per_example_s == 0:
        return math.inf
    smooth = math.sqrt(step_overhead_s / step_per_example_s) * math.sqrt(critical_batch_size)
    return max((step_floor_s - step_overhead_s) / step_per_example_s, smooth)


def relative_time(batch_size: float, critical_batch_size: float, step_time: StepTime) -> float:
    """Return the time to the target in units of S_min seconds, (1 + B_crit/B) t(B).

    >>> round(relative_time(109.545, 300, StepTime(0.02, 0.0005)), 6)
    0.279545
    """
    return (1 + critical_batch_size / batch_size) * step_time.seconds(batch_size)


def fastest_batch_size(
    critical_batch_size: float, step_time: StepTime, *, largest: float = math.inf, tolerance: float = 0.05
) -> FastestBatchSize:
    """Return the fastest batch size from 1 to `largest`, with the range that costs at most `tolerance` more.

    With V the time allowed, (1 + B_crit/B) t(B) <= V is B >= B_crit/(V/t0 - 1) and, for the smooth part, B between
    the roots of b B² - (V - a - b B_crit) B + a B_crit. A factor x from a smooth optimum costs
    (x + 1/x - 2) √(a b B_crit)/(√a + √(b B_crit))² <= (x + 1/x - 2)/4.

    Args:
        critical_batch_size: B_crit in examples.
        step_time: the seconds of a step.
        largest: largest batch size that can be used: memory, or the number of examples.
        tolerance: share of time that does not matter.

    >>> best = fastest_batch_size(100, StepTime(1.0, 0.01))
    >>> best.batch_size, best.kind, round(best.half_cost, 3), round(best.double_cost, 3)
    (100.0, 'smooth', 0.125, 0.125)
    """
    _check(critical_batch_size, step_time)
    if not 1 <= largest or not 0 <= tolerance < math.inf:
        raise ValueError(
            f"`largest` must be 1 or more and `tolerance` finite and not negative, got {largest} and {tolerance}; "
            "use the largest batch size that fits and 0.05 for 5 %."
        )
    a, b, t0 = step_time.overhead_s, step_time.per_example_s, step_time.floor_s
    free = best_time_batch_size(critical_batch_size, a, b, t0)
    best = min(max(free, 1.0), largest)
    if math.isinf(best):
        raise ValueError(
            "Time per example must be above 0 or `largest` finite, got 0.0 and inf: larger is faster without end; "
            "pass the largest batch size that fits."
        )
    time = relative_time(best, critical_batch_size, step_time)
    low, high = _range(critical_batch_size, step_time, time * (1 + tolerance))
    knee = b > 0 and (t0 - a) / b >= free
    return FastestBatchSize(
        batch_size=best,
        time=time,
        low=min(max(low, 1.0), best),
        high=max(min(high, largest), best),
        tolerance=tolerance,
        kind="cap" if best < free else "smallest" if best > free else "knee" if knee else "smooth",
        half_cost=relative_time(best / 2, critical_batch_size, step_time) / time - 1,
        double_cost=relative_time(best * 2, critical_batch_size, step_time) / time - 1,
    )


def best_accumulation_steps(
    critical_batch_size: float, micro_batch_size: int, micro_step_s: float, step_cost_s: float, n_workers: int = 1
) -> int:
    """Return how many micro-batches a step should accumulate to reach a target soonest.

    T(A) ∝ (1 + B_crit/(K m A)) (A t + c) has its minimum at A* = √(c B_crit/(K m t)); of its two neighbors the faster.
    Accumulation only pays where c, paid once a step, is large: A = 2 beats 1 only if A*² > 2.

    Args:
        critical_batch_size: B_crit in examples.
        micro_batch_size: m, examples per forward pass on one worker.
        micro_step_s: t, seconds of a micro-step, without c.
        step_cost_s: c, seconds paid once a step: communication and the optimizer's update.
        n_workers: K.

    >>> [best_accumulation_steps(400, 8, 1.0, cost) for cost in (0.02, 0.05, 0.2, 1.0)]
    [1, 2, 3, 7]
    """
    if not (critical_batch_size >= 0 and min(micro_batch_size, n_workers) >= 1 and micro_step_s > 0 <= step_cost_s):
        raise ValueError(
            "Sizes and seconds must be positive (the critical batch size and the cost of a step may be 0), got "
            f"{critical_batch_size}, {micro_batch_size}, {micro_step_s}, {step_cost_s} and {n_workers}; measure them."
        )
    together = n_workers * micro_batch_size

    def time(count: int) -> float:
        return (1 + critical_batch_size / (together * count)) * (count * micro_step_s + step_cost_s)

    best = math.floor(math.sqrt(step_cost_s * critical_batch_size / (together * micro_step_s)))
    return min(max(best, 1), best + 1, key=time)


def _range(critical: float, step_time: StepTime, allowed: float) -> tuple[float, float]:
    a, b, t0 = step_time.overhead_s, step_time.per_example_s, step_time.floor_s
    low = critical * t0 / (allowed - t0) if critical > 0 else 0.0
    middle = allowed - a - b * critical
    if b == 0:
        return max(low, critical * a / middle if critical > 0 else 0.0), math.inf
    root = math.sqrt(max(middle**2 - 4 * a * b * critical, 0.0))
    # The product of both roots is a B_crit/b: the small one without cancellation.
    high = (middle + root) / (2 * b)
    return max(low, a * critical / (b * high)), high


def _check(critical_batch_size: float, step_time: StepTime) -> None:
    seconds = (step_time.overhead_s, step_time.per_example_s, step_time.floor_s)
    if not (0 <= critical_batch_size < math.inf and all(0 <= part < math.inf for part in seconds) and any(seconds)):
        raise ValueError(
            "The critical batch size and the seconds must be finite and not negative, and a step must take time, "
            f"got {critical_batch_size} and {seconds}; fit the step times again with limits of 0."
        )
