import math

import numpy
import pytest

from batchlab.numerics.equivalent_branches import judge_branches

START = [1.0, 1.0, 1.0]


def repeated(true_difference, n, seeds=3, noise=0.05):
    """Yield tests of a branch whose true loss exceeds that of k = 1 by a share of its progress, which is 0.5."""
    generator = numpy.random.default_rng(5)
    for _ in range(n):
        shared = 0.1 * generator.standard_normal(seeds)
        base = 0.5 + shared + noise * generator.standard_normal(seeds)
        branch = 0.5 + true_difference + shared + noise * generator.standard_normal(seeds)
        yield judge_branches(1.0 + shared, {32: base, 128: branch})


def test_a_branch_that_loses_exactly_the_margin_passes_in_five_percent_of_repetitions():
    # 2000 repetitions at 5 %: 100 ± 10; the margin is a share of measured progress, which scatters a little as well.
    passed = sum(test.branches[1].outcome == "equivalent" for test in repeated(0.25 * 0.5, 2000))
    assert passed <= 130


def test_a_branch_that_loses_more_passes_more_rarely_and_an_equal_one_mostly_passes_when_noise_is_small():
    assert sum(test.branches[1].outcome == "equivalent" for test in repeated(0.4 * 0.5, 500)) < 10
    assert sum(test.branches[1].outcome == "equivalent" for test in repeated(0.0, 500, noise=0.02)) > 450


def test_equal_branches_are_called_worse_in_few_repetitions():
    assert sum(test.branches[1].outcome == "worse" for test in repeated(0.0, 1000)) < 20


def test_the_ratio_of_examples_is_that_of_the_progress_made():
    test = judge_branches(START, {8: [0.5, 0.5, 0.5], 64: [0.75, 0.75, 0.75]})
    assert test.branches[1].log_examples_ratio == pytest.approx(math.log(2))
    assert not test.branches[1].is_bound and test.progress == pytest.approx(0.5) and test.margin == pytest.approx(0.125)


def test_a_branch_without_progress_gives_only_a_bound():
    test = judge_branches(START, {8: [0.5, 0.5, 0.5], 64: [1.0, 1.0, 1.0], 512: [math.nan, 0.9, 0.9]})
    assert [branch.is_bound for branch in test.branches] == [False, True, True]
    assert test.branches[2].outcome == "worse"


def test_the_bracket_ends_at_the_first_branch_that_is_worse():
    losses = {8: [0.5, 0.5, 0.5], 32: [0.5, 0.51, 0.52], 128: [0.5, 0.7, 0.9], 512: [0.9, 0.91, 0.92]}
    test = judge_branches(START, losses)
    assert [branch.outcome for branch in test.branches] == ["equivalent", "equivalent", "undecided", "worse"]
    assert (test.low, test.high, test.batch_size) == (32, 512, 128)


def test_without_a_worse_branch_the_bracket_is_open():
    test = judge_branches(START, {8: [0.5, 0.5, 0.5], 32: [0.5, 0.51, 0.52]})
    assert (test.low, test.high, test.batch_size) == (32, None, None)


def test_the_overhead_of_the_margin_is_printed_with_it():
    assert judge_branches(START, {8: [0.5] * 3}, margin_share=0.5).overhead == pytest.approx(1.0)


def test_one_seed_cannot_be_compared():
    with pytest.raises(ValueError) as raised:
        judge_branches([1.0], {8: [0.5]})
    assert str(raised.value) == "Branches are compared over 2 seeds or more, got 1; 3 are a good number."
