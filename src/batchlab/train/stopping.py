"""The rule by which a trial may end before its steps are done."""

from collections.abc import Sequence

from batchlab.numerics.crossings import first_at_target
from batchlab.records import Stop


def may_end(stop: Stop, examples: int, metric: Sequence[float]) -> bool:
    """Return whether a trial may end at an evaluation.

    Args:
        stop: the rule.
        examples: seen by now.
        metric: the validation metric at each evaluation so far, the untrained model first.

    >>> may_end(Stop(target=0.2), 200, [0.9, 0.3]), may_end(Stop(target=0.2), 300, [0.9, 0.3, 0.2])
    (False, True)
    >>> may_end(Stop(target=0.2, most_examples=200), 200, [0.9, 0.4, 0.3])
    True
    """
    is_over = stop.most_examples is not None and examples >= stop.most_examples
    if stop.target is None:
        return is_over
    held = first_at_target(metric, stop.target, higher_is_better=stop.higher_is_better, held=stop.held)
    is_there = first_at_target(metric[-1:], stop.target, higher_is_better=stop.higher_is_better) is not None
    return held is not None or (is_over and not is_there)
