"""From what a probe measured to what it advises."""

import math

import numpy

from batchlab.analyze.probe_findings import (
    TIE_MARGIN,
    CriticalBatchSize,
    FittedStepTime,
    Predicted,
    ProbeCurrent,
    ProbeFindings,
    ProbeRecommendation,
    ProbeRow,
    say_rate,
)
from batchlab.analyze.setting_choice import SizeOutlook, by_size
from batchlab.analyze.wording import say_metric
from batchlab.numerics.loss_levels import loss_curve
from batchlab.numerics.progress_model import ProgressModel
from batchlab.studies.probe_costs import time_model
from batchlab.studies.probe_evidence import Evidence
from batchlab.studies.probe_sentences import WARM_UP_SHARE, say_answer, say_confidence, say_notes, say_reasons
from batchlab.studies.racing import SAME_RATE

CENTRAL = (0.025, 0.5, 0.975)
RULES = {1.0: "linear", 0.5: "sqrt"}


def findings_of(found: Evidence) -> ProbeFindings:
    """Return the findings of a probe."""
    model, rows = found.model, by_size(found.outlook)
    chosen = int(found.outlook.batch_sizes[found.outlook.chosen])
    own = next(row for row in rows if row.batch_size == chosen)
    predicted = {row.batch_size: _predicted(found, model, row) for row in rows}
    critical = _critical(found, model)
    step_time = _fitted(found)
    recommendation = _recommendation(found, rows, own, predicted[chosen], critical, step_time)
    current = _current(found, model, own)
    trained = sum(racer.examples for racer in found.race.racers)
    return ProbeFindings(
        workload=found.workload.name,
        device=found.options.device,
        devices=1,
        optimizer=found.workload.optimizer_name,
        rule=RULES[found.race.plan.rule_exponent],
        answer=say_answer(found, recommendation),
        confidence=say_confidence(found, recommendation),
        recommendation=recommendation,
        noise_scale=found.noise,
        critical_batch_size=critical,
        speed=tuple(_row(found, row, predicted[row.batch_size]) for row in rows),
        max_batch_size=found.memory,
        current=current,
        notes=say_notes(found),
        price=_price(found, predicted[chosen]),
        seconds=found.seconds,
        examples=found.examples + trained,
        target=found.options.target,
        step_time=step_time,
    )


def _recommendation(
    found: Evidence,
    rows: tuple[SizeOutlook, ...],
    own: SizeOutlook,
    predicted: Predicted | None,
    critical: CriticalBatchSize,
    step_time: FittedStepTime | None,
) -> ProbeRecommendation:
    winners = found.outlook.batch_sizes[found.outlook.log_costs.argmin(axis=1)]
    low, high = numpy.quantile(winners, [0.025, 0.975], method="nearest")
    ties = tuple(row.batch_size for row in rows if row is not own and row.ratio <= 1 + TIE_MARGIN)
    trained = _trained_from_start(found, own)
    steps = found.horizon / own.batch_size
    step = found.costs[own.batch_size]
    return ProbeRecommendation(
        objective=found.options.objective,
        batch_size=own.batch_size,
        tied_batch_sizes=ties,
        low=int(low),
        high=int(high),
        micro_batch_size=step.micro_batch_size,
        gradient_accumulation_steps=step.parts,
        learning_rate=float(say_rate(own.learning_rate)),
        warmup_steps=0 if trained else math.ceil(WARM_UP_SHARE * steps),
        predicted=predicted,
        reasons=say_reasons(found, own, critical, step_time, trained=trained),
        expected_regret=own.expected_regret,
    )


def _trained_from_start(found: Evidence, own: SizeOutlook) -> bool:
    """Return whether a run at this size and about this rate went on from fresh weights without diverging."""
    return any(
        racer.batch_size == own.batch_size
        and math.log2(racer.learning_rate / own.learning_rate) >= -SAME_RATE
        and bool(racer.curve[1])
        and math.isfinite(racer.curve[1][-1])
        for racer in found.race.racers
    )


