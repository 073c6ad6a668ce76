"""What a target says about batch size, in sentences."""

import math
from collections.abc import Mapping, Sequence

from batchlab.analyze.findings import Estimate, MetricInfo
from batchlab.analyze.target_findings import TradeOffFindings
from batchlab.analyze.wording import PERCENT_METRICS, say_list, say_seconds


def say_target(metric: MetricInfo, target: float) -> str:
    """Return the target with the metric's name.

    >>> say_target(MetricInfo("error", False, 0.005), 0.05)
    'error 5%'
    """
    return f"{metric.name} {100 * target:g}%" if metric.name in PERCENT_METRICS else f"{metric.name} {target:g}"


def say_size(size: float) -> str:
    """Return a fitted batch size, of which two digits mean something.

    >>> say_size(5.4), say_size(256.3), say_size(10934)
    ('5', '260', '11,000')
    """
    if size < 10:
        return f"{max(1, round(size))}"
    digits = 10 ** (math.floor(math.log10(size)) - 1)
    return f"{round(size / digits) * digits:,}"


def tradeoff_sentences(tradeoff: TradeOffFindings, goal: str, sizes: Sequence[int]) -> list[str]:
    """Return the trade-off in words: what a larger batch saves, then the critical batch size.

    Args:
        tradeoff: what was fitted.
        goal: the target, as in "error 5%".
        sizes: the batch sizes in the fit, in rising order.
    """
    return [f"To reach {goal}, {_savings(tradeoff, sizes)}.", _critical(tradeoff, sizes)]


def time_sentence(
    goal: str, device: str, seconds: Mapping[int, Estimate], fastest: int, as_fast: Sequence[int] | None
) -> str:
    """Return which batch size reaches the target soonest on this machine, and which others do about as well."""
    best = seconds[fastest]
    value = say_seconds(best.mean)
    if best.low is not None and best.high is not None:
        value += f" ({say_seconds(best.low)} to {say_seconds(best.high)})"
    first = f"Fastest to {goal} on this {device.partition(':')[0]}: batch size {fastest}, {value} of training alone"
    if len(seconds) == 1:
        return f"{first}."
    if as_fast is None:
        return f"{first}; too few of its seeds got there to say that others are slower."
    if not as_fast:
        return f"{first}; every other size is slower."
    return f"{first}; {say_list(as_fast)} {'is' if len(as_fast) == 1 else 'are'} not shown to be slower."


def missed_sentence(goal: str, missed: Sequence[int], asked: Sequence[int]) -> str:
    """Return which batch sizes did not get there in most of their seeds."""
    if len(missed) == len(asked):
        return f"No batch size reached {goal} within the budget in most of its seeds."
    return f"Within the budget {say_list(missed)} did not reach {goal} in most seeds."


def _savings(tradeoff: TradeOffFindings, sizes: Sequence[int]) -> str:
    perfect, maximal = tradeoff.regions[0].high, tradeoff.regions[2].low
    smallest, largest = sizes[0], sizes[-1]
    if perfect >= largest:
        return f"twice the batch nearly halves the steps at all sizes tried, {smallest} to {largest}"
    if maximal <= smallest:
        return f"twice the batch saves hardly any steps at all sizes tried, {smallest} to {largest}"
    if perfect > smallest:
        first = f"twice the batch nearly halves the steps up to about {say_size(perfect)}"
    else:
        first = f"twice the batch saves clearly less than half of the steps from {smallest} on"
    if maximal < largest:
        # By the curve; as measured there is no such bound.
        saved = "hardly any" if "shape_rejected" in tradeoff.flags else "a tenth of them at most"
        return f"{first}; beyond about {say_size(maximal)} it saves {saved}"
    return f"{first} and less and less from there to {largest}, the largest tried"


def _critical(tradeoff: TradeOffFindings, sizes: Sequence[int]) -> str:
    if "shape_rejected" in tradeoff.flags:
        size = tradeoff.overhead_batch_size
        where = (
            f"at about {say_size(size)}" if math.isfinite(size) else f"at no size up to {sizes[-1]}, the largest tried"
        )
        return (
            f"The usual curve does not fit here (p = {tradeoff.shape_p_value:.2g}), so there is no critical batch "
            f"size; as measured, examples exceed those of {sizes[0]} by {100 * tradeoff.overhead:g}% {where}."
        )
    level = f"{100 * tradeoff.level:g}%"
    low, high = tradeoff.low > 0, math.isfinite(tradeoff.high)
    if "noise_unknown" in tradeoff.flags:
        return "More seeds would give the critical batch size limits."
    if not low and not high:
        return "The sizes tried give the critical batch size no limits; a wider range of them would."
    if not low or not high:
        side, bound = ("at least", tradeoff.low) if low else ("at most", tradeoff.high)
        wider = "larger" if low else "smaller"
        return f"The critical batch size is {side} {say_size(bound)} ({level}); {wider} sizes would say more."
    return (
        f"Critical batch size {say_size(tradeoff.critical_batch_size)} ({level} interval {say_size(tradeoff.low)} to "
        f"{say_size(tradeoff.high)}), where steps and examples are both twice their least; examples exceed their least "
        f"by {100 * tradeoff.overhead:g}% at {say_size(tradeoff.overhead_batch_size)}."
    )
