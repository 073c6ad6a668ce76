import dataclasses

from batchlab.records import Current, TrialResult
from batchlab.studies.plan import trial_settings
from batchlab.studies.running import work_of
from batchlab.studies.tally import Queue, Tally
from simulated import INFO, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05}, noise=0.0, seed_noise=0.0)


def result(batch_size: int, learning_rate: float, purpose: str = "confirm") -> TrialResult:
    """Return one simulated trial."""
    return WORLD.result(trial_settings(spec(), INFO, batch_size, learning_rate, 0, purpose))


def test_a_queue_gives_the_longest_trial_first_and_knows_what_is_left() -> None:
    trials = [result(size, 0.1).settings for size in (32, 8, 128)]
    queue = Queue(trials)
    assert queue.work == sum(map(work_of, trials))
    assert [queue.pop().batch_size for _ in range(2)] == [8, 32]
    assert (len(queue), queue.work) == (1, work_of(trials[2]))


def test_what_leads_is_the_best_mean_of_confirmed_trials() -> None:
    tally = Tally(spec(), INFO)
    assert tally.best() is None
    for one in (result(8, 0.025), result(16, 0.05), result(16, 0.2), result(128, 0.4, "tune")):
        tally.add(one)
    # At 16 the mean of an error of 2 % and of one two octaves off, 3.2 %.
    assert tally.best() == "batch size 16: error 0.026"


def test_todays_setting_and_trials_that_diverged_are_no_part_of_what_leads() -> None:
    tally = Tally(spec(current=Current(16, 0.05)), INFO)
    tally.add(result(16, 0.05))
    tally.add(dataclasses.replace(result(8, 0.025), status="diverged"))
    assert tally.best() is None
