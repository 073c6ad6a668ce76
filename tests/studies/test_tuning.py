import dataclasses
import math
from collections import Counter
from importlib.util import find_spec

import numpy
import pytest

from batchlab.analyze.learning_rates import chosen_learning_rates
from batchlab.analyze.study import analyze_study
from batchlab.records import Current, StudyRecord, TrialResult, TrialSettings
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import Plan, plan
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.samplers import Place, ask
from batchlab.studies.trials import trial_id
from batchlab.studies.tuning import told
from simulated import INFO, InstantExecutor, spec
from tuning_cases import SIZES, TunedWorld, follow, question

WORLD = TunedWorld(noise=0.002)
OPTUNA = pytest.param("tpe", marks=pytest.mark.skipif(find_spec("optuna") is None, reason="Optuna is not installed"))
SAMPLERS = ["quasi-random", OPTUNA]


def of(step: Plan, purpose: str) -> list[TrialSettings]:
    """Return the trials of one purpose."""
    return [settings for settings in step.trials if settings.purpose == purpose]


def ids(step: Plan) -> set[str]:
    """Return the identities of all trials."""
    return {trial_id(one) for one in step.trials}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_batch_size_has_the_same_number_of_tuning_trials(sampler: str) -> None:
    step, _ = follow(question(sampler=sampler), WORLD.result)
    # 12 settings, and the best 4 of them on the second tuning seed.
    assert Counter(one.batch_size for one in of(step, "tune")) == dict.fromkeys(SIZES, 16)
    assert Counter(one.batch_size for one in of(step, "confirm")) == dict.fromkeys(SIZES, 3)


def test_quasi_random_settings_are_the_same_at_every_batch_size_but_for_the_center_of_the_rate() -> None:
    trials = of(plan(question(), INFO, {}), "tune")
    at = {size: [one for one in trials if one.batch_size == size] for size in SIZES}
    for small, large in zip(at[8], at[128], strict=True):
        assert small.optimizer_settings == large.optimizer_settings
        assert large.learning_rate / small.learning_rate == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_order_in_which_trials_end_makes_no_difference(sampler: str) -> None:
    asked = question(sampler=sampler, tuning_trials=6, batch_sizes=(8, 32))
    all_at_once, _ = follow(asked, WORLD.result)
    generator = numpy.random.default_rng(0)
    for take in (lambda some: some[-1:], lambda some: [some[generator.integers(len(some))]]):
        assert ids(follow(asked, WORLD.result, take)[0]) == ids(all_at_once)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("n", [1, 7, 20])
def test_a_study_that_was_killed_goes_on_to_the_same_trials(sampler: str, n: int) -> None:
    asked = question(sampler=sampler, tuning_trials=8)
    whole, results = follow(asked, WORLD.result)
    kept = dict(list(results.items())[:n])
    ask.cache_clear()
    again, more = follow(asked, WORLD.result, results=kept)
    assert again == whole
    assert more.keys() == results.keys()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_more_than_two_settings_of_optunas_are_asked_ahead(sampler: str) -> None:
    first = Counter(one.batch_size for one in plan(question(sampler=sampler), INFO, {}).trials)
    assert set(first.values()) == {12 if sampler == "quasi-random" else 2}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("rate", "momentum"), [(1.0, 0.9), (0.25, 0.5), (4.0, 0.95)])
def test_with_24_trials_a_setting_within_a_quarter_of_the_best_loss_is_found(
    sampler: str, rate: float, momentum: float
) -> None:
    world = TunedWorld(rate, momentum)
    step, _ = follow(question(sampler=sampler, tuning_trials=24), world.result)
    for one in of(step, "confirm"):
        # 1.6 octaves from the best setting, in a box of 8 by 6.5 octaves.
        assert world.result(one).valid_loss < 1.25 * 0.1


def test_where_training_diverged_a_sampler_is_told_worse_than_the_worst() -> None:
    trials = [WORLD.result(one) for one in plan(question(), INFO, {}).trials[:4]]
    losses = (0.3, 0.2, 0.25)
    done = [dataclasses.replace(one, valid_loss=loss) for one, loss in zip(trials, losses, strict=False)]
    diverged = dataclasses.replace(trials[3], status="diverged", valid_loss=math.nan)
    failed = dataclasses.replace(trials[3], status="failed")
    place = Place((0.5, 0.5))
    assert [one.value for one in told([(place, one) for one in (*done, diverged, failed)])] == [
        *losses,
        pytest.approx(0.4),
        None,
    ]
    assert [one.value for one in told([(place, diverged)])] == [2.0]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_size_at_which_nothing_trains_is_not_confirmed(sampler: str) -> None:
    def respond(settings: TrialSettings) -> TrialResult:
        found = WORLD.result(settings)
        return dataclasses.replace(found, status="diverged") if settings.batch_size == 128 else found

    step, _ = follow(question(sampler=sampler), respond)
    assert {one.batch_size for one in of(step, "confirm")} == {8, 32}
    assert sum(one.batch_size == 128 for one in of(step, "tune")) == 12


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_failed_trials_do_not_stop_the_plan(sampler: str) -> None:
    def respond(settings: TrialSettings) -> TrialResult:
        found = WORLD.result(settings)
        return dataclasses.replace(found, status="failed") if settings.learning_rate < 0.02 else found

    assert follow(question(sampler=sampler), respond)[0].complete


def test_one_tuning_seed_tries_nothing_again() -> None:
    step, _ = follow(question(tuning_seeds=1), WORLD.result)
    assert len(of(step, "tune")) == 12 * len(SIZES)


