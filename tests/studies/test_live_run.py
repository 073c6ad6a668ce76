import math

import pytest

import cases
from batchlab.measure.random_states import kept_randomness
from batchlab.studies.live_run import open_subject, start_run
from batchlab.studies.pilot import pilot_settings
from batchlab.workload import Metric


def started(workload, target=None, is_over=lambda: False):
    subject = open_subject(workload, 3, "cpu", target, is_over)
    settings = pilot_settings(workload, batch_size=8, n_steps=1, learning_rate=0.02, seed=3, device="cpu")
    return start_run(subject, settings)


@pytest.fixture(autouse=True)
def _keep_randomness():
    with kept_randomness():
        yield


def test_a_run_ends_at_its_target_and_a_branch_of_it_goes_on():
    run = started(cases.tiny_classifier(), target=0.25)
    run.train_to(4000)
    assert run.is_at_its_end and run.examples < 4000
    *before, last = run.curve[1]
    assert last <= 0.25 < min(before)
    branch = run.branch(16, 0.04, replica=0)
    branch.train_to(160)
    assert branch.examples == 160


def test_levels_fall_where_a_higher_metric_is_better():
    accuracy = Metric("accuracy", lambda outputs, targets: (outputs.argmax(1) == targets).float().mean(), True)
    run = started(cases.tiny_classifier(metric=accuracy), target=0.75)
    run.train_to(4000)
    assert run.is_at_its_end and run.curve[1][-1] <= -0.75


def test_without_a_target_levels_are_losses():
    run = started(cases.tiny_classifier())
    run.train_to(80)
    assert run.curve[1] == [loss for loss, _ in run.losses] and run.examples == 80


def test_a_run_stops_when_the_time_is_up():
    asked = iter([False, False, True])
    run = started(cases.tiny_classifier(), is_over=lambda: next(asked))
    run.train_to(4000)
    assert len(run.positions) == 3 and math.isfinite(run.curve[1][-1])
