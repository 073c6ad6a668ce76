"""What `batchlab.study` says before it trains; what it does is in the tests of its parts and of the whole."""

from contextlib import closing, contextmanager

import pytest

import batchlab
import simulated
from batchlab.errors import DataMissing, UsageError
from batchlab.studies.store_opening import open_store
from simulated import INFO, InstantExecutor, World


@pytest.fixture
def loading(monkeypatch):
    """Let a workload load at once, or fail with the error that is appended."""
    errors = []

    @contextmanager
    def opened(*arguments):
        if errors:
            raise errors[0]
        yield InstantExecutor(World(dict.fromkeys((8, 16, 32), 0.1)).result), INFO

    monkeypatch.setattr("batchlab.api.opened_executor", opened)
    return errors


def mistakes(**options):
    with pytest.raises(UsageError) as caught:
        batchlab.study("digits-mlp", **options)
    return caught.value.mistakes


def test_mistakes_of_every_kind_are_told_together(loading):
    assert mistakes(sedes=4, batch_sizes=[8, 2048], workers=0) == (
        "`study` has no option 'sedes'; did you mean 'seeds'?",
        "`workers` is a whole number of at least 1, got 0; correct it.",
        "A batch holds at most the 1024 training examples of simulated, got batch size 2048; use 1024 or less.",
    )


def test_a_workload_that_does_not_load_is_told_with_the_mistakes_in_the_options(loading):
    loading.append(DataMissing("There are no data; get some."))
    assert mistakes(seeds=0, batch_sizes=[8, 2048]) == (
        "There are no data; get some.",
        "`seeds` is a whole number of at least 1, got 0; correct it.",
    )


def test_a_workload_that_does_not_load_is_its_own_error_where_the_options_are_right(loading):
    loading.append(DataMissing("There are no data; get some."))
    with pytest.raises(DataMissing):
        batchlab.study("digits-mlp", batch_sizes=[8, 2048])


def test_a_preview_stores_nothing_and_keeps_no_trial(loading, tmp_path):
    store = tmp_path / "batchlab.db"
    found = batchlab.preview("digits-mlp", "8:32", lr=0.1, seeds=4, store=store)
    assert (found.trials.low, found.trials.high, found.timed_by) == (12, 12, "timing")
    assert list(tmp_path.iterdir()) == []


def test_a_preview_knows_the_trials_of_the_store(loading, tmp_path):
    store = tmp_path / "batchlab.db"
    batchlab.study("digits-mlp", "8:32", lr=0.1, seeds=3, store=store, name="mine")
    found = batchlab.preview("digits-mlp", "8:32", lr=0.1, seeds=4, store=store)
    assert (found.trials.low, found.stages[0].stored, found.timed_by) == (3, 9, "trials")


def test_a_study_does_not_go_on_on_another_kind_of_device(tmp_path):
    store = tmp_path / "batchlab.db"
    with closing(open_store(store)) as opened:
        opened.save_study("abc", "mine", simulated.spec(), INFO)
    with pytest.raises(UsageError) as caught:
        batchlab.resume("mine", workload="digits-mlp", store=store, device="cuda:0,1")
    assert str(caught.value) == (
        "A study stays on its kind of device, and mine is one of cpu, got cuda:0,1; name devices of that kind, or "
        "start another study."
    )
