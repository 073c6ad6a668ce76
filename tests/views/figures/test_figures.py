import math

import pytest

import findings_cases
from batchlab.views import figure_data, figures

CASES = sorted(findings_cases.CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_metric_is_drawn_for_every_case(case):
    data = figure_data.metric_by_batch_size(findings_cases.CASES[case]())
    figure = figures.draw_metric_by_batch_size(data)
    drawn = {x for trace in figure.data if trace.mode == "markers" for x in trace.x}
    assert drawn == {math.log2(point.batch_size) for point in data.points} | {math.log2(b) for b, _ in data.unmeasured}


@pytest.mark.parametrize("case", CASES)
def test_learning_rates_are_drawn_for_every_case(case):
    data = figure_data.learning_rate_map(findings_cases.CASES[case]())
    if data is None:
        assert case == "single"
        return
    tiles = sum(len(trace.x) for trace in figures.draw_learning_rate_map(data).data if trace.type == "bar")
    assert tiles == len(data.cells)


@pytest.mark.parametrize("against", ["examples", "steps"])
@pytest.mark.parametrize("case", CASES)
def test_every_curve_is_drawn_and_labeled(case, against):
    data = figure_data.curves(findings_cases.CASES[case](), against)
    labels = [
        note.text.removeprefix("<b>").removesuffix("</b>") for note in figures.draw_curves(data).layout.annotations
    ]
    assert sorted(map(int, labels)) == sorted(line.batch_size for line in data.lines)


@pytest.mark.parametrize("case", CASES)
def test_budgets_are_drawn_for_every_case(case):
    data = figure_data.budget_comparison(findings_cases.CASES[case]())
    if data is None:
        assert case in ("single", "no-signal")
        return
    drawn = sum(len(trace.x) for trace in figures.draw_budget_comparison(data).data)
    assert drawn == sum(len(row.places) for row in data.rows)


def test_every_batch_size_tried_has_its_tick():
    data = figure_data.metric_by_batch_size(findings_cases.wide())
    assert figures.draw_metric_by_batch_size(data).layout.xaxis.ticktext == tuple(str(2**k) for k in range(3, 17))


def test_a_long_title_is_broken_into_lines():
    data = figure_data.metric_by_batch_size(findings_cases.underpowered())
    lines = figures.draw_metric_by_batch_size(data).layout.title.text.split("<br>")
    assert len(lines) == 2
    assert " ".join(lines) == data.title


def test_places_differ_by_symbol_and_not_by_color_alone():
    data = figure_data.metric_by_batch_size(findings_cases.wide())
    traces = [trace for trace in figures.draw_metric_by_batch_size(data).data if trace.mode == "markers"]
    assert len({(trace.marker.symbol, trace.marker.size) for trace in traces}) == len(traces)
