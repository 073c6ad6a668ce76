"""What an analysis says of a target, as plain data: the part of the findings that a study without one lacks."""

from dataclasses import dataclass

from batchlab.numerics.tradeoff import Region


@dataclass(frozen=True, slots=True)
class TargetRun:
    """When one confirmed trial first reached the target, in steps.

    `status` is reached (in (low, high], the limits being evaluations; `steps` is interpolated between them),
    not_reached (right-censored at `low`), plateaued (not reached, and the curve no longer leads there), diverged, or
    trivial (the untrained model is there). Only the first two enter the trade-off.
    """

    batch_size: int
    seed: int
    status: str
    low: float
    high: float
    steps: float | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Steps to the target by the fitted curve, with the limits of their expectation; None where they have none."""

    batch_size: float
    steps: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class TradeOffFindings:
    """The trade-off between steps and examples to the target, S = steps_min (1 + critical_batch_size/B).

    `low` and `high` are the limits of the critical batch size at `level`, 0 or infinite where the sizes tried give
    none. "Critical" has several definitions: `definition` says which this is, and `overhead_batch_size` is that of
    another one, where examples exceed their least by the share `overhead`. `n` counts the runs in the fit, `n_censored`
    those of them that did not reach the target; `left_out` are the sizes most of whose trials never will. `regions` and
    `flags` are those of `batchlab.fit_tradeoff`, `shape_p_value` tests the curve's form, `sd` is the scatter of one
    run's ln(steps).
    """

    critical_batch_size: float
    low: float
    high: float
    level: float
    definition: str
    steps_min: float
    examples_min: float
    overhead: float
    overhead_batch_size: float
    sd: float
    shape_p_value: float | None
    n: int
    n_censored: int
    left_out: tuple[int, ...]
    regions: tuple[Region, ...]
    curve: tuple[CurvePoint, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DroppedSize:
    """A batch size that a race did not confirm: after scouting even the optimistic limit of its cost was too high.

    `learning_rate` is its best as fitted, with `n_trials` scouting trials of its own. `cost_ratio` is its cost over
    that of the best size, by the fit, and `cost_ratio_low` the optimistic limit of that. One that is not `in_time`
    would not get to the target within the budget even then, whatever its cost.
    """

    batch_size: int
    learning_rate: float
    n_trials: int
    cost_ratio: float
    cost_ratio_low: float
    in_time: bool = True


@dataclass(frozen=True, slots=True)
class ScoutingRun:
    """One scouting trial: its `examples` to the target, or all of them where it was not `reached`."""

    batch_size: int
    learning_rate: float
    seed: int
    examples: float
    reached: bool
    diverged: bool


@dataclass(frozen=True, slots=True)
class FittedRate:
    """The best learning rate of one batch size, by the surface over all scouting trials, with its interval."""

    batch_size: int
    learning_rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RaceFindings:
    """How a race to the target was run.

    `objective` is seconds, or examples where no step times are known. Sizes tie that are equivalent within `margin`, a
    share of the cost, and are dropped where even an optimistic cost exceeds the best by it. `examples` counts all that
    the trials trained on, `full_examples` what they would have without a rule to stop. `fitted_rates` has every size
    that was scouted, once a trial has reached the target.
    """

    objective: str
    margin: float
    n_scouting: int
    n_confirming: int
    examples: int
    full_examples: int
    dropped: tuple[DroppedSize, ...]
    scouting: tuple[ScoutingRun, ...] = ()
    fitted_rates: tuple[FittedRate, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetFindings:
    """How the batch sizes reached the target.

    `fastest_batch_size` has the least quiet seconds, `as_fast_batch_sizes` are those not shown to be slower (None where
    that cannot be told), and `thrifty_batch_sizes` those that no other size beats in both seconds and examples, by
    their means (the Pareto front).
    """

    sentences: tuple[str, ...]
    fastest_batch_size: int | None
    as_fast_batch_sizes: tuple[int, ...] | None
    thrifty_batch_sizes: tuple[int, ...]
    runs: tuple[TargetRun, ...]
