from dataclasses import replace

import pytest

import findings_cases
from batchlab.views.figure_data import curves


@pytest.mark.parametrize("against", ["examples", "steps"])
def test_curves_are_those_of_the_findings_in_per_cent_without_the_untrained_model(against):
    findings = findings_cases.resolved()
    line, curve = curves(findings, against).lines[3], findings.curves[3]
    assert line.x == getattr(curve, against)[1:]
    assert line.mean == pytest.approx([100 * value for value in curve.valid_metric[1:]])


def test_only_the_best_size_is_highlighted():
    data = curves(findings_cases.resolved())
    assert [line.batch_size for line in data.lines if line.highlighted] == [32]


def test_the_leader_half_way_is_found_by_the_means_there():
    findings = findings_cases.resolved()
    middle = {curve.batch_size: curve.valid_metric[4] for curve in findings.curves}
    leader = min(middle, key=middle.__getitem__)
    assert curves(findings).title == f"Half-way, after 10,780 examples, batch size {leader} has the best mean"


def test_sizes_not_yet_evaluated_at_the_common_step_are_not_compared():
    title = curves(findings_cases.tied(), "steps").title
    assert title == "After 85 steps each, batch size 64 has a better mean than 32, 128 and 256"


def test_no_leader_is_named_where_there_is_no_signal():
    assert curves(findings_cases.no_signal()).title == "Validation error by examples seen"


def test_curves_that_end_early_are_named():
    assert curves(findings_cases.wide()).caption == (
        "Mean validation loss of 5 seeds, labeled by batch size. Band: 95% t interval over seeds, drawn for the best "
        "batch size alone. The untrained model is left out. A curve ends where a seed diverged: 32768 and 65536."
    )


def test_a_size_without_any_curve_is_named():
    findings = findings_cases.tied()
    empty = replace(findings.curves[0], valid_metric=(0.9, *[None] * 8))
    data = curves(replace(findings, curves=(empty, *findings.curves[1:])))
    assert data.caption.endswith("Without a curve: 8.")


def test_there_is_no_figure_without_curves():
    assert curves(replace(findings_cases.tied(), curves=())) is None
