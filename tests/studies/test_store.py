import getpass
import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simulated
from batchlab.errors import StudyNotFound, StudyRunning
from batchlab.records import (
    Budget,
    Curve,
    Schedule,
    StepTime,
    StudySpec,
    TrialResult,
    TrialSettings,
    identity,
    to_json,
)
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.store_opening import open_store

SPEC = StudySpec(
    workload="digits-mlp",
    batch_sizes=(8, 16),
    budget=Budget("epochs", 3.0),
    lr_mode="tune",
    base_lr=0.1,
    base_batch_size=32,
    optimizer="sgd",
    optimizer_settings=(("momentum", 0.9), ("nesterov", True)),
)
INFO = replace(simulated.INFO, name="digits-mlp", reference="digits-mlp")
SETTINGS = TrialSettings(
    workload="digits-mlp",
    fingerprint="f00",
    batch_size=8,
    learning_rate=0.1,
    n_steps=10,
    optimizer="sgd",
    optimizer_settings=(("betas", (0.9, 0.95)), ("momentum", 0.9)),
    schedule=Schedule(),
    last_batch="carry",
    evaluate_at=(0, 80),
    base_seed=0,
    seed=0,
    replica=0,
    purpose="confirm",
    device="cpu",
)
RESULT = TrialResult(
    settings=SETTINGS,
    status="done",
    curve=Curve((0, 80), (0, 10), (0.1, 0.1), (math.nan, 0.5), (2.3, 0.4), (0.9, 0.1)),
    examples=80,
    steps=10,
    valid_loss=0.4,
    valid_metric=0.1,
    baseline_metric=0.9,
    train_loss=0.3,
    train_metric=0.05,
    test_loss=None,
    test_metric=None,
    seconds=1.5,
    host="here",
    versions=(("torch", "2.13.0"),),
)
TIMES = (StepTime(8, 1e-3, 9e-4, 2e-3, 20, 2, "cpu"), StepTime(16, math.inf, 0.0, math.inf, 1, 2, "cpu"))


def trial(seed):
    result = replace(RESULT, settings=replace(SETTINGS, seed=seed))
    return identity(result.settings), result


def as_text(value):
    """NaN is not equal to itself; its text is."""
    return json.dumps(to_json(value), sort_keys=True)


any_float = st.floats(allow_nan=True, allow_infinity=True)
maybe_float = st.none() | any_float
counts = st.integers(0, 2**53)
columns = st.lists(any_float, max_size=4).map(tuple)
numbers = st.lists(counts, max_size=4).map(tuple)
setting = st.booleans() | counts | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
results = st.builds(
    TrialResult,
    settings=st.builds(
        lambda rate, items, name: replace(SETTINGS, learning_rate=rate, optimizer_settings=items, workload=name),
        any_float,
        st.lists(st.tuples(st.text(max_size=5), setting), max_size=3).map(tuple),
        st.text(max_size=5),
    ),
    status=st.sampled_from(["done", "diverged", "failed"]),
    curve=st.builds(Curve, numbers, numbers, columns, columns, columns, columns),
    examples=counts,
    steps=counts,
    valid_loss=any_float,
    valid_metric=any_float,
    baseline_metric=any_float,
    train_loss=maybe_float,
    train_metric=maybe_float,
    test_loss=maybe_float,
    test_metric=maybe_float,
    seconds=any_float,
    host=st.text(max_size=5),
    versions=st.just((("torch", "2.13.0"),)),
    message=st.text(max_size=40),
)


