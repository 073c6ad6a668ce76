"""A probe's advice in words: the answer, how sure it is, the reasons, what else to know."""

import math
from collections.abc import Iterator

from batchlab.analyze.probe_findings import (
    TIE_MARGIN,
    CriticalBatchSize,
    FittedStepTime,
    ProbeRecommendation,
    Reason,
    say_rate,
)
from batchlab.analyze.setting_choice import SizeOutlook
from batchlab.analyze.wording import say_list, say_metric, say_seconds
from batchlab.studies.branching import Branches
from batchlab.studies.probe_costs import SizeCost
from batchlab.studies.probe_evidence import Evidence
from batchlab.studies.probe_options import ALLOWANCE

# Warm-up of a rate that was not trained with from the start: this share of the steps, as a rule of thumb.
WARM_UP_SHARE = 0.05
# Waiting for data is worth a word from this share of a step on.
LOADER_BOUND = 0.1
GOALS = {"time": "the shortest training", "examples": "the least computation", "energy": "the least energy"}


def say_answer(found: Evidence, advice: ProbeRecommendation) -> str:
    """Return the first line: what to use."""
    goal, metric = GOALS[advice.objective], found.workload.metric.name
    if found.options.target is not None:
        goal += f" to a validation {metric} of {say_metric(metric, found.options.target)}"
    return f"For {goal}, use batch size {advice.batch_size} with learning rate {say_rate(advice.learning_rate)}."


def say_confidence(found: Evidence, advice: ProbeRecommendation) -> str:
    """Return the second line: how sure it is."""
    ties = advice.tied_batch_sizes
    text = f"The best batch size lies between {advice.low} and {advice.high} (95 %); this setting is expected to cost "
    text += f"{advice.expected_regret:.0%} more than the best one"
    if ties:
        text += f", and {say_list(ties)} cost{'s' if len(ties) == 1 else ''} at most {TIE_MARGIN:.0%} more than it"
    if found.timed_out:
        text += "; the time was up before all runs were made, and more minutes would narrow this"
    return text + "."


def say_reasons(
    found: Evidence,
    own: SizeOutlook,
    critical: CriticalBatchSize,
    step_time: FittedStepTime | None,
    *,
    trained: bool,
) -> tuple[Reason, ...]:
    """Return why the setting `own` is advised; `trained` says that it was trained with from fresh weights."""
    race, settings = found.race, found.workload.optimizer_settings or {}
    runs = [racer for racer in race.racers if racer.batch_size == own.batch_size]
    step = found.costs[own.batch_size]
    throughput = own.batch_size / step.time.median_s
    most = max(size / found.costs[size].time.median_s for size in race.plan.costs)
    reasons = [
        Reason(
            f"A step at batch size {own.batch_size} takes {say_seconds(step.time.median_s)}: {throughput:,.0f} "
            f"examples a second, {throughput / most:.0%} of the most among the sizes timed.",
            "measured",
        ),
        *_step_reasons(found, step, step_time),
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


def _step_reasons(found: Evidence, step: SizeCost, step_time: FittedStepTime | None) -> Iterator[Reason]:
    """Yield what bounds a step: memory, data, what it takes whatever its size, or what an example adds."""
    if step.parts > 1:
        yield Reason(
            f"No more than {found.memory.value:,} examples fit into memory: {step.parts} parts of "
            f"{step.micro_batch_size} are accumulated.",
            "measured",
        )
    if step.input_share is not None and step.input_share >= LOADER_BOUND:
        yield Reason(
            f"{step.input_share:.0%} of a step goes by waiting for data, which no batch size mends: more loader "
            "processes, or data in memory, would.",
            "measured",
        )
    if step_time is not None:
        yield Reason(_say_fitted(step_time), "fitted")


def _say_fitted(fitted: FittedStepTime) -> str:
    off = f"the fit is off by up to {fitted.largest_residual:.0%}, and the table counts"
    if fitted.knee is None:
        return f"A step takes {say_seconds(max(fitted.t0, fitted.a))} at any size that was timed; {off}."
    grows = f"{say_seconds(fitted.b)} for every example"
    if fitted.knee > 0:
        return f"A step takes {say_seconds(fitted.t0)} up to a batch size of {fitted.knee:,.0f}, then {grows}; {off}."
    return f"A step takes {say_seconds(fitted.a)} and {grows}; {off}."


def _say_branches(branches: Branches) -> str:
    test = branches.test
    share = f"{test.margin_share:.0%} of the progress over {branches.window:,} examples"
    if test.high is None:
        text = f"Branches up to batch size {test.low} lose less than {share}; none was shown to lose more."
    else:
        text = f"Branches up to batch size {test.low} lose less than {share}, and at {test.high} they lose more."
    if not branches.moved:
        return f"{text} After half as many examples it was the same."
    early = branches.early
    limit = "none was shown to" if early.high is None else f"those up to {early.low} did not, and {early.high} did"
    return f"{text} After half as many examples {limit}: it depends on how long one looks."


def say_notes(found: Evidence) -> tuple[str, ...]:
    """Return what the reader should know besides."""
    notes = list(found.info.notes)
    horizon, reach = found.horizon, found.race.plan.horizon
    if found.options.target is None and found.race.plan.reference is not None:
        size, rate = found.race.plan.reference
        notes.append(
            f"No target was given: settings are judged by how soon they come as far as {size}@{say_rate(rate)} would "
            f"in {reach:,} examples."
        )
    if found.options.target is not None and not math.isfinite(found.arrived):
        notes.append(
            "No run reached the target: settings are judged by how far they came, and beyond that nothing is known."
        )
    if reach < horizon:
        notes.append(
            f"In the time allowed runs were at most {reach:,} examples long, {reach / horizon:.0%} of the training to "
            "come: longer training often bears a larger batch and wants a lower learning rate. More minutes tell."
        )
    if "busy" in found.timing_flags or "drift" in found.timing_flags:
        notes.append("Step times scattered while they were taken: something else used the machine. Probe it alone.")
    if found.info.batch_norm is not None and any(step.parts > 1 for step in found.costs.values()):
        notes.append(
            f"Batch norm (module {found.info.batch_norm}) sees the parts of an accumulated batch one by one: such a "
            "step is not that of a whole batch."
        )
    if horizon / max(found.race.plan.costs) <= 20:
        notes.append(
            f"The run that is to come has {horizon:,} examples: larger batches than {max(found.race.plan.costs)} would "
            "make too few updates and were not considered."
        )
    notes.append(
        f"Runs were at most {reach:,} examples long, {ALLOWANCE:g} times that together, and judged on validation "
        "data; test data were not looked at. For accuracy, and to compare with seeds: "
        f"`batchlab study {found.info.reference}`."
    )
    return tuple(notes)
