import pytest

import measurement_cases as cases
from batchlab.views.figure_data.measurements import interference_by_pairs, noise_along_training, norms_by_batch_size


def test_every_checkpoint_is_a_point_and_no_upper_end_is_none():
    findings = cases.findings(cases.checkpoint(10), cases.checkpoint(500, cases.WEAK))
    points = noise_along_training(findings).points
    assert [point.step for point in points] == [10, 500]
    assert points[1].value is None and points[1].high is None and points[1].low == pytest.approx(11.0, abs=0.05)


def test_the_law_is_the_root_of_what_was_fitted():
    data = norms_by_batch_size(cases.findings())
    table = cases.norms()
    assert data.curves[0].law[1] ** 2 == pytest.approx(table.signal + table.trace / 4)
    rms = (table.rows[1].mean ** 2 + table.rows[1].sd ** 2 * 99 / 100) ** 0.5
    assert data.curves[0].root_mean_square[1] == pytest.approx(rms)
    assert data.curves[0].batch_sizes == (1, 4, 16) and data.curves[0].label == "step 10"


def test_the_caption_says_how_many_draws_and_which_quantiles():
    assert "5 to 95% quantiles of 100 draws with replacement" in norms_by_batch_size(cases.findings()).caption


def test_without_norms_there_is_no_figure():
    assert norms_by_batch_size(cases.findings(cases.checkpoint(norms=None))) is None


def test_pairs_are_told_apart_by_class_with_their_intervals():
    data = interference_by_pairs(cases.findings())
    table = cases.pairs()
    assert [point.label for point in data.checkpoints] == ["step 10", "step 500"]
    assert data.checkpoints[0].kinds == ("all pairs", "same class", "different classes")
    assert data.checkpoints[0].cosines[1] == table.same_class.cosine.mean
    assert data.checkpoints[0].low[2] == table.different_class.cosine.low
    assert "over 190 pairs of 20 examples, with 95% jackknife intervals" in data.caption


def test_without_pairs_there_is_no_figure():
    assert interference_by_pairs(cases.findings(cases.checkpoint(interference=None))) is None
