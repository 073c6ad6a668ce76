import dataclasses
import math

from answer_cost import ALL, Row, grouped, summary
from regret_ratio import Regret

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
