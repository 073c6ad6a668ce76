"""How many steps a second does a study make, beside the loops and trainers that people use? Pair by pair, in one run.

Every contestant trains the same networks on the same images for the same steps: SGD with momentum, 16 epochs, and a
validation after each. Its processes are warm; a block is one training run from a fresh network to its last validation,
and in each round every contestant has one, in an order that turns from round to round. A study is clocked from the
first trial that the driver sends to the last one stored, in SQLite on disk. On top of a contestant's work its trials
evaluate the untrained network, fit the baseline, and look at the training data once at the end.

Two columns. As its users run it: peers in one process with torch's default threads, the study with one process a core,
which is its default. One process a core, one thread each: everybody. The ratio is the study's steps a second over the
peer's in the same round: median, and range over rounds.

    python benchmarks/engine.py [--rounds N] [--models mlp,cnn] [--batch-sizes 8,32] [--short] [--write]

Needs `pip install 'batchlab[bench]'` for the frameworks, and leaves out what is not installed. MNIST is looked for in
$BATCHLAB_DATA; without it images are random.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchlab.records import WorkloadInfo
from batchlab.studies.executors import Executor, available_cores
from batchlab.studies.opening import Where, opened_executor
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.spec import StudyOptions, resolve_spec
from batchlab.studies.store_opening import open_store
from clocked import Clocked
from engine_cases import CASES, EPOCHS, LEARNING_RATE, TITLES, Case, data_of, images, workload_of
from engine_processes import CONTESTANTS, Contestant, Team, installed, teams
from evidence import write_evidence
from spread import Spread, busy_cores, spread

SHORT_BATCH_SIZES = (32,)
TRIALS_A_PROCESS = 3
# Keras draws other initial weights, and everybody another order of the images.
LARGEST_DIFFERENCE = 0.3


@dataclass(frozen=True, slots=True)
class Round:
    """Steps a second in one round: the study's, and each peer's alone and with a process a core; everybody's loss."""

    study: float
    alone: dict[str, float]
    everywhere: dict[str, float]
    losses: dict[str, float]


def study_rate(case: Case, executor: Executor, info: WorkloadInfo, trials: int, seed: int) -> tuple[float, float]:
    """Return the steps a second of a study of so many trials at one batch size and learning rate, and their loss."""
    options = StudyOptions(
        batch_sizes=(case.batch_size,), lr=LEARNING_RATE, epochs=EPOCHS, seeds=trials, seed=seed, margin=0.01
    )
    clocked = Clocked(executor)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(os.fspath(Path(folder) / "engine.db"))
        spec = resolve_spec(options, info)
        record = run_study(spec, info, name="engine", store=store, executor=clocked, progress=Quiet())
        store.close()
    assert [trial.steps for trial in record.trials] == [case.n_steps] * trials, "every trial makes every step"
    return trials * case.n_steps / clocked.seconds, statistics.fmean(trial.valid_loss for trial in record.trials)


def play(case: Case, executor: Executor, info: WorkloadInfo, opened: dict[str, Team], index: int) -> Round:
    """Run one round, which starts with another contestant each time."""
    processes = available_cores()
    study, alone, everywhere, losses = 0.0, {}, {}, {}
    names = ["study", *opened]
    start = index % len(names)
    for name in names[start:] + names[:start]:
        if name == "study":
            study, losses[name] = study_rate(case, executor, info, TRIALS_A_PROCESS * processes, index)
        else:
            seconds, _ = opened[name].run(index, alone=True)
            alone[name] = case.n_steps / seconds
            seconds, losses[name] = opened[name].run(index, alone=False)
            everywhere[name] = processes * case.n_steps / seconds
    return Round(study, alone, everywhere, losses)


def measure(case: Case, pool: Any, opened: dict[str, Team], rounds: int) -> dict[str, Any]:
    """Return the row of one case; everybody is warm before the first round."""
    data = data_of(case, pool)
    for team in opened.values():
        team.load(case, data)
    with opened_executor(workload_of(case, data), None, "cpu", Where(), Quiet()) as (executor, info):
        study_rate(case, executor, info, trials=available_cores(), seed=rounds)
        played = [play(case, executor, info, opened, index) for index in range(rounds)]
    losses = {name: statistics.fmean(one.losses[name] for one in played) for name in played[0].losses}
    refuse_different_work(case, losses)
    return {
        "model": case.model,
        "batch_size": case.batch_size,
        "steps": case.n_steps,
        "validation_images": case.n_valid,
        "study_steps_per_s": spread([one.study for one in played]),
        "last_validation_loss": losses,
        "peers": {name: peer_row(name, played) for name in opened},
    }


