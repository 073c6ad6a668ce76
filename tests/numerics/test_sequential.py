import numpy
import pytest

from batchlab.numerics.comparisons import indifference_set
from batchlab.numerics.dunnett import dunnett_point
from batchlab.numerics.sequential import look_levels, obrien_fleming_spending, pocock_spending

SPENDINGS = [obrien_fleming_spending, pocock_spending]


def ever_dropped(scores, looks, levels):
    """Return in which studies size 0 leaves the set at some look; scores of shape (studies, sizes, seeds)."""
    n_sizes = scores.shape[1]
    dropped = numpy.zeros(len(scores), dtype=bool)
    for look, level in zip(looks, levels, strict=True):
        seen = scores[:, :, :look]
        means = seen.mean(axis=2)
        centered = seen - means[:, :, None] - seen.mean(axis=1, keepdims=True) + seen.mean(axis=(1, 2), keepdims=True)
        df = (look - 1) * (n_sizes - 1)
        error = numpy.sqrt(2 * (centered**2).sum(axis=(1, 2)) / df / look)
        dropped |= (means.max(axis=1) - means[:, 0]) / error > dunnett_point(n_sizes, df, level)
    return dropped


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize(("looks", "n_sizes"), [((3, 5, 8), 4), ((2, 4, 6, 8), 6), ((5, 10), 2)])
def test_the_best_is_dropped_at_any_look_in_one_of_twenty_studies(spending, looks, n_sizes):
    # 30,000 studies of equal sizes beforehand: standard error .0013; .007 allows 4 of them and .0017 for the levels.
    generator = numpy.random.default_rng(1)
    scores = generator.normal(size=(30_000, n_sizes, looks[-1])) + 3 * generator.normal(size=(30_000, 1, looks[-1]))
    levels = look_levels(looks, n_sizes, spending=spending)
    assert ever_dropped(scores, looks, levels).mean() == pytest.approx(0.05, abs=0.007)


def test_the_level_of_one_look_at_every_look_would_drop_it_more_often():
    scores = numpy.random.default_rng(2).normal(size=(20_000, 4, 8))
    assert ever_dropped(scores, (2, 4, 6, 8), [0.95] * 4).mean() > 0.09


def test_the_rule_here_is_the_indifference_set():
    looks, levels = (3, 5), look_levels((3, 5), 3)
    scores = numpy.random.default_rng(3).normal(size=(200, 3, 5))
    scores[:, 1] += 1.5
    found = ever_dropped(scores, looks, levels)
    for study, dropped in zip(scores, found, strict=True):
        sets = [
            indifference_set({size: study[size, :look].tolist() for size in range(3)}, level)
            for look, level in zip(looks, levels, strict=True)
        ]
        # A size with a variance of its own is treated apart, and only ever kept longer than here.
        assert dropped or all(0 in kept for kept in sets)
    assert found.mean() > 0.2


@pytest.mark.parametrize("spending", SPENDINGS)
def test_no_look_gets_less_than_its_share_alone(spending):
    looks = (3, 6, 9, 12)
    shares = [spending(look / 12, 0.05) for look in looks]
    for level, before, after in zip(look_levels(looks, 8, spending=spending), [0.0, *shares], shares, strict=False):
        assert 1 - level >= (after - before) * (1 - 1e-9)


def test_the_last_look_of_the_cautious_rule_is_nearly_a_test_of_its_own():
    assert look_levels((5, 10), 8)[-1] == pytest.approx(0.952, abs=0.001)
    assert look_levels((5, 10), 8, spending=pocock_spending)[-1] > 0.97


@pytest.mark.parametrize("spending", SPENDINGS)
def test_spending_rises_to_the_whole_error(spending):
    spent = [spending(share, 0.05) for share in (0.1, 0.4, 0.7, 1.0)]
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(0.05)


def test_one_look_has_the_whole_level():
    assert look_levels([5], 8, 0.9) == (0.9,)


def test_levels_are_the_same_each_time():
    assert look_levels([3, 5], 5) == look_levels((3, 5), 5)


def test_looks_that_do_not_rise_are_refused():
    with pytest.raises(ValueError) as error:
        look_levels([5, 5], 8)
    assert str(error.value) == (
        "Looks need rising numbers of seeds from 2 on, 2 or more batch sizes and a level between 0.5 and 1, "
        "got [5, 5], 8 and 0.95; plan for example looks at 3, 5 and 8 seeds at 0.95."
    )
