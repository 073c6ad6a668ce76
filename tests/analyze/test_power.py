import dataclasses
import re

import pytest

import race_cases
from batchlab.analyze.findings import MetricInfo
from batchlab.analyze.power import Scatter, power_sentence
from batchlab.analyze.power_notices import power_notice
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

FLOORS = {8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05}
ERROR = MetricInfo("error", False, 0.005)


def record(noise: float, **changes: object) -> StudyRecord:
    """Return a finished study whose scores scatter by `noise`, seed effects apart."""
    executor = InstantExecutor(World(FLOORS, noise=noise).result)
    return run_study(spec(**changes), INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())


def told(sentence: str) -> float:
    """Return the difference that a sentence names, in points."""
    return float(re.search(r"about ([\d.]+) points", sentence).group(1))  # type: ignore[union-attr]


def test_the_seeds_for_the_margin_are_named_where_it_cannot_be_told_yet() -> None:
    assert power_sentence(ERROR, Scatter(0.01, 8), 5, "earlier results") == (
        "5 seeds can tell about 2.1 points of validation error apart (power 80%), judged by earlier results; 82 would "
        "tell 0.5."
    )


def test_the_seeds_for_half_the_margin_are_named_where_it_can() -> None:
    assert power_sentence(ERROR, Scatter(0.002, 8), 5, "earlier results").endswith("; 14 would tell 0.25.")


def test_a_loss_has_no_points() -> None:
    said = power_sentence(MetricInfo("loss", False, 0.02), Scatter(0.01, 4), 5, "earlier results")
    assert said.startswith("5 seeds can tell about 0.02 of validation loss apart (power 80%)")
    assert said.endswith("would tell 0.01.")


def test_where_only_tuning_is_in_the_way_more_seeds_are_not_advised() -> None:
    said = power_sentence(ERROR, Scatter(0.001, 8, shared_variance=0.01**2), 5, "earlier results")
    assert said.endswith("; no number of seeds would tell 0.5, more tuning might.")


def test_the_notice_before_the_run_foresees_what_the_notes_say_after_it() -> None:
    found = record(0.004, tuning_seeds=4, seeds=20)
    before = power_notice(found.spec, INFO, [one for one in found.trials if one.settings.purpose == "tune"])
    after = [note for note in analyze_study(found).notes if "the scatter seen here" in note]
    assert before is not None and "judged by the tuning trials" in before
    assert told(before) == pytest.approx(told(after[0]), rel=0.3)


def test_noise_that_seeds_share_costs_no_power() -> None:
    quiet, loud = (
        run_study(
            spec(seeds=20),
            INFO,
            name="s",
            store=MemoryStore(),
            executor=InstantExecutor(World(FLOORS, noise=0.002, seed_noise=seed_noise).result),
            progress=Quiet(),
        )
        for seed_noise in (0.0, 0.05)
    )
    sentences = [note for one in (quiet, loud) for note in analyze_study(one).notes if "scatter seen here" in note]
    assert told(sentences[0]) == pytest.approx(told(sentences[1]), rel=0.01)


def test_before_anything_has_run_there_is_nothing_to_judge_by() -> None:
    assert power_notice(spec(), INFO, ()) is None
    assert power_notice(spec(lr_mode="fixed"), INFO, ()) is None


def test_one_seed_or_one_size_can_tell_nothing() -> None:
    found = record(0.004, seeds=1)
    tuning = [one for one in found.trials if one.settings.purpose == "tune"]
    assert power_notice(dataclasses.replace(found.spec, seeds=1), INFO, tuning) is None
    assert not any("scatter seen here" in note for note in analyze_study(found).notes)
    alone = record(0.004, batch_sizes=(32,))
    assert power_notice(alone.spec, INFO, [one for one in alone.trials if one.settings.purpose == "tune"]) is None


def test_a_relative_margin_is_one_of_the_best_value_so_far() -> None:
    found = record(0.004)
    info = dataclasses.replace(INFO, margin=0.2, margin_is_relative=True, metric="loss")
    said = power_notice(found.spec, info, [one for one in found.trials if one.settings.purpose == "tune"])
    assert said is not None
    best = min(one.valid_metric for one in found.trials if one.settings.purpose == "tune")
    assert said.endswith(f"would tell {0.2 * best:.2g}.")


def test_a_race_tells_shares_of_the_cost_before_and_after() -> None:
    record = race_cases.finished(race_cases.soft(own_sd=0.1))
    scouting = [one for one in record.trials if one.settings.purpose == "tune"]
    before = power_notice(record.spec, record.info, scouting, record.step_times)
    after = [note for note in analyze_study(record).notes if note.startswith("5 seeds can tell about ")]
    assert before is not None
    said = r"5 seeds can tell about (\d+)% of the cost to the target apart \(power 80%\), judged by "
    told = [int(re.match(said, one)[1]) for one in (before, *after)]  # type: ignore[index]
    # √2 · 10 % · √(1/5) is a standard error of 6 %, and two to six of them are told, whatever choosing the rates adds.
    assert len(told) == 2 and all(12 <= one <= 45 for one in told), told