def refuse_different_work(case: Case, losses: dict[str, float]) -> None:
    """Raise where somebody's last validation loss is not that of the others: they have not trained alike."""
    middle = statistics.median(losses.values())
    strange = {name: loss for name, loss in losses.items() if abs(loss / middle - 1) > LARGEST_DIFFERENCE}
    if strange:
        raise SystemExit(
            f"Everybody should end {case.model} at batch size {case.batch_size} with a validation loss within "
            f"{LARGEST_DIFFERENCE:.0%} of {middle:.3g}, and this is not so: {strange}; find out who trains differently."
        )


def peer_row(name: str, played: Sequence[Round]) -> dict[str, Spread]:
    """Return steps a second and the study's ratio to them, in both columns."""
    columns = {"alone": [one.alone[name] for one in played], "everywhere": [one.everywhere[name] for one in played]}
    studies = [one.study for one in played]
    row = {f"{column}_steps_per_s": spread(rates) for column, rates in columns.items()}
    ratios = {
        f"{column}_ratio": spread([study / rate for study, rate in zip(studies, rates, strict=True)])
        for column, rates in columns.items()
    }
    return row | ratios


def show(row: dict[str, Any]) -> None:
    """Print one case."""
    study = row["study_steps_per_s"]["median"]
    print(f"\n{TITLES[row['model']]}, batch size {row['batch_size']}: the study makes {study:,.0f} steps/s", end="")
    print(f", last validation loss {row['last_validation_loss']['study']:.4f}")
    print(f"{'':<36}{'as its users run it':>31}{'one process a core':>31}{'last loss':>12}")
    for contestant in CONTESTANTS:
        if contestant.name in row["peers"]:
            peer = row["peers"][contestant.name]
            cells = "".join(_cell(peer, column) for column in ("alone", "everywhere"))
            print(f"{contestant.title:<36}{cells}{row['last_validation_loss'][contestant.name]:>12.4f}")


def _cell(peer: dict[str, Spread], column: str) -> str:
    ratio = peer[f"{column}_ratio"]
    rate = f"{peer[f'{column}_steps_per_s']['median']:,.0f}/s"
    return f"{rate:>11}{ratio['median']:>7.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def chosen(names: str | None) -> list[Contestant]:
    """Return the contestants asked for that are installed; says which are not."""
    wanted = [one for one in CONTESTANTS if names is None or one.name in names.split(",")]
    for one in wanted:
        if installed(one) is None:
            print(f"Left out: {one.title}, which is not installed; run `pip install 'batchlab[bench]'`.")
    return [one for one in wanted if installed(one) is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="mlp,cnn")
    parser.add_argument("--batch-sizes", default="8,32,128,512")
    parser.add_argument("--contestants", help="names, separated by commas: " + ", ".join(c.name for c in CONTESTANTS))
    parser.add_argument("--short", action="store_true", help="the small network at batch size 32, one round: a minute")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    sizes = SHORT_BATCH_SIZES if asked.short else tuple(int(size) for size in asked.batch_sizes.split(","))
    models = ["mlp"] if asked.short else asked.models.split(",")
    rounds = 1 if asked.short else asked.rounds
    contestants, (pool, source), busy = chosen(asked.contestants), images(), busy_cores()
    print(f"{rounds} rounds on {available_cores()} cores, {busy:.1f} of them busy before; images: {source}")
    print("Steps a second, and the study's over the peer's (range)")
    rows = []
    with teams(contestants, available_cores()) as opened:
        for case in (case for case in CASES if case.model in models and case.batch_size in sizes):
            rows.append(measure(case, pool, opened, rounds))
            show(rows[-1])
    if asked.write:
        versions = {one.package: installed(one) for one in contestants}
        settings = {"rounds": rounds, "epochs": EPOCHS, "processes": available_cores(), "images": source}
        settings |= {"busy_cores_before": busy, "versions": versions}
        write_evidence("engine", settings, rows)


if __name__ == "__main__":
    main()