def _critical(found: Evidence, model: ProgressModel) -> CriticalBatchSize:
    low, value, high = (float(one) for one in numpy.quantile(model.critical_batch_sizes, CENTRAL))
    if found.branches is None:
        return CriticalBatchSize(value, low, high)
    test = found.branches.test
    return CriticalBatchSize(value, low, high, test.low, test.high, test.overhead)


def _predicted(found: Evidence, model: ProgressModel, row: SizeOutlook) -> Predicted | None:
    """Return steps and seconds to the level of the deepest run: its own examples there, times the fitted ratio."""
    deepest = found.race.leader()
    if deepest is None:
        return None
    arrived = found.arrived
    level = loss_curve(*deepest.curve).level_at(deepest.examples)
    needed = arrived if math.isfinite(arrived) else level.examples
    logs = model.log_examples([row.batch_size, deepest.batch_size], [row.learning_rate, deepest.learning_rate])
    examples = needed * math.exp(float(numpy.median(logs[:, 0] - logs[:, 1])))
    steps = max(1, round(examples / row.batch_size))
    step = found.costs[row.batch_size]
    joules = None if step.joules is None else steps * step.joules
    return Predicted(steps, steps * step.time.median_s, _basis(found, level.loss, arrived), joules)


def _basis(found: Evidence, level: float, arrived: float) -> str:
    metric = found.workload.metric
    if math.isfinite(arrived):
        return f"to the target, a validation {metric.name} of {say_metric(metric.name, found.options.target)}"
    what, deepest = "loss", level
    if found.options.target is not None:
        what, deepest = metric.name, -level if metric.higher_is_better else level
    return f"to a validation {what} of {deepest:.3g}, the best that a run of this probe came to"


def _current(found: Evidence, model: ProgressModel, own: SizeOutlook) -> ProbeCurrent | None:
    current = found.current
    if current is None:
        return None
    logs = model.log_examples([current.batch_size, own.batch_size], [current.learning_rate, own.learning_rate])
    objective = found.options.objective
    costs = [found.costs[size].of(objective).value / size for size in (current.batch_size, own.batch_size)]
    ratios = numpy.exp(numpy.minimum(logs[:, 0] - logs[:, 1], 20.0)) * costs[0] / costs[1]
    low, ratio, high = (float(one) for one in numpy.quantile(ratios, CENTRAL))
    sentence = (
        f"Today's {current.batch_size}@{say_rate(current.learning_rate)} takes {ratio:.3g} times the {objective} of "
        f"the recommended setting ({low:.3g} to {high:.3g})."
    )
    return ProbeCurrent(current.batch_size, current.learning_rate, ratio, low, high, sentence)


def _row(found: Evidence, row: SizeOutlook, predicted: Predicted | None) -> ProbeRow:
    cost = found.costs[row.batch_size]
    step = cost.time.median_s
    return ProbeRow(
        batch_size=row.batch_size,
        step_time_s=step,
        examples_per_s=row.batch_size / step,
        peak_memory_bytes=found.peaks.get(row.batch_size),
        learning_rate=float(say_rate(row.learning_rate)),
        predicted_steps=None if predicted is None else predicted.steps,
        relative_cost=row.ratio,
        relative_cost_low=row.ratio_low,
        relative_cost_high=row.ratio_high,
        micro_batch_size=cost.micro_batch_size,
        gradient_accumulation_steps=cost.parts,
        input_share=cost.input_share,
        joules=cost.joules,
    )


def _fitted(found: Evidence) -> FittedStepTime | None:
    model = time_model(found.costs)
    if model is None:
        return None
    knee = model.knee if math.isfinite(model.knee) else None
    return FittedStepTime(model.t0, model.a, model.b, knee, max(map(abs, model.residuals)), model.flags)


def _price(found: Evidence, predicted: Predicted | None) -> float | None:
    price = found.options.price_per_hour
    return None if price is None or predicted is None else price * predicted.seconds / 3600
