"""From what a probe measured to what it advises, in numbers and in words."""

import math
from dataclasses import dataclass

import numpy

from batchlab.analyze.probe_findings import (
    TIE_MARGIN,
    CriticalBatchSize,
    Predicted,
    ProbeCurrent,
    ProbeFindings,
    ProbeMemory,
    ProbeNoise,
    ProbeRecommendation,
    ProbeRow,
    Reason,
    say_rate,
)
from batchlab.analyze.setting_choice import Outlook, SizeOutlook, by_size
from batchlab.analyze.wording import say_list, say_seconds
from batchlab.numerics.loss_levels import loss_curve
from batchlab.numerics.progress_model import ProgressModel
from batchlab.records import Current, StepTime, WorkloadInfo
from batchlab.studies.branching import Branches
from batchlab.studies.probe_options import ALLOWANCE, ProbeOptions
from batchlab.studies.racing import FINAL_DRAWS, SAME_RATE, Race
from batchlab.workload import Workload

CENTRAL = (0.025, 0.5, 0.975)
# Warm-up of a rate that was not trained with from the start: this share of the steps, as a rule of thumb.
WARM_UP_SHARE = 0.05
RULES = {1.0: "linear", 0.5: "sqrt"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a probe has at its end."""

    workload: Workload
    options: ProbeOptions
    info: WorkloadInfo
    race: Race
    outlook: Outlook
    step_times: dict[int, StepTime]
    memory: ProbeMemory
    peaks: dict[int, int]
    noise: ProbeNoise
    branches: Branches | None
    current: Current | None
    examples: int
    seconds: float
    timed_out: bool


def findings_of(found: Evidence) -> ProbeFindings:
    """Return the findings of a probe."""
    model, rows = found.race.model(FINAL_DRAWS), by_size(found.outlook)
    chosen = int(found.outlook.batch_sizes[found.outlook.chosen])
    own = next(row for row in rows if row.batch_size == chosen)
    predicted = {row.batch_size: _predicted(found, model, row) for row in rows}
    critical = _critical(found, model)
    recommendation = _recommendation(found, rows, own, predicted[chosen], critical)
    current = _current(found, model, own)
    trained = sum(racer.examples for racer in found.race.racers)
    return ProbeFindings(
        workload=found.workload.name,
        device=found.options.device,
        devices=1,
        optimizer=found.workload.optimizer_name,
        rule=RULES[found.race.plan.rule_exponent],
        answer=_answer(recommendation),
        confidence=_confidence(found, recommendation),
        recommendation=recommendation,
        noise_scale=found.noise,
        critical_batch_size=critical,
        speed=tuple(_row(found, row, predicted[row.batch_size]) for row in rows),
        max_batch_size=found.memory,
        current=current,
        notes=_notes(found),
        price=_price(found, predicted[chosen]),
        seconds=found.seconds,
        examples=found.examples + trained,
    )


def _recommendation(
    found: Evidence,
    rows: tuple[SizeOutlook, ...],
    own: SizeOutlook,
    predicted: Predicted | None,
    critical: CriticalBatchSize,
) -> ProbeRecommendation:
    winners = found.outlook.batch_sizes[found.outlook.log_costs.argmin(axis=1)]
    low, high = numpy.quantile(winners, [0.025, 0.975], method="nearest")
    ties = tuple(row.batch_size for row in rows if row is not own and row.ratio <= 1 + TIE_MARGIN)
    trained = _trained_from_start(found, own)
    steps = found.race.plan.horizon / own.batch_size
    return ProbeRecommendation(
        objective=found.options.objective,
        batch_size=own.batch_size,
        tied_batch_sizes=ties,
        low=int(low),
        high=int(high),
        micro_batch_size=own.batch_size,
        gradient_accumulation_steps=1,
        learning_rate=float(say_rate(own.learning_rate)),
        warmup_steps=0 if trained else math.ceil(WARM_UP_SHARE * steps),
        predicted=predicted,
        reasons=_reasons(found, own, critical, trained=trained),
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


def _reasons(found: Evidence, own: SizeOutlook, critical: CriticalBatchSize, *, trained: bool) -> tuple[Reason, ...]:
    race, settings = found.race, found.workload.optimizer_settings or {}
    runs = [racer for racer in race.racers if racer.batch_size == own.batch_size]
    step = found.step_times[own.batch_size]
    throughput = own.batch_size / step.median_s
    most = max(size / found.step_times[size].median_s for size in race.plan.costs)
    reasons = [
        Reason(
            f"A step at batch size {own.batch_size} takes {say_seconds(step.median_s)}: {throughput:,.0f} examples a "
            f"second, {throughput / most:.0%} of the most among the sizes timed.",
            "measured",
        ),
        Reason(
            f"At a critical batch size of {critical.value:,.0f} ({critical.low:,.0f} to {critical.high:,.0f}), batch "
            f"size {own.batch_size} needs {own.batch_size / critical.value:.0%} more examples than very small ones.",
            "fitted",
        ),
        Reason(
            f"The learning rate {say_rate(own.learning_rate)} comes from a response fitted to {len(race.racers)} runs, "
            f"{len(runs)} of them at this batch size; "
            + ("a run about there did not diverge." if trained else "no run at this batch size is as hot."),
            "fitted",
        ),
    ]
    if found.branches is not None:
        reasons.append(Reason(_say_branches(found.branches), "measured"))
    reasons.append(
        Reason(
            "No warm-up: the runs had none." if trained else f"Warm-up over {WARM_UP_SHARE:.0%} of the steps.",
            "measured" if trained else "rule",
        )
    )
    kept = [key for key in settings if key != "lr"]
    if kept:
        reasons.append(Reason(f"Left as in all runs: {say_list(kept)}.", "rule"))
    return tuple(reasons)


def _say_branches(branches: Branches) -> str:
    test = branches.test
    share = f"{test.margin_share:.0%} of the progress over {branches.window:,} examples"
    if test.high is None:
        return f"Branches up to batch size {test.low} lose less than {share}; none was shown to lose more."
    return f"Branches up to batch size {test.low} lose less than {share}, and at {test.high} they lose more."


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
    level = loss_curve(*deepest.curve).level_at(deepest.examples)
    logs = model.log_examples([row.batch_size, deepest.batch_size], [row.learning_rate, deepest.learning_rate])
    examples = level.examples * math.exp(float(numpy.median(logs[:, 0] - logs[:, 1])))
    steps = max(1, round(examples / row.batch_size))
    basis = f"to a validation loss of {level.loss:.3g}, the lowest that a run of this probe came to"
    return Predicted(steps, steps * found.step_times[row.batch_size].median_s, basis)


def _current(found: Evidence, model: ProgressModel, own: SizeOutlook) -> ProbeCurrent | None:
    current = found.current
    if current is None:
        return None
    logs = model.log_examples([current.batch_size, own.batch_size], [current.learning_rate, own.learning_rate])
    by_time = found.options.objective == "time"
    costs = [
        found.step_times[size].median_s / size if by_time else 1.0 for size in (current.batch_size, own.batch_size)
    ]
    ratios = numpy.exp(numpy.minimum(logs[:, 0] - logs[:, 1], 20.0)) * costs[0] / costs[1]
    low, ratio, high = (float(one) for one in numpy.quantile(ratios, CENTRAL))
    what = "time" if by_time else "examples"
    sentence = (
        f"Today's {current.batch_size}@{say_rate(current.learning_rate)} takes {ratio:.3g} times the {what} of the "
        f"recommended setting ({low:.3g} to {high:.3g})."
    )
    return ProbeCurrent(current.batch_size, current.learning_rate, ratio, low, high, sentence)


def _row(found: Evidence, row: SizeOutlook, predicted: Predicted | None) -> ProbeRow:
    step = found.step_times[row.batch_size].median_s
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
    )


def _answer(advice: ProbeRecommendation) -> str:
    goal = {"time": "the shortest training", "examples": "the least computation"}[advice.objective]
    return f"For {goal}, use batch size {advice.batch_size} with learning rate {say_rate(advice.learning_rate)}."


def _confidence(found: Evidence, advice: ProbeRecommendation) -> str:
    ties = advice.tied_batch_sizes
    text = f"The best batch size lies between {advice.low} and {advice.high} (95 %); this setting is expected to cost "
    text += f"{advice.expected_regret:.0%} more than the best one"
    if ties:
        text += f", and {say_list(ties)} cost{'s' if len(ties) == 1 else ''} at most {TIE_MARGIN:.0%} more than it"
    if found.timed_out:
        text += "; the time was up before all runs were made, and more minutes would narrow this"
    return text + "."


def _notes(found: Evidence) -> tuple[str, ...]:
    notes = list(found.info.notes)
    horizon = found.race.plan.horizon
    if horizon / max(found.race.plan.costs) <= 20:
        notes.append(
            f"The run that is to come has {horizon:,} examples: larger batches than {max(found.race.plan.costs)} would "
            "make too few updates and were not considered."
        )
    notes.append(
        f"Runs were at most {horizon:,} examples long, {ALLOWANCE:g} times that together, and judged on validation "
        "data; test data were not looked at. For accuracy, and to compare with seeds: "
        f"`batchlab study {found.info.reference}`."
    )
    return tuple(notes)


def _price(found: Evidence, predicted: Predicted | None) -> float | None:
    price = found.options.price_per_hour
    return None if price is None or predicted is None else price * predicted.seconds / 3600
