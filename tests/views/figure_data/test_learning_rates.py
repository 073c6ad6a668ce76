from dataclasses import replace

import pytest

import findings_cases
from batchlab.analyze.findings import Exponent
from batchlab.views.figure_data import learning_rate_map


def test_excess_is_counted_from_the_lowest_loss_at_the_same_batch_size():
    findings = findings_cases.tied()
    data = learning_rate_map(findings)
    for size in {cell.batch_size for cell in data.cells}:
        excess = [cell.excess for cell in data.cells if cell.batch_size == size and cell.excess is not None]
        losses = [point.valid_loss for point in findings.learning_rate_response if point.batch_size == size]
        known = [loss for loss in losses if loss is not None]
        assert min(excess) == 0
        assert max(excess) == pytest.approx(max(known) - min(known))


def test_every_learning_rate_tried_is_a_cell_and_diverged_ones_have_no_excess():
    findings = findings_cases.tied()
    cells = learning_rate_map(findings).cells
    assert len(cells) == len(findings.learning_rate_response)
    assert {cell.excess for cell in cells if cell.n_diverged == cell.n_seeds} == {None}


def test_optima_are_the_tuned_learning_rates_with_their_intervals():
    optimum = learning_rate_map(findings_cases.tied()).optima[2]
    assert (optimum.batch_size, optimum.learning_rate) == (32, 0.1104)
    assert optimum.low < optimum.learning_rate < optimum.high


def test_classes_rise_and_lie_within_the_excess_found():
    data = learning_rate_map(findings_cases.wide())
    excess = [cell.excess for cell in data.cells if cell.excess is not None]
    assert list(data.edges) == sorted(set(data.edges))
    assert 0 < data.edges[0] and data.edges[-1] <= max(excess)


@pytest.mark.parametrize(
    ("exponent", "start"),
    [
        (Exponent(0.5, 0.41, 0.6), "The best learning rate grows as"),
        (Exponent(-0.5, -0.6, -0.41), "The best learning rate falls as"),
        (Exponent(0.1, -0.1, 0.3), "No clear trend of the best learning rate:"),
    ],
)
def test_the_title_claims_a_trend_only_where_the_interval_excludes_none(exponent, start):
    title = learning_rate_map(replace(findings_cases.tied(), learning_rate_exponent=exponent)).title
    interval = f"95% interval {exponent.low:.2f} to {exponent.high:.2f}"
    assert title == f"{start} batch size to the power {exponent.value:.2f} ({interval})"


def test_without_an_exponent_the_title_claims_no_trend():
    title = learning_rate_map(replace(findings_cases.tied(), learning_rate_exponent=None)).title
    assert title == "The best learning rate at each batch size"


def test_there_is_no_map_without_a_search():
    assert learning_rate_map(findings_cases.single()) is None


def test_one_learning_rate_that_never_diverged_makes_one_cell_without_classes():
    findings = findings_cases.tied()
    data = learning_rate_map(replace(findings, learning_rate_response=findings.learning_rate_response[2:3]))
    assert (len(data.cells), data.edges) == (1, ())
    assert "diverged" not in data.caption
