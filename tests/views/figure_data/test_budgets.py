from dataclasses import replace

import findings_cases
from batchlab.views.figure_data import budget_comparison


def test_every_budget_has_a_row_with_the_place_of_every_size():
    rows = budget_comparison(findings_cases.tied()).rows
    assert [row.name for row in rows] == ["Equal examples", "Equal steps", "Equal time"]
    assert dict(rows[1].places) == {8: "worse", 16: "worse", 32: "worse", 64: "worse", 128: "ties", 256: "best"}


def test_budgets_with_other_winners_are_said_to_disagree():
    assert budget_comparison(findings_cases.resolved()).title == "What is best depends on what is held equal"


def test_a_size_that_wins_under_every_budget_is_named():
    title = budget_comparison(findings_cases.edge_of_range()).title
    assert title == "Batch size 512 is best or tied whatever is held equal"


def test_a_winner_under_two_of_three_budgets_is_not_said_to_win_under_all():
    findings = findings_cases.edge_of_range()
    others = {**findings.under_other_budgets, "seconds": None}
    title = budget_comparison(replace(findings, under_other_budgets=others)).title
    assert title == "Batch size 512 is best or tied under both budgets that could be compared"


def test_a_budget_that_cannot_be_given_has_no_places_and_is_named_in_the_caption():
    data = budget_comparison(findings_cases.underpowered())
    assert data.rows[2].places == ()
    assert data.caption.endswith(" Not available: equal time.")


def test_there_is_no_figure_without_a_budget_to_compare():
    assert budget_comparison(findings_cases.single()) is None
    assert budget_comparison(findings_cases.no_signal()) is None
