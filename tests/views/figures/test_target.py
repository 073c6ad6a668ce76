import math
from dataclasses import replace

import findings_cases
from batchlab.views import figure_data, figures


def steps_figure(findings):
    return figures.draw_steps_to_target(figure_data.steps_to_target(findings))


def test_points_runs_curve_and_band_are_drawn():
    drawn = {trace.name: len(trace.x) for trace in steps_figure(findings_cases.with_target()).data}
    assert drawn == {None: 12, "fitted curve": 6, "one seed": 28, "out of budget": 2, "levels off": 5, "mean": 6}


def test_without_a_trade_off_only_points_and_runs_are_drawn():
    figure = steps_figure(replace(findings_cases.with_target(), tradeoff=None))
    assert {trace.name for trace in figure.data} == {"one seed", "out of budget", "levels off", "mean"}
    assert not figure.layout.shapes


def test_a_curve_without_limits_has_no_band():
    findings = findings_cases.with_target()
    curve = tuple(replace(point, low=None, high=None) for point in findings.tradeoff.curve)
    figure = steps_figure(replace(findings, tradeoff=replace(findings.tradeoff, curve=curve)))
    assert sum(trace.fill == "toself" for trace in figure.data) == 0


def test_the_axis_holds_every_run_and_every_limit():
    figure = steps_figure(findings_cases.with_target())
    low, high = figure.layout.yaxis.range
    heights = [value for trace in figure.data for value in trace.y if value is not None]
    assert low <= math.log10(min(heights)) and math.log10(max(heights)) <= high


def test_kinds_of_runs_differ_by_symbol_and_not_by_color_alone():
    traces = [trace for trace in steps_figure(findings_cases.with_target()).data if trace.mode == "markers"]
    assert len({trace.marker.symbol for trace in traces}) == len(traces)


def test_only_regions_with_room_are_named():
    texts = [note.text for note in steps_figure(findings_cases.with_target()).layout.annotations]
    assert texts == ["perfect<br>scaling", "diminishing<br>returns", "maximal<br>parallelism", "critical"]
    findings = findings_cases.with_target()
    first, second, third = findings.tradeoff.regions
    regions = (replace(first, high=9.0), replace(second, low=9.0), third)
    texts = [
        note.text
        for note in steps_figure(
            replace(findings, tradeoff=replace(findings.tradeoff, regions=regions))
        ).layout.annotations
    ]
    assert texts == ["diminishing<br>returns", "maximal<br>parallelism", "critical"]


def test_each_batch_size_is_a_labeled_point_of_the_costs():
    figure = figures.draw_time_and_examples(figure_data.time_and_examples(findings_cases.with_target()))
    assert [note.text for note in figure.layout.annotations] == ["8", "16", "32", "64", "<b>128</b>", "256"]
    drawn = {trace.name: len(trace.x) for trace in figure.data if trace.mode == "markers"}
    assert drawn == {"not beaten in both": 5, "beaten in both": 1, "fastest": 1}
