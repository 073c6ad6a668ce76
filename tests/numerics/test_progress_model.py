import math

import numpy
import pytest

from batchlab.numerics.progress_model import Comparison, NoiseHint, ProgressPrior, fit_progress

PRIOR = ProgressPrior(
    log_critical=math.log(128), log_critical_sd=1.7, base_batch_size=32, base_learning_rate=0.05, exponent=1.0
)


def truth(batch_size, learning_rate, critical=300.0, best_rate=0.1, depth=0.0, drift=0.0):
    """Return ln examples by the theory: SGD, no parameter of the model away from it."""
    best = best_rate * 2 ** (drift * depth) * (1 + critical / 32) / (1 + critical / batch_size)
    share = learning_rate / best
    cost = -math.log(share * (2 - share)) if share < 1 else 0.5 * math.log2(share) ** 2
    return math.log1p(batch_size / critical) + cost


def comparison(batch_size, learning_rate, sd=0.05, depth=0.0, drift=0.0):
    ratio = truth(batch_size, learning_rate, depth=depth, drift=drift) - truth(32, 0.1, depth=depth, drift=drift)
    return Comparison(batch_size, learning_rate, 32, 0.1, depth, ratio, sd)


SWEEP = [comparison(size, rate * size / 32) for size in (32, 128, 512) for rate in (0.025, 0.05, 0.1, 0.2)]


def test_comparisons_recover_the_critical_batch_size_and_the_best_rates():
    model = fit_progress(SWEEP, PRIOR, n_draws=800)
    low, middle, high = numpy.quantile(model.critical_batch_sizes, [0.025, 0.5, 0.975])
    assert low < 300 < high and high / low < 4 and middle == pytest.approx(300, rel=0.35)
    for size, rate in ((32, 0.1), (512, 0.1 * (1 + 300 / 32) / (1 + 300 / 512))):
        assert 2 ** numpy.median(model.best_log2_rates(size)) == pytest.approx(rate, rel=0.35)


def test_without_comparisons_the_model_is_the_prior():
    model = fit_progress([], PRIOR, n_draws=4000)
    logs = numpy.log(model.critical_batch_sizes)
    assert logs.mean() == pytest.approx(math.log(128), abs=0.15) and logs.std() == pytest.approx(1.7, abs=0.1)


def test_rates_of_shallow_levels_are_taken_to_be_hotter_than_those_of_the_target():
    shallow = [comparison(32, rate, depth=2.5) for rate in (0.025, 0.05, 0.1, 0.2, 0.4)]
    deep = [comparison(32, rate) for rate in (0.025, 0.05, 0.1, 0.2, 0.4)]
    of_shallow, of_deep = (fit_progress(found, PRIOR, n_draws=2000).best_log2_rates(32) for found in (shallow, deep))
    assert numpy.median(of_shallow) < numpy.median(of_deep) - 0.3 and of_shallow.std() > of_deep.std()


def test_a_run_that_diverged_puts_a_wall_below_its_rate_at_every_batch_size():
    fine = [comparison(32, 0.05), comparison(32, 0.2)]
    diverged = Comparison(128, 0.5, 32, 0.1, 0.0, 1.0, 0.3, is_bound=True)
    before, after = (fit_progress(found, PRIOR, n_draws=2000) for found in (fine, [*fine, diverged]))
    cost = [
        numpy.median(model.log_examples([512], [1.0]) - model.log_examples([512], [0.25])) for model in (before, after)
    ]
    assert cost[1] > cost[0] + 0.3


def test_a_bound_is_met_by_anything_slower():
    bound = Comparison(32, 0.4, 32, 0.1, 0.0, -1.0, 0.1, is_bound=True)
    with_it, without = (fit_progress(found, PRIOR, n_draws=500) for found in ([*SWEEP, bound], SWEEP))
    assert numpy.median(with_it.best_log2_rates(32)) == pytest.approx(
        float(numpy.median(without.best_log2_rates(32))), abs=0.1
    )


def test_a_noise_scale_moves_the_critical_batch_size_as_far_as_it_is_trusted():
    near, far = (
        numpy.log(
            fit_progress([], PRIOR, hints=[NoiseHint(math.log(4096), 0.0, sd)], n_draws=4000).critical_batch_sizes
        )
        for sd in (0.5, 5.0)
    )
    # Two normals: the mean weighted by their precisions.
    weight = 1.7**2 / (1.7**2 + 0.5**2)
    assert near.mean() == pytest.approx(weight * math.log(4096) + (1 - weight) * math.log(128), abs=0.15)
    assert far.mean() < near.mean() - 2


def test_the_same_seed_gives_the_same_draws():
    assert (fit_progress(SWEEP, PRIOR, n_draws=50).draws == fit_progress(SWEEP, PRIOR, n_draws=50).draws).all()
