"""The answer to a target: what a larger batch saves, the fastest batch size, and which are worth their examples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from batchlab.analyze.contest import FEWEST_SEEDS
from batchlab.analyze.findings import Estimate
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.target import Reach, examples_per_step, reach_of, runs_to_target
from batchlab.analyze.target_findings import TargetFindings, TargetRun, TradeOffFindings
from batchlab.analyze.target_sentences import missed_sentence, say_target, time_sentence, tradeoff_sentences
from batchlab.analyze.tradeoff import tradeoff_of, why_no_tradeoff
from batchlab.analyze.wording import say_list
from batchlab.numerics.comparisons import indifference_set
from batchlab.numerics.crossings import USABLE

Runs = Mapping[int, tuple[TargetRun, ...]]

# Said of confirmed runs that took so much longer than expected, by so many standard errors.
WORTH_SAYING, SURPRISING = 0.2, 3.0


@dataclass(frozen=True, slots=True)
class Pursuit:
    """All that a study found of its target: runs and needs by batch size, the trade-off, and what they say."""

    runs: Runs
    reaches: dict[int, Reach]
    tradeoff: TradeOffFindings | None
    findings: TargetFindings | None


def pursuit_of(study: Prepared) -> Pursuit:
    """Return how the batch sizes reached the target; empty without one."""
    spec, times = study.record.spec, study.arm_step_times
    runs = runs_to_target(study)
    if not runs:
        return Pursuit(runs, {}, None, None)
    reaches = {
        size: reach_of(
            found, examples_per_step(study.confirmed[size]), times.get(size), spec.level, study.step_joules.get(size)
        )
        for size, found in runs.items()
    }
    # The arms of an A/A control have one batch size: there is nothing to fit.
    tradeoff = tradeoff_of(runs, spec.level) if spec.same_batch_size is None else None
    return Pursuit(runs, reaches, tradeoff, _findings(study, runs, reaches, tradeoff))


def _findings(
    study: Prepared, runs: Runs, reaches: Mapping[int, Reach], tradeoff: TradeOffFindings | None
) -> TargetFindings:
    spec = study.record.spec
    assert spec.target is not None
    goal = say_target(study.metric, spec.target)
    seconds = {size: reach.seconds for size, reach in reaches.items() if reach.seconds is not None}
    examples = {size: reach.examples for size, reach in reaches.items() if reach.examples is not None}
    fastest = min(seconds, key=lambda size: seconds[size].mean) if seconds else None
    as_fast = None if fastest is None else _as_fast(study, runs, seconds, fastest)
    missed = tuple(size for size, reach in reaches.items() if "target_not_reached" in reach.flags)
    sentences = []
    if tradeoff is not None:
        sentences += tradeoff_sentences(tradeoff, goal, [size for size in runs if size not in tradeoff.left_out])
    if fastest is not None and not study.is_race:
        sentences.append(time_sentence(goal, spec.device, seconds, fastest, as_fast))
    if missed:
        sentences.append(missed_sentence(goal, missed, tuple(runs)))
    return TargetFindings(
        sentences=tuple(sentences),
        fastest_batch_size=fastest,
        as_fast_batch_sizes=as_fast,
        thrifty_batch_sizes=_thrifty(seconds, examples),
        runs=tuple(run for found in runs.values() for run in found),
    )


def target_notes(study: Prepared, pursuit: Pursuit) -> list[str]:
    """Return how to read steps to a target, and why there is no trade-off where there is none."""
    spec = study.record.spec
    if spec.target is None:
        return []
    notes = []
    if spec.lr_mode == "tune" and not study.is_race:
        notes.append(
            "Steps to the target are those of learning rates tuned for the end of the budget; others may get to the "
            "target sooner and end worse."
        )
    if spec.schedule.kind != "constant":
        notes.append(
            f"The learning rate falls with the budget ({spec.schedule.kind}), so steps to the target depend on how "
            "long the budget is."
        )
    if spec.budget.kind == "steps":
        notes.append(
            "Under equal steps larger batches are evaluated further apart in examples: crossings are known less well."
        )
    if pursuit.tradeoff is None and spec.same_batch_size is None:
        notes.append(why_no_tradeoff(pursuit.runs))
    if study.is_race:
        notes += _slower_than_scouted(study, pursuit)
    if study.is_race and spec.confirm != "all" and spec.same_batch_size is None:
        notes.append("The trade-off is fitted to the sizes confirmed; `--confirm all` confirms every size for it.")
    return notes


def _slower_than_scouted(study: Prepared, pursuit: Pursuit) -> list[str]:
    """Return at which batch sizes confirmed runs took longer than scouting led to expect, beyond chance."""
    race, found = study.race, []
    if race is None or not race.scouted.costs:
        return []
    for size, reach in pursuit.reaches.items():
        if reach.examples is None or not reach.n_reached:
            continue
        index, surface = race.arms.index(size), race.surface
        expected = float(surface.log_cost[index]) + surface.expected_excess(index)
        error = math.hypot(float(surface.log_cost_sd[index]), surface.noise / math.sqrt(reach.n_reached))
        excess = math.log(reach.examples.mean) - expected
        if excess > max(SURPRISING * error, math.log1p(WORTH_SAYING)):
            found.append(f"{size} ({math.exp(excess):.2g} times)")
    if not found:
        return []
    return [
        f"Confirmed runs took longer than scouting led to expect at batch size {say_list(found)}: their learning rates "
        "were chosen from luckier runs and may be too high. A study with another `--seed` would tell."
    ]


def _as_fast(study: Prepared, runs: Runs, seconds: Mapping[int, Estimate], fastest: int) -> tuple[int, ...] | None:
    """Return the sizes not shown to be slower than the fastest: the indifference set of ln(seconds), paired by seed.

    A run of another size that ran out of budget counts as if it had got there then, which can only make that size look
    faster. None where the fastest size has such a run, or with fewer than 3 seeds.
    """
    times = study.arm_step_times
    scores = {
        size: {run.seed: math.log((run.steps or run.low) * times[size]) for run in runs[size]}
        for size in seconds
        if all(run.status in USABLE for run in runs[size])
    }
    if fastest not in scores or any(run.steps is None for run in runs[fastest]):
        return None
    common = sorted(set.intersection(*map(set, scores.values())))
    if len(common) < FEWEST_SEEDS:
        return None
    paired = {size: {seed: row[seed] for seed in common} for size, row in scores.items()}
    kept = indifference_set(paired, study.record.spec.level, higher_is_better=False)
    return tuple(size for size in kept if size != fastest)


def _thrifty(seconds: Mapping[int, Estimate], examples: Mapping[int, Estimate]) -> tuple[int, ...]:
    return tuple(
        size
        for size in seconds
        if not any(
            seconds[other].mean <= seconds[size].mean
            and examples[other].mean <= examples[size].mean
            and (seconds[other].mean, examples[other].mean) != (seconds[size].mean, examples[size].mean)
            for other in seconds
        )
    )
