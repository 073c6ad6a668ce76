"""The trade-off between steps and examples to the target, fitted to a study's trials."""

import math
from collections.abc import Mapping, Sequence

import numpy
from numpy.typing import NDArray
from scipy.special import stdtrit

from batchlab.analyze.target_findings import CurvePoint, TargetRun, TradeOffFindings
from batchlab.analyze.wording import say_list
from batchlab.numerics.crossings import USABLE
from batchlab.numerics.size_scatter import scatter_about
from batchlab.numerics.tradeoff import TradeOff, fit_tradeoff, scaling_regions

Array = NDArray[numpy.float64]
Runs = Mapping[int, Sequence[TargetRun]]

FEWEST_SIZES = 3
OVERHEAD = 0.2
POINTS_PER_OCTAVE = 4
DEFINITION = (
    "Critical batch size: examples and steps to the target are both twice their least (McCandlish et al. 2018). "
    "Others call critical the size at which examples exceed their least by 20% (Zhang et al. 2024): one fifth of it."
)


def tradeoff_of(runs: Runs, level: float) -> TradeOffFindings | None:
    """Return the trade-off, None where fewer than 3 batch sizes reached the target between two evaluations.

    A size most of whose trials level off short of the target, or diverge, has no number of steps to it: its few trials
    that did get there would make it look fast, and it is left out.
    """
    kept = fitted_sizes(runs)
    if len(_informative(kept)) < FEWEST_SIZES:
        return None
    used = [run for found in kept.values() for run in found if run.status in USABLE]
    fit = fit_tradeoff([run.batch_size for run in used], [(run.low, run.high) for run in used], level=level)
    sizes = sorted({run.batch_size for run in used})
    return TradeOffFindings(
        critical_batch_size=fit.critical_batch_size,
        low=fit.low,
        high=fit.high,
        level=level,
        definition=DEFINITION,
        steps_min=fit.steps_min,
        examples_min=fit.examples_min,
        overhead=OVERHEAD,
        overhead_batch_size=fit.overhead_batch_size(OVERHEAD),
        sd=fit.sd,
        shape_p_value=fit.shape_p_value,
        n=fit.n,
        n_censored=fit.n_censored,
        left_out=tuple(size for size in runs if size not in kept),
        regions=scaling_regions(fit),
        curve=_curve(fit, used, sizes),
        flags=fit.flags,
    )


def fitted_sizes(runs: Runs) -> dict[int, Sequence[TargetRun]]:
    """Return the sizes more than half of whose trials reached the target or might with a longer budget."""
    return {size: found for size, found in runs.items() if 2 * sum(run.status in USABLE for run in found) > len(found)}


def why_no_tradeoff(runs: Runs) -> str:
    """Return why there is no trade-off, as a note."""
    if any(run.status == "trivial" for found in runs.values() for run in found):
        return "No trade-off curve: the untrained model is at the target already; choose a harder one."
    sizes = _informative(fitted_sizes(runs))
    where = f"only at batch size {say_list(sizes)}" if sizes else "at none"
    return (
        f"No trade-off curve: it needs {FEWEST_SIZES} batch sizes that reach the target after their first evaluation, "
        f"and these did {where}; an easier target or a longer budget may give one."
    )


def _informative(runs: Runs) -> list[int]:
    return [size for size, found in runs.items() if any(run.low > 0 and run.status == "reached" for run in found)]


def _curve(fit: TradeOff, used: Sequence[TargetRun], sizes: Sequence[int]) -> tuple[CurvePoint, ...]:
    octaves = math.log2(sizes[-1] / sizes[0])
    places = numpy.geomspace(sizes[0], sizes[-1], 1 + max(1, math.ceil(octaves * POINTS_PER_OCTAVE)))
    widths = _half_widths(fit, used, places)
    points = []
    for index, place in enumerate(places.tolist()):
        steps = fit.steps(place)
        factor = None if widths is None else math.exp(float(widths[index]))
        points.append(
            CurvePoint(
                place, steps, None if factor is None else steps / factor, None if factor is None else steps * factor
            )
        )
    return tuple(points)


def _half_widths(fit: TradeOff, used: Sequence[TargetRun], places: Array) -> Array | None:
    """Return half the width of the interval of ln(steps) at each place, None where it cannot be had.

    By the model linear in its parameters at the fit, ln S = p + c B_crit/(B + B_crit), whose noise is that of the fit's
    own interval (`scatter_about`): t √(v (1/n + (x - x̄)²/Σ(x - x̄)²)).
    """
    known = numpy.array([run.batch_size for run in used if run.low > 0 and run.status == "reached"], dtype=float)
    critical, n = fit.critical_batch_size, len(known)
    if not 0 < critical < math.inf:
        return None
    total = n * fit.sd**2
    gaps = [
        count * (math.log(steps) - math.log(fit.steps(size))) ** 2
        for size, steps, count in zip(fit.measured.batch_sizes, fit.measured.steps, fit.measured.n_runs, strict=True)
    ]
    misfit = -n * math.log1p(-min(sum(gaps) / total, 0.999)) if total > 0 else 0.0
    scatter = scatter_about(n, len(fit.measured.batch_sizes), 2, misfit)
    if scatter is None:
        return None
    x, at = critical / (known + critical), critical / (places + critical)
    spread = float(((x - x.mean()) ** 2).sum())
    error = numpy.sqrt(total * scatter.mean_square * (1 / n + (at - x.mean()) ** 2 / spread))
    return numpy.asarray(float(stdtrit(scatter.df, 0.5 + fit.level / 2)) * error)
