"""Which learning rates to try at a batch size: a factor-2 grid that grows until it brackets its best point."""

import math
from collections.abc import Mapping

from batchlab.analyze.learning_rates import Response
from batchlab.records import StudySpec

REACH = 2
MOST_OCTAVES = 12


def learning_rate_at(spec: StudySpec, octave: int) -> float:
    """Return grid point `octave`: the base learning rate times 2^octave, to four digits so that it can be read."""
    return float(f"{spec.base_lr * 2.0**octave:.4g}")


def first_octave(spec: StudySpec, batch_size: int) -> int:
    """Return where the grid of this batch size is centered: the base moved by the square-root rule.

    The square root is the rule that is least wrong over optimizers; the grid grows to wherever the optimum lies.
    """
    return round(0.5 * math.log2(batch_size / spec.base_batch_size))


def octaves_wanted(spec: StudySpec, batch_size: int, response: Response | None) -> set[int]:
    """Return the grid points that must be known before the response of this batch size can be fitted.

    Two points on either side of the best one, where a point at which training diverged closes that side; nothing
    beyond 12 octaves from the center. The best is the smallest mean validation loss over the tuning seeds.
    """
    center = first_octave(spec, batch_size)
    window = set(range(center - REACH, center + REACH + 1))
    if response is None or not response.learning_rates:
        return window
    losses = _loss_by_octave(spec, response)
    finite = {octave: loss for octave, loss in losses.items() if math.isfinite(loss)}
    if not finite:
        return _within(set(losses) | {min(losses) - step for step in range(1, REACH + 1)}, center)
    best = min(finite, key=finite.__getitem__)
    wall = min((octave for octave, loss in losses.items() if octave > best and not math.isfinite(loss)), default=None)
    wanted = set(range(best - REACH, best + REACH + 1))
    return _within(set(losses) | {octave for octave in wanted if wall is None or octave <= wall}, center)


def _loss_by_octave(spec: StudySpec, response: Response) -> Mapping[int, float]:
    means = response.valid_loss.mean(axis=1)
    octaves = (round(math.log2(rate / spec.base_lr)) for rate in response.learning_rates)
    return {octave: float(mean) for octave, mean in zip(octaves, means, strict=True)}


def _within(octaves: set[int], center: int) -> set[int]:
    return {octave for octave in octaves if abs(octave - center) <= MOST_OCTAVES}
