"""What a probe was asked for, and what follows from it before anything is measured."""

import math
from dataclasses import dataclass
from typing import Any

from batchlab.analyze.probe_findings import OBJECTIVES
from batchlab.errors import UsageError
from batchlab.records import Budget, Current
from batchlab.studies.option_values import read_current

# Runs together may use so many horizons of examples: at most some of a hundred full runs of a study.
ALLOWANCE = 2.5
# Every size considered makes this many steps within the horizon, and holds at most this share of the data.
FEWEST_STEPS = 16
SMALLEST = 4
LINEAR, SQUARE_ROOT = 1.0, 0.5


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """A probe as it was asked for; None means the workload's own default.

    `budget` is the length of the run that is to come. `target` is a validation metric that it is to reach, in its own
    unit; without one settings are judged by how far they come. `price_per_hour` is of the machine.
    """

    objective: str = "time"
    current: Any = None
    budget: Budget | None = None
    target: Any = None
    seed: int = 0
    device: str = "cpu"
    data_dir: str | None = None
    max_minutes: float | None = None
    price_per_hour: float | None = None


def checked_current(options: ProbeOptions, n_train: int) -> Current | None:
    """Return today's setting; raises a `UsageError` for what cannot be meant, there and in the objective."""
    if options.objective == "accuracy":
        raise UsageError(
            "Which batch size is most accurate takes trained models to tell, got objective accuracy; run a study: "
            "`batchlab study WORKLOAD`."
        )
    if options.objective not in OBJECTIVES:
        raise UsageError(
            f"`objective` is one of {', '.join(OBJECTIVES)}, got {options.objective!r}; use time for the shortest "
            "training."
        )
    for name in ("max_minutes", "price_per_hour"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"`{name}` is a positive number, got {value:g}; leave it out for none.")
    if options.current is None:
        return None
    current = read_current(options.current)
    if current.batch_size > n_train:
        raise UsageError(
            f"A batch holds at most the {n_train} training examples, got {current.batch_size} in `current`; correct it."
        )
    return current


def sizes_to_consider(n_train: int, horizon: int) -> tuple[int, ...]:
    """Return powers of two from 4 up to half the training set, each with 16 steps or more within the horizon.

    >>> sizes_to_consider(1079, 21580)
    (4, 8, 16, 32, 64, 128, 256, 512)
    """
    most = min(n_train // 2, horizon // FEWEST_STEPS)
    sizes = tuple(2**power for power in range(2, 24) if SMALLEST <= 2**power <= most)
    return sizes or (1,)


def rule_exponent(optimizer: str) -> float:
    """Return p in lr ∝ B^p: 1 for SGD, ½ for the adaptive ones."""
    return LINEAR if optimizer == "sgd" else SQUARE_ROOT


def base_size(costs: dict[int, float], horizon: int, log_critical: float, sd: float) -> int:
    """Return the size to search rates at first: small enough for a search, and no larger than may well be best."""
    points = [z / 10 for z in range(-20, 21)]

    def excess(size: int) -> float:
        total = 0.0
        for z in points:
            critical = math.exp(log_critical + sd * z)
            times = {one: (1 + critical / one) * cost for one, cost in costs.items()}
            total += math.exp(-0.5 * z * z) * times[size] / min(times.values())
        return total

    likely = min(costs, key=excess)
    return max((size for size in costs if size <= max(min(costs), 8, min(likely, horizon / 512))), default=min(costs))
