import numpy
import pytest

from noise_scale_coverage import Setting, draw_moments, measure, summary

SETTING = Setting(truth=60.0, b=4, k=3)


def test_drawn_moments_are_those_of_gaussian_gradients():
    # 40,000 steps beforehand on either side: variances are known to about 1.5 %.
    trace, signal = draw_moments(numpy.random.default_rng(0), SETTING, 20, 40_000)
    mean = numpy.full(20, 20**-0.5)
    gradients = numpy.random.default_rng(1).normal(mean, (60 / 20 / 4) ** 0.5, (40_000, 3, 20))
    whole = gradients.mean(axis=1)
    expected_trace = 4 * ((gradients - whole[:, None]) ** 2).sum(axis=(1, 2)) / 2
    expected_signal = (whole**2).sum(axis=1) - expected_trace / 12
    assert trace.mean() == pytest.approx(60, rel=0.01)
    assert signal.mean() == pytest.approx(1.0, abs=0.05)
    assert trace.var() == pytest.approx(expected_trace.var(), rel=0.08)
    assert signal.var() == pytest.approx(expected_signal.var(), rel=0.08)


def test_summary_counts_what_the_intervals_did():
    row = summary(SETTING, *measure(SETTING, 20, 50, 30))
    assert 0.8 <= row["coverage"] <= 1.0
    assert row["first_low"] <= row["first_value"] <= row["first_high"]
    assert 0 <= row["empty"] <= row["unbounded"] + row["empty"] <= 1
