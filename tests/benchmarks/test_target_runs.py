import dataclasses
from itertools import pairwise

import pytest

from batchlab.train.trial import run_trial
from batchlab.workloads.loading import load_workload
from target_cases import CASES
from target_runs import Request, evaluation_positions, settings_of, target_run

CASE = dataclasses.replace(CASES["quadratic"], target=1.0)


def test_evaluations_are_at_most_a_quarter_apart_up_to_the_end_of_the_budget() -> None:
    positions = evaluation_positions(100_000)
    assert positions[-1] == 100_000 and positions[0] <= 100
    assert max(after / before for before, after in pairwise(positions)) == pytest.approx(1.25, abs=0.02)


def test_a_run_ends_where_it_first_reaches_the_target() -> None:
    workload = load_workload("quadratic")
    result = run_trial(workload, settings_of(CASE, workload, Request(8, 0.25, 1, 0)))
    run = target_run(result, CASE.target)
    assert run.status == "reached" and run.low < run.point <= run.high == result.examples < CASE.examples
    assert result.curve.valid_metric[-1] <= 1.0 < result.curve.valid_metric[-2]


def test_a_run_that_diverges_is_charged_to_its_end() -> None:
    workload = load_workload("quadratic")
    result = run_trial(workload, settings_of(CASE, workload, Request(2, 64.0, 1, 0)))
    run = target_run(result, CASE.target)
    assert (run.status, run.spent) == ("diverged", result.examples) and run.spent < CASE.examples
