"""The race to a target on worlds without training: what it costs beside an exhaustive table, and what it is worth.

Each world is a noisy quadratic or a parabola with a wall, with a drawn critical batch size, response to the learning
rate, machine, noise (.05 to .2 in ln(steps)), base rate and budget. Reported: examples spent as a share of those of
8 sizes x 10 rates x 3 seeds and 50 repetitions, every trial charged up to its first crossing or its whole budget;
regret, the true time at the answer over that of the best setting there is and over that of the table's best cell; and
how often scouting drops the best size. As a control each world is also asked with arms of one size: claims are false.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.scouting import examples_to
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord, TrialResult
from batchlab.studies.plan import plan
from batchlab.studies.trials import trial_id
from evidence import write_evidence
from search_worlds import World, drawn_world

N_RATES, N_SEEDS, N_REPEATED, N_FRESH = 10, 3, 5, 10
CLOSE = 1.05


@dataclass(frozen=True)
class Outcome:
    """One study in one world; `best_dropped` is how far the best size that was dropped is ahead, 1 where it is not."""

    world: str
    n_scouting: int
    n_confirming: int
    cost: float
    regret: float
    regret_to_table: float
    best_dropped: float
    verdict: str


def carry_out(world: World, **changes: object) -> StudyRecord:
    """Return the study of a world, carried out to its end."""
    spec, times, results = world.spec(**changes), world.step_times(), dict[str, TrialResult]()
    while not (step := plan(spec, world.info, results, times)).complete:
        for settings in step.trials:
            if trial_id(settings) not in results:
                results[trial_id(settings)] = world.result(settings)
    trials = tuple(results[trial_id(settings)] for settings in step.trials)
    return StudyRecord("simulated", "simulated", spec, world.info, trials, times, "", 0.0)


def charged(world: World, trials: Sequence[TrialResult]) -> float:
    """Return the examples of trials, each up to its first crossing of the target or to its end."""
    points = [(one.examples, examples_to(world.target, one, world.info)) for one in trials]
    return sum(examples if point is None else point for examples, point in points)


def table_of(world: World) -> tuple[float, float]:
    """Return the examples of the exhaustive table, and the time at its best cell; noise averages out of both."""
    ends = [math.log2(world.best_rate(size)) for size in (world.sizes[0], world.sizes[-1])]
    rates = [2.0 ** (sum(ends) / 2 + index - N_RATES / 2) for index in range(N_RATES)]
    cells = {(size, rate): world.examples_to_target(size, rate) for rate in rates for size in world.sizes}
    costs = {cell: min(examples, world.budget_examples) for cell, examples in cells.items()}
    seconds = {cell: world.seconds_to_target(*cell) for cell in cells}
    best = sorted(seconds, key=seconds.__getitem__)[:N_REPEATED]
    return N_SEEDS * sum(costs.values()) + N_FRESH * sum(costs[cell] for cell in best), seconds[best[0]]


def outcome_of(world: World) -> Outcome:
    """Return how the race fares in a world."""
    record = carry_out(world)
    findings = analyze_study(record)
    table_cost, table_seconds = table_of(world)
    best = {size: world.seconds_to_target(size, world.best_rate(size)) for size in world.sizes}
    recommended, race = findings.answer.recommended, findings.race
    assert race is not None
    found = math.inf
    if recommended is not None:
        found = world.seconds_to_target(recommended.batch_size, recommended.learning_rate)
    dropped = [best[one.batch_size] for one in race.dropped]
    kept = [seconds for size, seconds in best.items() if size not in {one.batch_size for one in race.dropped}]
    return Outcome(
        world=world.name,
        n_scouting=race.n_scouting,
        n_confirming=race.n_confirming,
        cost=charged(world, record.trials) / table_cost,
        regret=found / min(best.values()),
        regret_to_table=found / table_seconds,
        best_dropped=max(1.0, min(kept) / min(dropped)) if dropped else 1.0,
        verdict=findings.answer.verdict,
    )


def control_of(world: World) -> StudyFindings:
    """Return the findings of arms that all train at one size."""
    return analyze_study(carry_out(world, same_batch_size=world.base_batch_size, batch_sizes=world.sizes))


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, the value below which so many lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the figures of several worlds."""
    figures: dict[str, Any] = {
        "worlds": len(outcomes),
        "scouting_trials": sum(one.n_scouting for one in outcomes) / len(outcomes),
        "confirming_trials": sum(one.n_confirming for one in outcomes) / len(outcomes),
    }
    for name in ("cost", "regret", "regret_to_table"):
        values = [getattr(one, name) for one in outcomes]
        figures[name] = {
            key: round(quantile(values, share), 3)
            for key, share in (("median", 0.5), ("90%", 0.9), ("95%", 0.95), ("worst", 1.0))
        }
    figures["dropped_the_best_by_more_than_5%"] = sum(one.best_dropped > CLOSE for one in outcomes)
    return figures


def main() -> None:
    """Run the worlds, then the control."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--controls", type=int, default=200)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write the figures under evidence/")
    asked = parser.parse_args()
    started = time.monotonic()
    outcomes = [outcome_of(drawn_world(asked.seed, index)) for index in range(asked.worlds)]
    figures: dict[str, Any] = {"all": summary(outcomes)}
    for name in sorted({one.world for one in outcomes}):
        figures[name] = summary([one for one in outcomes if one.world == name])
    claims = 0
    for index in range(asked.controls):
        claims += bool(control_of(drawn_world(asked.seed + 1, index)).answer.worse_batch_sizes)
    figures["control"] = {"studies": asked.controls, "false_claims": claims}
    figures["seconds"] = round(time.monotonic() - started)
    for name, found in figures.items():
        print(name, found)
    worst = sorted(outcomes, key=lambda one: -one.regret)[:5]
    if asked.write:
        settings = {name: value for name, value in vars(asked).items() if name != "write"}
        write_evidence("search-simulated", settings, figures | {"worst": [asdict(one) for one in worst]})


if __name__ == "__main__":
    main()
