import dataclasses
import itertools

import pytest

from batchlab.records import Stop, TrialResult
from batchlab.train.stopping import may_end
from batchlab.train.trial import run_trial
from batchlab.workload import Workload
from cases import line, tiny_regression
from train_settings import settings

POINTS = tuple(range(8, 201, 8))


@pytest.fixture(scope="module")
def workload() -> Workload:
    return tiny_regression(test=line(32, seed=3))


@pytest.fixture(scope="module")
def whole(workload: Workload) -> TrialResult:
    return run_trial(workload, settings(evaluate_at=POINTS))


def stopped(workload: Workload, stop: Stop) -> TrialResult:
    return run_trial(workload, settings(evaluate_at=POINTS, stop=stop))


def test_a_stopped_trial_is_the_beginning_of_the_whole_one(workload: Workload, whole: TrialResult) -> None:
    found = stopped(workload, Stop(most_examples=100))
    n = len(found.curve.steps)
    assert (found.status, found.examples, found.steps) == ("stopped", 104, 13)
    assert found.curve.valid_loss == whole.curve.valid_loss[:n]
    assert found.curve.train_loss[1:] == whole.curve.train_loss[1:n]


def test_a_trial_ends_where_the_target_has_been_held(workload: Workload, whole: TrialResult) -> None:
    target = whole.curve.valid_metric[10]
    found = stopped(workload, Stop(target=target, held=2))
    pairs = itertools.pairwise(whole.curve.valid_metric)
    first = next(index for index, pair in enumerate(pairs) if max(pair) <= target)
    assert found.status == "stopped"
    assert len(found.curve.steps) == first + 2


def test_a_rule_that_never_applies_leaves_the_trial_done(workload: Workload, whole: TrialResult) -> None:
    found = stopped(workload, Stop(target=-1.0, most_examples=10**6))
    assert (found.status, found.curve.valid_loss) == ("done", whole.curve.valid_loss)


def test_a_confirmed_trial_that_was_stopped_is_tested_once(workload: Workload) -> None:
    found = stopped(workload, Stop(most_examples=100))
    assert found.test_metric is not None and found.train_metric is not None
    tuned = run_trial(workload, dataclasses.replace(found.settings, purpose="tune"))
    assert tuned.test_metric is None and tuned.valid_metric == found.valid_metric


def test_the_time_that_evaluation_took_is_part_of_the_cost(whole: TrialResult) -> None:
    assert 0 < whole.evaluation_s < whole.seconds


def test_one_good_evaluation_is_not_enough_where_two_are_asked_for() -> None:
    assert not may_end(Stop(target=0.2, held=2), 300, [0.9, 0.1, 0.3, 0.1])
    assert may_end(Stop(target=0.2, held=2), 400, [0.9, 0.1, 0.3, 0.1, 0.2])


def test_a_trial_at_the_target_is_not_cut_off_before_it_could_hold_it() -> None:
    stop = Stop(target=0.2, most_examples=300, held=2)
    assert not may_end(stop, 300, [0.9, 0.5, 0.3, 0.1])
    assert may_end(stop, 400, [0.9, 0.5, 0.3, 0.1, 0.25])


def test_a_metric_that_rises_is_at_the_target_from_below() -> None:
    stop = Stop(target=0.8, higher_is_better=True, held=2)
    assert not may_end(stop, 200, [0.1, 0.9, 0.7])
    assert may_end(stop, 300, [0.1, 0.9, 0.8])


def test_without_a_target_only_the_examples_count() -> None:
    assert [may_end(Stop(most_examples=100), examples, [0.1, 0.1]) for examples in (99, 100)] == [False, True]
