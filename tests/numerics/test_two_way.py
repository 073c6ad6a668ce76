import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.two_way import fit_two_way


def tables(rows=(2, 5), columns=(2, 5)):
    shape = st.tuples(st.integers(*rows), st.integers(*columns))
    cell = st.floats(-10, 10)
    return shape.flatmap(lambda s: st.lists(st.lists(cell, min_size=s[1], max_size=s[1]), min_size=s[0], max_size=s[0]))


def scores_of(table):
    return {2**place: list(row) for place, row in enumerate(table)}


@given(tables())
def test_residual_variance_is_that_of_least_squares_with_a_column_for_each_size_and_seed(table):
    values = numpy.array(table)
    k, n = values.shape
    design = numpy.hstack([numpy.kron(numpy.eye(k), numpy.ones((n, 1))), numpy.kron(numpy.ones((k, 1)), numpy.eye(n))])
    fitted = design @ numpy.linalg.lstsq(design, values.ravel(), rcond=None)[0]
    fit = fit_two_way(scores_of(table))
    assert fit.df == (n - 1) * (k - 1)
    assert fit.residual_variance == pytest.approx(((values.ravel() - fitted) ** 2).sum() / fit.df, abs=1e-9)


@given(tables(), st.lists(st.floats(-100, 100), min_size=5, max_size=5))
def test_seed_effects_do_not_touch_the_residual_variance(table, effects):
    values = numpy.array(table)
    moved = values + numpy.array(effects[: values.shape[1]])
    plain, shifted = fit_two_way(scores_of(values)), fit_two_way(scores_of(moved))
    assert shifted.residual_variance == pytest.approx(plain.residual_variance, abs=1e-8)


def test_seeds_in_mappings_are_paired_by_key_and_sizes_sorted():
    fit = fit_two_way({16: {7: 5.0, 3: 1.0}, 8: {3: 0.0, 7: 4.0}})
    assert fit.batch_sizes == (8, 16)
    assert fit.means == (2.0, 3.0)
    assert fit.residual_variance == 0.0
    assert fit.n == 2


def test_own_variances_are_unbiased_for_sizes_that_scatter_differently():
    # 4,000 tables beforehand: relative standard error at most .012 for the largest; a false alarm is a 5-sigma event.
    generator = numpy.random.default_rng(0)
    sds = numpy.array([3.0, 1.0, 1.0, 2.0])
    found = numpy.zeros(4)
    for _ in range(4_000):
        table = generator.normal(size=(4, 8)) * sds[:, None] + generator.normal(0, 5, 8)
        fit = fit_two_way(scores_of(table))
        found += numpy.array(fit.own_variances) / 4_000
    assert found == pytest.approx(sds**2, rel=0.06)


@pytest.mark.parametrize("scores", [{8: [1.0, 2.0]}, {8: [1.0], 16: [2.0]}])
def test_one_size_or_one_seed_leaves_no_residual_variance(scores):
    fit = fit_two_way(scores)
    assert fit.df == 0
    assert math.isnan(fit.residual_variance)


def test_two_sizes_cannot_be_told_apart_in_variance():
    assert all(math.isnan(variance) for variance in fit_two_way({8: [1.0, 2.0], 16: [1.0, 3.0]}).own_variances)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "`scores` must hold at least one batch size, got none; pass {batch_size: [one value a seed]}."),
        ({8: []}, "Each batch size needs at least one value, batch size 8 has none; add a seed."),
        (
            {8: [1.0, 2.0], 16: [1.0]},
            "Every batch size needs a value for every seed, got {8: 2, 16: 1} values; "
            "run the missing seeds, or pass {seed: value} and keep the seeds that all sizes have.",
        ),
        (
            {8: {0: 1.0, 1: 2.0}, 16: {0: 1.0}},
            "Every batch size needs a value for every seed, batch size 16 lacks seed 1; "
            "run it, or leave that seed out everywhere.",
        ),
        (
            {8: {0: 1.0}, 16: [1.0]},
            "`scores` must be all lists or all mappings by seed, got both; "
            "pass {batch_size: {seed: value}} for every size.",
        ),
        (
            {8: [1.0], 16: [math.inf]},
            "Every score must be a finite number, batch size 16 has [inf]; "
            "leave out the batch sizes at which a seed diverged.",
        ),
    ],
)
def test_errors_name_the_batch_size(scores, message):
    with pytest.raises(ValueError) as error:
        fit_two_way(scores)
    assert str(error.value) == message
