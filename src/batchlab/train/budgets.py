"""From a budget to a number of steps, and the points at which a trial is evaluated."""

import functools
import math

from batchlab.records import Budget

N_EVEN_EVALUATIONS = 10
SMALLEST_EVALUATION_SHARE = 2**-10
# Toward a target: a crossing is known to lie within 19%. A forward pass costs a third of a training example.
TARGET_RATIO = 2**0.25
EVALUATION_COST = 1 / 3


def steps_in_budget(budget: Budget, batch_size: int, n_train: int, last_batch: str) -> int:
    """Return how many optimizer steps the budget buys at this batch size, at least 1.

    Examples and epochs are rounded to the nearest step, so that no batch size sees more than half a batch more or less
    than the budget says. Where short batches are dropped or kept, an epoch has floor(N/B) or ceil(N/B) steps.

    >>> steps_in_budget(Budget("epochs", 10), 64, 1078, "carry")
    168
    """
    if budget.kind == "steps":
        return max(1, round(budget.value))
    examples = budget.value * n_train if budget.kind == "epochs" else budget.value
    if last_batch == "carry":
        return max(1, round(examples / batch_size))
    steps_per_epoch = n_train // batch_size if last_batch == "drop" else math.ceil(n_train / batch_size)
    return max(1, round(examples / n_train * steps_per_epoch))


def examples_in_steps(n_steps: int, batch_size: int, n_train: int, last_batch: str) -> int:
    """Return how many examples `n_steps` steps use; short last batches, where they are kept, count as they are."""
    if last_batch != "keep":
        return n_steps * batch_size
    epochs, rest = divmod(n_steps, math.ceil(n_train / batch_size))
    return epochs * n_train + rest * batch_size


@functools.cache
def evaluation_points(n_examples: int) -> tuple[int, ...]:
    """Return the numbers of examples at which a trial over `n_examples` is evaluated: the same for every batch size.

    Ten even points, and before the first of them points that halve down to 1/1024 of the whole, so that a comparison at
    the few steps of the largest batch size finds the curves of the small ones resolved.
    """
    even = [n_examples * k / N_EVEN_EVALUATIONS for k in range(1, N_EVEN_EVALUATIONS + 1)]
    early, share = [], 1 / N_EVEN_EVALUATIONS / 2
    while share >= SMALLEST_EVALUATION_SHARE:
        early.append(n_examples * share)
        share /= 2
    return tuple(sorted({max(1, math.ceil(point)) for point in [*early, *even]}))


def points_toward_target(n_examples: int, n_valid: int) -> tuple[int, ...]:
    """Return the numbers of examples at which a trial with a target is evaluated: the same for every batch size.

    Each is 2^(1/4) times the one before it, from 1/1024 of the whole on, but no two are so close that evaluating on
    `n_valid` examples would cost more than the training between them; the last is `n_examples`.

    >>> points_toward_target(2000, 300)
    (195, 295, 395, 495, 595, 708, 841, 1001, 1190, 1415, 1682, 2000)
    """
    apart = n_valid * EVALUATION_COST
    points = [float(n_examples)]
    while (below := min(points[-1] / TARGET_RATIO, points[-1] - apart)) >= max(
        apart, n_examples * SMALLEST_EVALUATION_SHARE
    ):
        points.append(below)
    return tuple(sorted({max(1, math.ceil(point)) for point in points}))
