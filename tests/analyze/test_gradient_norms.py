import math

import numpy as np
import pytest
from scipy import stats

from batchlab.analyze.gradient_norms import norm_table

SIZES = (1, 4, 16)


@pytest.fixture(scope="module")
def drawn():
    """Return |g_B|² of nested Gaussian batches with tr(Σ) = 30 and |G|² = 3, shape (400, 3)."""
    generator = np.random.default_rng(0)
    gradients = generator.normal(math.sqrt(0.1), 1, (400, 16, 30))
    return np.stack([(gradients[:, :size].mean(axis=1) ** 2).sum(axis=1) for size in SIZES], axis=1)


def test_rows_are_the_moments_of_the_norms(drawn):
    row = norm_table(SIZES, drawn).rows[1]
    norms = np.sqrt(drawn[:, 1])
    found = (row.mean, row.sd, row.skewness, row.excess_kurtosis, row.median)
    expected = (norms.mean(), norms.std(ddof=1), stats.skew(norms), stats.kurtosis(norms), np.median(norms))
    assert found == pytest.approx(expected)
    assert (row.sum_mean, row.sum_sd) == pytest.approx((4 * norms.mean(), 4 * norms.std(ddof=1)))


def test_rescaled_norms_have_the_mean_of_the_largest_size(drawn):
    table = norm_table(SIZES, drawn)
    norms = np.sqrt(drawn)
    scaled = norms[:, 0] * norms[:, 2].mean() / norms[:, 0].mean()
    assert table.reference_batch_size == 16
    assert table.rows[0].rescaled_sd == pytest.approx(scaled.std(ddof=1))
    assert table.rows[2].rescaled_sd == pytest.approx(table.rows[2].sd)


def test_the_law_finds_signal_trace_and_noise_scale(drawn):
    # One draw; the tolerances are three standard errors.
    table = norm_table(SIZES, drawn)
    assert table.signal == pytest.approx(3, rel=0.15) and table.trace == pytest.approx(30, rel=0.05)
    assert table.noise_scale_low < 10 < table.noise_scale_high
    assert [row.regime for row in table.rows] == ["noise", "between", "between"]
    assert max(abs(row.law_ratio - 1) for row in table.rows) < 0.03


def test_ratios_have_the_jackknife_of_their_definition(drawn):
    table = norm_table(SIZES, drawn)
    norms = np.sqrt(drawn)

    def of(rows, kind):
        small, large = rows[:, 0], rows[:, 2]
        sd = math.log(large.std(ddof=1) / small.std(ddof=1))
        mean = math.log(large.mean() / small.mean())
        return {"mean": mean, "sd": sd, "relative": sd - mean}[kind]

    found = {"mean": table.log_mean_ratio, "sd": table.log_sd_ratio, "relative": table.log_relative_sd_ratio}
    for kind, interval in found.items():
        without = np.array([of(np.delete(norms, k, axis=0), kind) for k in range(400)])
        error = math.sqrt(399 / 400 * ((without - without.mean()) ** 2).sum())
        assert interval.mean == pytest.approx(of(norms, kind))
        assert interval.high - interval.mean == pytest.approx(stats.t.ppf(0.975, 399) * error)


def test_skipped_streams_are_passed_on(drawn):
    assert norm_table(SIZES, drawn, n_skipped=3).n_skipped == 3