def test_the_trials_of_a_study_that_tunes_the_rate_alone_are_what_they_were() -> None:
    plain = spec()
    trials = plan(plain, INFO, {}).trials
    assert (plain.tune, len(trials)) == ((), 50)
    assert (trial_id(trials[0]), trial_id(trials[-1])) == ("37886aaf9553414d", "3a8d37f50d04c23d")


def run(**changes: object) -> StudyRecord:
    """Return the record of a study run by an executor that answers at once."""
    store = MemoryStore()
    asked = question(**changes)
    return run_study(asked, INFO, name="s", store=store, executor=InstantExecutor(WORLD.result), progress=Quiet())


def test_the_answer_names_the_whole_setting() -> None:
    findings = analyze_study(run())
    recommended = findings.answer.recommended
    assert recommended is not None
    row = next(one for one in findings.batch_sizes if one.batch_size == recommended.batch_size)
    assert (row.settings, row.learning_rate) == (recommended.settings, recommended.learning_rate)
    momentum = dict(row.settings)["momentum"]
    assert f"with learning rate {row.learning_rate:g} and momentum {momentum:g}" in findings.answer.sentence
    assert [one.n_seeds for one in findings.batch_sizes] == [3, 3, 3]
    assert (
        "Tuned at once, at each batch size: learning rate and momentum, with 12 settings picked by quasi-random and "
        "the best 4 of them again on 1 more seed, by validation loss."
    ) in findings.notes


def test_todays_setting_at_the_rate_that_was_chosen_is_told_from_it() -> None:
    chosen = next(one for one in analyze_study(run()).batch_sizes if one.batch_size == 32)
    findings = analyze_study(run(current=Current(32, chosen.learning_rate)))
    assert findings.current is not None
    assert findings.current.n_seeds == 3
    assert [one.n_seeds for one in findings.batch_sizes] == [3, 3, 3]
    assert "same" not in findings.current.flags
    today = findings.current.valid_metric.mean
    assert today != next(one for one in findings.batch_sizes if one.batch_size == 32).valid_metric.mean


def test_equal_batch_sizes_whose_best_settings_lie_anywhere_are_not_told_apart() -> None:
    """20 studies of 3 equal batch sizes. At a rate of 5% more than 4 of them claim a difference once in 400 times."""
    claims = 0
    for seed in range(20):
        generator = numpy.random.default_rng(seed)
        worlds = {
            size: TunedWorld(2 ** generator.uniform(-2, 2), 1 - 2 ** generator.uniform(-5, -1.5), 0.003, 0.002)
            for size in SIZES
        }
        asked = question(seed=seed, seeds=5)
        _, results = follow(asked, lambda one, worlds=worlds: worlds[one.batch_size].result(one))  # type: ignore[misc]
        record = StudyRecord("", "", asked, INFO, tuple(results.values()), (), "", 0.0)
        claims += bool(analyze_study(record).answer.worse_batch_sizes)
    assert claims <= 4


@pytest.mark.parametrize(
    ("tuning_seeds", "said"),
    [
        (1, "not the noise of choosing among those that were: with one tuning seed nothing shows it."),
        (2, "`--tuning-trials` and `--tuning-seeds` make both smaller."),
    ],
)
def test_what_intervals_contain_of_the_tuning_is_noted(tuning_seeds: int, said: str) -> None:
    assert any(said in note for note in analyze_study(run(tuning_seeds=tuning_seeds)).notes)


def test_a_best_rate_at_the_edge_of_the_box_is_warned_of() -> None:
    far = TunedWorld(rate=2.0**-6)
    asked = question(tuning_trials=18)
    _, results = follow(asked, far.result)
    record = StudyRecord("", "", asked, INFO, tuple(results.values()), (), "", 0.0)
    findings = analyze_study(record)
    assert findings.answer.verdict == "edge-of-range"
    warned = "The best learning rate stayed at the edge of the search at batch size 8, 32 and 128."
    assert f"{warned} `--base-lr` moves the search." in findings.answer.warnings


def test_a_best_rate_well_inside_the_box_is_not_at_its_edge() -> None:
    for octaves in (-2, 0, 2):
        _, results = follow(question(tuning_trials=18), TunedWorld(rate=2.0**octaves).result)
        rates = chosen_learning_rates(question(tuning_trials=18), tuple(results.values()))
        assert not any(rate.at_edge for rate in rates.values())


@pytest.mark.parametrize("name", ["aa", "noise", "random-labels"])
def test_a_control_with_a_question_of_its_own_tunes_as_the_study_does(name: str) -> None:
    world = TunedWorld(noise=0.0005)
    asked = question(controls=(name,), base_lr=0.1)
    store = MemoryStore()
    executor = InstantExecutor(world.result)
    record = run_study(asked, INFO, name="s", store=store, executor=executor, progress=Quiet())
    plain = question(base_lr=0.1)
    own, _ = follow(plain, world.result)
    added = [one.settings for one in record.trials if one.settings not in own.trials]
    assert {one.settings for one in record.trials} >= set(own.trials)
    tuned = [one for one in added if one.purpose == "tune"]
    momenta = {dict(one.optimizer_settings)["momentum"] for one in tuned}
    assert len(momenta) >= 12, "the control's own arms try momenta of their own"
    found = analyze_study(record).controls[0]
    assert found.name == name and not any("missing" in row.flags for row in found.rows)
    # The world knows neither labels nor noise: nothing differs, and nothing may be claimed.
    assert found.as_expected in (True, None)
