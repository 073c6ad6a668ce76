import dataclasses

import pytest

from batchlab.analyze.loading import loading_note, loading_notes
from batchlab.records import TrialResult
from batchlab.studies.plan import trial_settings
from simulated import INFO, World, spec


def result(batch_size: int, seconds: float, loading_s: float) -> TrialResult:
    """Return a trial of four epochs that took so long."""
    settings = trial_settings(spec(), INFO, batch_size, 0.1, 0, "confirm")
    found = World(dict.fromkeys(spec().batch_sizes, 0.02)).result(settings)
    return dataclasses.replace(found, seconds=seconds, loading_s=loading_s)


def test_a_trial_that_waits_most_of_its_time_has_a_note_with_the_times_of_an_epoch() -> None:
    assert loading_note(result(32, 60.0, 48.0), INFO) == (
        "Loading takes 12 s of each 15 s epoch at batch size 32: `cache=True` or more `num_workers` in the workload "
        "would help, another batch size would not."
    )


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "0.045 s of each 0.05 s"), (40000.0, "9,000 s of each 10,000 s")])
def test_times_are_said_with_two_digits_or_in_whole_seconds(seconds: float, words: str) -> None:
    assert words in (loading_note(result(32, seconds, 0.9 * seconds), INFO) or "")


def test_waiting_for_half_of_the_time_is_not_worth_a_note() -> None:
    assert loading_note(result(32, 60.0, 30.0), INFO) is None


def test_a_trial_that_never_began_has_no_note() -> None:
    assert loading_note(dataclasses.replace(result(32, 1.0, 1.0), examples=0), INFO) is None
    assert loading_note(result(32, 0.0, 0.0), INFO) is None


def test_of_several_batch_sizes_the_one_that_waits_the_most_is_told_with_its_times() -> None:
    trials = {
        16: [result(16, 60.0, 10.0)],
        32: [result(32, 60.0, 40.0), result(32, 60.0, 50.0)],
        64: [result(64, 60.0, 52.0), result(64, 60.0, 52.0)],
        128: [],
    }
    assert loading_notes(trials, INFO) == [
        "Loading takes 13 s of each 15 s epoch at batch size 64 (and more than half of it at 32): `cache=True` or more "
        "`num_workers` in the workload would help, another batch size would not."
    ]


def test_without_waiting_there_are_no_notes() -> None:
    assert loading_notes({32: [result(32, 60.0, 1.0)]}, INFO) == []
