from dataclasses import replace

import pytest

import findings_cases
from batchlab.views.figure_data import steps_to_target, time_and_examples


def changed(**changes):
    """Return the case with another trade-off."""
    findings = findings_cases.with_target()
    return replace(findings, tradeoff=replace(findings.tradeoff, **changes))


def test_without_a_target_there_is_no_figure():
    assert steps_to_target(findings_cases.tied()) is None
    assert time_and_examples(findings_cases.tied()) is None


def test_every_size_with_an_estimate_has_a_point_and_every_run_a_mark():
    data = steps_to_target(findings_cases.with_target())
    assert [point.batch_size for point in data.points] == [8, 16, 32, 64, 128, 256]
    assert [(point.n_reached, point.n_seeds) for point in data.points][-1] == (3, 5)
    kinds = [run.kind for run in data.runs]
    assert [kinds.count(kind) for kind in ("one seed", "out of budget", "levels off")] == [28, 2, 5]


def test_a_run_without_the_target_stands_where_it_ended():
    data = steps_to_target(findings_cases.with_target())
    assert {run.steps for run in data.runs if run.kind == "out of budget"} == {85.0}


def test_regions_are_cut_to_the_sizes_tried():
    data = steps_to_target(findings_cases.with_target())
    assert data.regions == (
        ("perfect scaling", 8, 15.0),
        ("diminishing returns", 15.0, 240.0),
        ("maximal parallelism", 240.0, 512),
    )


@pytest.mark.parametrize(
    ("size", "flags", "drawn"), [(60.0, (), 60.0), (4.0, (), None), (60.0, ("shape_rejected",), None)]
)
def test_the_critical_size_is_marked_where_it_lies_among_those_tried_and_means_something(size, flags, drawn):
    assert steps_to_target(changed(critical_batch_size=size, flags=flags)).critical == drawn


def test_the_caption_says_what_was_counted_how_and_what_was_left_out():
    assert steps_to_target(findings_cases.with_target()).caption == (
        "Points: geometric mean of 5 seeds; bars: 95% t interval over seeds, on the log scale; rings: each seed, "
        "interpolated between two evaluations. Upward triangles: the budget ended before the target, which counts as "
        "longer than that (mean and bar by maximum likelihood). Crosses: the curve levels off short of the target, and "
        "there is no number of steps. Line: S = 50 + 3,000/B by maximum likelihood from 30 runs, with its 95% band. "
        "Dashed: examples exceed their least by a quarter, and are five times their least. Not in the fit: 512, most "
        "of whose seeds never get there."
    )


def test_doubts_about_the_curve_are_in_the_caption():
    assert "read the points and not the line" in steps_to_target(changed(flags=("shape_rejected",))).caption


@pytest.mark.parametrize(
    ("limit", "title"),
    [
        (15.0, "Twice the batch nearly halves the steps to error 5%, up to about 15"),
        (900.0, "At every size tried, twice the batch nearly halves the steps to error 5%"),
        (3.0, "At every size tried, twice the batch saves clearly less than half of the steps to error 5%"),
    ],
)
def test_the_title_says_what_doubling_the_batch_saves(limit, title):
    findings = findings_cases.with_target()
    first, *rest = findings.tradeoff.regions
    assert steps_to_target(changed(regions=(replace(first, high=limit), *rest))).title == title


def test_without_a_trade_off_the_points_are_drawn_alone():
    data = steps_to_target(replace(findings_cases.with_target(), tradeoff=None))
    assert (data.curve, data.regions, data.critical) == ((), (), None)
    assert data.title == "Steps to error 5% by batch size"


def test_costs_have_a_point_a_size_and_name_those_without():
    data = time_and_examples(findings_cases.with_target())
    assert [point.batch_size for point in data.points if point.thrifty] == [8, 16, 32, 64, 128]
    assert data.title == "Batch size 128 gets to error 5% soonest, 8 with the fewest examples"
    assert data.caption.endswith("by the means. Without a point: 512.")


def test_one_size_may_be_both_fastest_and_thriftiest():
    findings = findings_cases.with_target()
    found = replace(findings.to_target, fastest_batch_size=8)
    title = time_and_examples(replace(findings, to_target=found)).title
    assert title == "Batch size 8 gets to error 5% soonest and with the fewest examples"
