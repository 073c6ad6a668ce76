"""What one reads about large batches, held against gradients that were measured."""

import math
from collections.abc import Callable

from batchlab.analyze.gradient_norms import NormTable
from batchlab.analyze.measurements import CheckpointFindings, Claim
from batchlab.numerics.intervals import Interval

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
# How far the measured mean of |g_B|² may lie from the fitted law at any batch size.
LAW_TOLERANCE, LAW_ERRORS = 0.07, 3.0


def claims_at(checkpoint: CheckpointFindings) -> tuple[Claim, ...]:
    """Return what this checkpoint says of each claim that it has measurements for.

    Signs are decided by 95 % intervals, so that one claim in twenty is decided by chance where there is nothing; the
    claims are not corrected for being many.
    """
    found: list[Claim] = []
    if checkpoint.norms is not None:
        found += _norm_claims(checkpoint.step, checkpoint.norms)
    if checkpoint.interference is not None:
        found.append(_competition(checkpoint))
    if checkpoint.order is not None:
        found.append(_order(checkpoint))
    return tuple(found)


def _norm_claims(step: int, norms: NormTable) -> list[Claim]:
    large, small = norms.reference_batch_size, norms.rows[0].batch_size
    summed = math.log(large / small)
    ratios = (
        ("larger-steps", "Larger batches make larger steps, at one learning rate and a mean loss",
         "mean gradient norm", norms.log_mean_ratio),
        ("larger-steps-sum", "Larger batches make larger steps, with a summed loss",
         "mean norm of the summed gradient", _shifted(norms.log_mean_ratio, summed)),
        ("larger-variance", "Gradient norms of larger batches vary more, with a mean loss",
         "standard deviation of the norm", norms.log_sd_ratio),
        ("larger-variance-sum", "Gradient norms of larger batches vary more, with a summed loss",
         "standard deviation of the norm", _shifted(norms.log_sd_ratio, summed)),
        ("larger-variance-rescaled", "Gradient norms of larger batches vary more, relative to their mean",
         "standard deviation over mean", norms.log_relative_sd_ratio),
    )  # fmt: skip
    found = [
        _signed(name, text, step, log, f"{what}, batch size {large} over {small}: {_said(_exp(log), '{:.3g}')}")
        for name, text, what, log in ratios
    ]
    return [*found, _law(step, norms)]


def _law(step: int, norms: NormTable) -> Claim:
    """Return whether the measured mean squared norms lie on the fitted line, as far as their errors let one see."""
    worst = max(norms.rows, key=lambda row: abs(row.law_ratio - 1))
    verdict = HOLDS if abs(worst.law_ratio - 1) <= LAW_TOLERANCE else UNDECIDED
    if any(abs(row.law_ratio - 1) - LAW_ERRORS * row.law_error > LAW_TOLERANCE for row in norms.rows):
        verdict = FAILS
    text = "The mean squared norm is |G|² + tr(Σ)/B"
    evidence = f"largest misfit {worst.law_ratio - 1:+.1%} ± {worst.law_error:.1%}, at batch size {worst.batch_size}"
    return Claim("norm-law", text, step, verdict, evidence)


def _competition(checkpoint: CheckpointFindings) -> Claim:
    assert checkpoint.interference is not None
    pairs = checkpoint.interference.every
    text = "Examples of one batch compete: their gradients point against one another on average"
    evidence = f"mean cosine {_plain(pairs.cosine)} over {pairs.n_pairs:,} pairs"
    same, different = checkpoint.interference.same_class, checkpoint.interference.different_class
    if same is not None and different is not None:
        evidence += f"; {same.cosine.mean:+.3g} within a class, {different.cosine.mean:+.3g} between classes"
    return _signed("competition", text, checkpoint.step, _negative(pairs.cosine), evidence)


def _order(checkpoint: CheckpointFindings) -> Claim:
    assert checkpoint.order is not None
    gain = checkpoint.order.held_out
    text = "Two half-batches in sequence lower the held-out loss more than one joint step of the same length"
    evidence = f"difference of held-out losses {_plain(gain)} over {checkpoint.order.n_pairs} pairs"
    return _signed("sequence", text, checkpoint.step, _negative(gain), evidence)


def _signed(name: str, text: str, step: int, interval: Interval, evidence: str) -> Claim:
    """Return a claim that holds where an interval lies above 0 and does not where it lies below."""
    verdict = UNDECIDED
    if interval.low is not None and interval.low > 0:
        verdict = HOLDS
    elif interval.high is not None and interval.high < 0:
        verdict = FAILS
    return Claim(name, text, step, verdict, evidence)


def _negative(interval: Interval) -> Interval:
    low, high = (None if limit is None else -limit for limit in (interval.high, interval.low))
    return Interval(-interval.mean, low, high)


def _mapped(interval: Interval, function: Callable[[float], float]) -> Interval:
    low, high = (None if limit is None else function(limit) for limit in (interval.low, interval.high))
    return Interval(function(interval.mean), low, high)


def _exp(interval: Interval) -> Interval:
    return _mapped(interval, math.exp)


def _shifted(interval: Interval, by: float) -> Interval:
    return _mapped(interval, lambda value: value + by)


def _plain(interval: Interval) -> str:
    return _said(interval, "{:+.3g}")


def _said(interval: Interval, form: str) -> str:
    text = form.format(interval.mean)
    if interval.low is None or interval.high is None:
        return text
    return f"{text} ({form.format(interval.low)} to {form.format(interval.high)})"