class StoreContract:
    """What every store does; inherit and give a fixture `store` that holds nothing yet."""

    @pytest.fixture
    def kept(self, store):
        store.save_study("abcd1234", "first", SPEC, INFO)
        return store

    def test_a_study_comes_back_as_it_was_saved(self, kept):
        found = kept.study("abcd1234")
        assert (found.id, found.name, found.spec, found.info) == ("abcd1234", "first", SPEC, INFO)
        assert (found.trials, found.step_times, found.seconds) == ((), (), 0.0)

    def test_an_outline_is_the_study_without_its_trials(self, kept):
        kept.add_results("abcd1234", dict([trial(0)]))
        kept.save_step_times("abcd1234", TIMES)
        assert kept.outline("abcd1234") == replace(kept.study("abcd1234"), trials=())

    def test_saving_again_changes_only_the_name_and_the_workload(self, kept):
        kept.add_results("abcd1234", dict([trial(0)]))
        kept.add_seconds("abcd1234", 2.0)
        before = kept.study("abcd1234")
        kept.save_study("abcd1234", "renamed", replace(SPEC, seeds=9), replace(INFO, fingerprint="ba5"))
        after = kept.study("abcd1234")
        assert after.info.fingerprint == "ba5"
        assert as_text(replace(after, name="first", info=INFO)) == as_text(before)

    @given(st.lists(results, min_size=1, max_size=3))
    @settings(
        max_examples=20,
        deadline=None,
        # One store for all examples is harmless, its results are known by their text; each heir runs on its own store.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_results_come_back_to_the_last_bit(self, store, drawn):
        store.save_study("abcd1234", "first", SPEC, INFO)
        wanted = {identity(result): result for result in drawn}
        store.add_results("abcd1234", wanted)
        found = {key: as_text(result) for key, result in store.results(wanted).items()}
        assert found == {key: as_text(result) for key, result in wanted.items()}

    def test_trials_keep_the_order_in_which_they_were_added(self, kept):
        added = dict(trial(seed) for seed in (5, 3, 9, 1))
        for trial_id, result in added.items():
            kept.add_results("abcd1234", {trial_id: result})
        kept.add_results("abcd1234", added)
        assert [result.settings.seed for result in kept.study("abcd1234").trials] == [5, 3, 9, 1]

    def test_the_first_result_of_a_trial_wins(self, kept):
        trial_id, result = trial(0)
        kept.add_results("abcd1234", {trial_id: result})
        kept.add_results("abcd1234", {trial_id: replace(result, valid_loss=7.0)})
        assert kept.results([trial_id])[trial_id].valid_loss == result.valid_loss
        assert len(kept.study("abcd1234").trials) == 1

    def test_a_failure_gives_way_to_a_later_result(self, kept):
        trial_id, result = trial(0)
        kept.add_results("abcd1234", {trial_id: replace(result, status="failed", message="out of memory")})
        kept.add_results("abcd1234", {trial_id: result})
        kept.add_results("abcd1234", {trial_id: replace(result, status="failed")})
        assert as_text(kept.study("abcd1234").trials) == as_text((result,))

    def test_results_are_shared_between_studies(self, kept):
        trial_id, result = trial(0)
        kept.add_results("abcd1234", {trial_id: result})
        kept.save_study("ef", "second", SPEC, INFO)
        assert kept.study("ef").trials == ()
        kept.add_results("ef", kept.results([trial_id, "unknown"]))
        assert as_text(kept.study("ef").trials) == as_text((result,))

    def test_no_results_is_a_result_of_nothing(self, kept):
        kept.add_results("abcd1234", {})
        assert kept.results([]) == {}

    def test_results_of_an_unknown_study_are_refused_and_not_kept(self, kept):
        with pytest.raises(StudyNotFound):
            kept.add_results("unknown", dict([trial(0)]))
        assert kept.results([trial(0)[0]]) == {}

    def test_step_times_replace_earlier_ones(self, kept):
        kept.save_step_times("abcd1234", TIMES[:1])
        kept.save_step_times("abcd1234", TIMES)
        assert kept.study("abcd1234").step_times == TIMES

    def test_seconds_add_up(self, kept):
        kept.add_seconds("abcd1234", 1.5)
        kept.add_seconds("abcd1234", 2.25)
        assert kept.study("abcd1234").seconds == 3.75

    @pytest.mark.parametrize("name", ["first", "abcd1234", "ab", "latest"])
    def test_a_study_is_found_by_name_start_of_id_or_latest(self, kept, name):
        assert kept.find(name) == "abcd1234"

    def test_the_latest_study_is_the_one_saved_last(self, kept):
        kept.save_study("ef", "second", SPEC, INFO)
        assert kept.find("latest") == "ef"
        kept.save_study("abcd1234", "first", SPEC, INFO)
        assert kept.find("latest") == "abcd1234"

    def test_an_exact_name_goes_before_the_start_of_an_id(self, kept):
        kept.save_study("ef", "abcd", SPEC, INFO)
        assert kept.find("abcd") == "ef"

    def test_a_misspelt_name_is_answered_with_the_nearest(self, kept):
        place = kept.url.removeprefix("sqlite:///")
        with pytest.raises(StudyNotFound) as caught:
            kept.find("frist")
        assert str(caught.value) == (
            f"There is no study 'frist' in the store {place}; the nearest are first; `batchlab list` shows all of them."
        )

    def test_an_ambiguous_name_is_answered_with_the_matches(self, kept):
        kept.save_study("abef5678", "second", SPEC, INFO)
        created = {study.id: study.created for study in kept.studies()}
        with pytest.raises(StudyNotFound) as caught:
            kept.find("ab")
        assert str(caught.value) == (
            f"One study was asked for, and 'ab' means 2: first (abcd1234, {created['abcd1234']}), "
            f"second (abef5678, {created['abef5678']}); give the id of one."
        )

    @pytest.mark.parametrize("name", ["latest", "", "x"])
    def test_an_empty_store_says_that_it_is_empty(self, store, name):
        place = store.url.removeprefix("sqlite:///")
        with pytest.raises(StudyNotFound) as caught:
            store.find(name)
        assert str(caught.value) == (
            f"There is no study {name!r}: the store {place} is empty; start one with `batchlab study digits-mlp`, or "
            "name another store with `--store`."
        )

    def test_summaries_count_trials(self, kept):
        kept.add_results("abcd1234", dict(trial(seed) for seed in range(3)))
        kept.save_study("ef", "second", SPEC, INFO)
        assert [(one.id, one.name, one.workload, one.n_trials, one.driver) for one in kept.studies()] == [
            ("abcd1234", "first", "digits-mlp", 3, None),
            ("ef", "second", "digits-mlp", 0, None),
        ]

    def test_a_second_driver_is_refused(self, kept):
        with kept.claim("abcd1234"):
            driver = kept.studies()[0].driver
            with pytest.raises(StudyRunning) as caught, kept.claim("abcd1234"):
                pass
        assert str(caught.value) == (
            f"A study has one driver at a time, and process {driver.pid} on {driver.host}, started by {driver.owner}, "
            f"has worked on 'first' since {driver.since}; wait until it is done, or stop it and try again."
        )

    def test_a_claim_ends_with_its_block_even_after_an_error(self, kept):
        with pytest.raises(ZeroDivisionError), kept.claim("abcd1234"):
            raise ZeroDivisionError
        assert kept.studies()[0].driver is None
        with kept.claim("abcd1234"):
            pass

    def test_two_studies_can_be_driven_at_once(self, kept):
        kept.save_study("ef", "second", SPEC, INFO)
        with kept.claim("abcd1234"), kept.claim("ef"):
            assert all(one.driver for one in kept.studies())

    def test_touch_is_a_sign_of_life(self, kept, monkeypatch):
        monkeypatch.setattr("batchlab.studies.driver.HEARTBEAT_S", 0.0)
        with kept.claim("abcd1234") as claim:
            before = kept.studies()[0].driver
            claim.touch()
            after = kept.studies()[0].driver
        assert after.heartbeat > before.heartbeat
        assert replace(after, heartbeat=0.0) == replace(before, heartbeat=0.0)

    def test_a_silent_driver_is_taken_over_and_told_so(self, kept, monkeypatch):
        monkeypatch.setattr("batchlab.studies.driver.SILENCE_S", 0.0)
        monkeypatch.setattr("batchlab.studies.driver.HEARTBEAT_S", 0.0)
        with kept.claim("abcd1234") as claim:
            monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
            with kept.claim("abcd1234"), pytest.raises(StudyRunning) as caught:
                claim.touch()
        assert str(caught.value) == (
            "A study has one driver at a time, and another one has taken over 'first' while this one was silent; let "
            "that one finish: the results so far are kept."
        )

    @pytest.mark.parametrize("call", ["study", "add_seconds", "save_step_times", "claim"])
    def test_an_unknown_study_is_refused_everywhere(self, kept, call):
        arguments = {"add_seconds": (1.0,), "save_step_times": ((),)}.get(call, ())
        with pytest.raises(StudyNotFound):
            result = getattr(kept, call)("unknown", *arguments)
            result.__enter__()

    def test_a_trial_is_taken_by_one_driver_until_its_result_is_there(self, kept):
        kept.save_study("ef", "second", SPEC, INFO)
        trial_id, result = trial(0)
        with kept.claim("abcd1234") as first, kept.claim("ef") as second:
            assert first.take(trial_id)
            assert first.take(trial_id)
            assert not second.take(trial_id)
            kept.add_results("abcd1234", {trial_id: result})
            assert not second.take(trial_id)
            assert not first.take(trial_id)

    def test_a_trial_that_failed_may_be_taken_by_another_driver(self, kept):
        kept.save_study("ef", "second", SPEC, INFO)
        trial_id, result = trial(0)
        with kept.claim("abcd1234") as first, kept.claim("ef") as second:
            assert first.take(trial_id)
            kept.add_results("abcd1234", {trial_id: replace(result, status="failed")})
            assert second.take(trial_id)
            assert not first.take(trial_id)

    def test_what_a_driver_has_taken_is_free_when_it_ends(self, kept):
        kept.save_study("ef", "second", SPEC, INFO)
        with kept.claim("abcd1234") as first:
            first.take("t")
        with kept.claim("ef") as second:
            assert second.take("t")

    def test_a_driver_is_known_by_its_user(self, kept):
        with kept.claim("abcd1234"):
            assert kept.studies()[0].driver.owner == getpass.getuser()


class SharedStoreContract(StoreContract):
    """What every store does that several processes may open; give a fixture `address`, too."""

    @pytest.fixture
    def store(self, address):
        store = open_store(address)
        yield store
        store.close()

    @pytest.fixture
    def said(self):
        return []

    @pytest.fixture
    def other(self, address, kept, said):
        """The same store, opened by another process on another machine."""
        other = open_store(address, create=False, on_notice=said.append)
        yield other
        other.close()

    @pytest.fixture
    def heartbeat(self, monkeypatch):
        monkeypatch.setattr("batchlab.studies.driver.HEARTBEAT_S", 0.2)
        monkeypatch.setattr("batchlab.studies.sql_claims.SECONDS_BETWEEN_LOOKS", 0.05)

    def test_what_one_process_keeps_another_finds(self, kept, other):
        kept.add_results("abcd1234", dict([trial(0)]))
        assert as_text(other.study("abcd1234")) == as_text(kept.study("abcd1234"))

    @pytest.mark.parametrize("hours", [-3, 3])
    def test_a_driver_elsewhere_lives_though_clocks_were_set(self, kept, other, said, heartbeat, monkeypatch, hours):
        with kept.claim("abcd1234") as claim:
            move_clock(kept, monkeypatch, hours)
            monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
            monkeypatch.setattr("batchlab.studies.sql_claims.time.sleep", lambda _: claim.touch())
            with pytest.raises(StudyRunning), other.claim("abcd1234"):
                pass

    @pytest.mark.parametrize("hours", [-3, 3])
    def test_a_dead_driver_elsewhere_is_replaced_though_clocks_were_set(
        self, kept, other, said, heartbeat, monkeypatch, hours
    ):
        with kept.claim("abcd1234"):
            move_clock(kept, monkeypatch, hours)
            driver = other.studies()[0].driver
            monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
            assert other.studies()[0].driver is None
            with other.claim("abcd1234"):
                assert other.studies()[0].driver.host == "elsewhere"
        assert said == [
            f"Process {driver.pid} on {driver.host} has worked on 'first' and is silent; watching it for 0 s before "
            "this one goes on."
        ]

    def test_what_a_dead_driver_had_taken_is_free(self, kept, other, monkeypatch):
        kept.save_study("ef", "second", SPEC, INFO)
        with kept.claim("abcd1234") as dead, other.claim("ef") as alive:
            assert dead.take("t")
            assert not alive.take("t")
            monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
            monkeypatch.setattr("batchlab.studies.driver.SILENCE_S", 0.0)
            assert alive.take("t")


def move_clock(store, monkeypatch, hours):
    """Set the one clock that the drivers of a store share."""
    now = type(store._database).now
    monkeypatch.setattr(type(store._database), "now", lambda self, one: now(self, one) + 3600 * hours)


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestSqliteStore(SharedStoreContract):
    @pytest.fixture
    def address(self, tmp_path):
        return str(tmp_path / "batchlab.db")


class TestPostgresStore(SharedStoreContract):
    @pytest.fixture
    def address(self, postgres_address):
        return postgres_address


def test_the_memory_store_is_opened_by_its_address():
    assert open_store(MemoryStore().url).studies() == ()
