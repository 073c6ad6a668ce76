import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import answer_cost
from answer_cost import ALL, RANDOM, STUDY, Row, compared, grouped, summary
from judging import FRESH_SEEDS
from regret_ratio import Regret
from rivals import Found
from target_cases import TargetCase
from target_runs import Request
from target_table import ExhaustiveTable, StepSeconds, TargetRun

MET = Regret(1.1, 1.0, 1.2, 10, 10)
ROW = Row("digits-mlp", "study", 0, 0.1, 30, (64, 0.1), MET)


def row(value: float, share: float = 0.1, n_reached: int = 10, method: str = "study") -> Row:
    worth = Regret(value, value, math.inf, n_reached, 10)
    return dataclasses.replace(ROW, share=share, regret=worth, method=method)


def test_searches_are_summed_up_by_median_and_worst() -> None:
    found = summary([row(1.0, 0.1), row(1.3, 0.2), row(1.1, 0.4)])
    assert found == {"share": 0.2, "median": 1.1, "worst": 1.3, "missed": 0, "searches": 3}


def test_a_search_that_found_nothing_is_the_worst_and_missed() -> None:
    found = summary([row(1.0), dataclasses.replace(ROW, cell=None, regret=None), row(1.2)])
    assert (found["median"], found["worst"], found["missed"]) == (1.2, math.inf, 1)


def test_a_search_whose_setting_does_not_always_arrive_has_missed() -> None:
    assert summary([row(1.5, n_reached=9)])["missed"] == 1


def test_methods_are_compared_by_workload_and_over_all() -> None:
    other = dataclasses.replace(row(2.0), workload="quadratic")
    found = grouped([row(1.0), other, row(1.4, method="TPE")])
    assert list(found) == [
        ("digits-mlp", "study"),
        ("digits-mlp", "TPE"),
        ("quadratic", "study"),
        (ALL, "study"),
        (ALL, "TPE"),
    ]
    assert found[ALL, "study"]["median"] == 1.5


def reached(examples: float) -> TargetRun:
    return TargetRun("reached", 0, examples, examples)


class Direct:
    """A runner in this process, all of whose runs need 150 examples."""

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        return map(function, *arguments)

    def runs(self, requests: Iterable[Request]) -> Iterator[TargetRun]:
        return (reached(150) for _ in requests)


def test_rivals_spend_what_the_study_has_and_all_are_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    case = TargetCase("tiny", 0.1, 100, 2, 0.1, (8, 32))
    times = StepSeconds({8: 1.0, 32: 4.0}, most_threads=1, provisional=False)
    table = ExhaustiveTable(case, {}, times, {(8, 0.05): (reached(6000),)}, {(8, 0.05): (reached(100),) * FRESH_SEEDS})
    monkeypatch.setattr(answer_cost, "study_of", lambda case, seed: Found((8, 0.05), 600.0, 4))
    monkeypatch.setattr(answer_cost, "run_request", lambda name, request: reached(150))
    rows = [row for row in compared(table, 2, Direct()) if row.method in (STUDY, RANDOM)]  # type: ignore[arg-type]
    assert [(row.method, row.share, row.n_trials) for row in rows] == [(STUDY, 0.1, 4)] * 2 + [(RANDOM, 0.1, 4)] * 2
    values = [row.regret.value for row in rows if row.regret is not None]
    assert values == pytest.approx([1, 1, 1.5, 1.5])
