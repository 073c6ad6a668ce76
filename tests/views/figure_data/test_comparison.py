from dataclasses import replace

import pytest

import findings_cases
from batchlab.views.figure_data import metric_by_batch_size


def test_points_are_in_per_cent_with_interval_seeds_and_place():
    point = metric_by_batch_size(findings_cases.tied()).points[1]
    assert (point.batch_size, point.n_seeds, point.place) == (16, 5, "ties")
    assert (point.value, point.low, point.high) == pytest.approx((2.52, 2.347, 2.693))


def test_the_band_is_the_margin_to_both_sides_of_the_best():
    assert metric_by_batch_size(findings_cases.tied()).band == pytest.approx((1.91, 2.91))


def test_without_a_best_size_there_is_no_band_but_the_constant_guess():
    data = metric_by_batch_size(findings_cases.no_signal())
    assert data.band is None
    assert data.baseline == pytest.approx(49.1)


def test_sizes_without_a_mean_are_named_with_the_reason():
    data = metric_by_batch_size(findings_cases.wide())
    assert data.unmeasured == ((32768, "diverged"), (65536, "diverged"))
    assert len(data.points) == 12


def test_a_mean_over_the_trials_that_did_not_diverge_is_said_to_be_one():
    findings = findings_cases.tied()
    rows = (*findings.batch_sizes[:-1], replace(findings.batch_sizes[-1], flags=("diverged",)))
    data = metric_by_batch_size(replace(findings, batch_sizes=rows))
    assert data.points[-1].place == "diverged"
    assert "At 256 trials diverged: the mean is of the others." in data.caption


@pytest.mark.parametrize(
    ("case", "title"),
    [
        ("resolved", "Batch size 32 has the lowest validation error"),
        ("accuracy", "Batch size 32 has the highest validation accuracy; 16 and 64 tie"),
        (
            "underpowered",
            "Batch size 32 has the lowest validation error; 64 ties; 16 and 128 cannot be told apart from it yet",
        ),
        ("no-signal", "No batch size beats a constant guess"),
        ("single", "Only batch size 48 was tried"),
    ],
)
def test_the_title_says_what_was_found(case, title):
    assert metric_by_batch_size(findings_cases.CASES[case]()).title == title


def test_the_caption_states_seeds_interval_margin_test_and_baseline():
    assert metric_by_batch_size(findings_cases.resolved()).caption == (
        "Mean validation error of 5 seeds; bars: 95% t interval over seeds. Sizes are compared seed by seed, so bars "
        "that overlap can still differ. Green band: the best mean ± the margin of 0.5 points. Gray dashes: test, shown "
        "beside and never used to decide. Ring: recommended. A constant guess has 90.00%."
    )


def test_the_caption_names_sizes_without_an_interval():
    assert "No interval at 48: fewer than 3 seeds." in metric_by_batch_size(findings_cases.single()).caption


def test_a_wide_spread_asks_for_a_log_scale_unless_higher_is_better():
    findings = findings_cases.resolved()
    worst = replace(findings.batch_sizes[0].valid_metric, mean=0.9)
    rows = (replace(findings.batch_sizes[0], valid_metric=worst), *findings.batch_sizes[1:])
    spread = replace(findings, batch_sizes=rows)
    assert metric_by_batch_size(spread).log_scale
    assert not metric_by_batch_size(replace(spread, metric=replace(findings.metric, higher_is_better=True))).log_scale
