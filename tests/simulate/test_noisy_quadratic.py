import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.simulate import NoisyQuadratic, TunedSteps, harmonic_quadratic
from batchlab.simulate.noisy_quadratic import default_learning_rates

HARMONIC = harmonic_quadratic(100)
GRID = numpy.geomspace(1e-3, 1.99, 120).tolist()


def heavy_ball_losses(model, n_steps, batch_size, rate, momentum=0.0):
    """Return the losses at steps 0 to n by the moments A = E θ², C = E θ v and V = E v²."""
    h, c, theta = (numpy.array(part) for part in (model.curvature, model.noise_variance, model.start))
    a, cross, v = theta**2, numpy.zeros_like(theta), numpy.zeros_like(theta)
    losses = [0.5 * float(h @ a)]
    for _ in range(n_steps):
        v = momentum**2 * v + 2 * momentum * h * cross + h**2 * a + c / batch_size
        pushed = momentum * cross + h * a
        a = a - 2 * rate * pushed + rate**2 * v
        cross = pushed - rate * v
        losses.append(0.5 * float(h @ a))
    return numpy.array(losses)


def averaged_losses(model, n_steps, batch_size, rate, decay):
    """Return the losses of the averaged SGD iterates, by the moments of θ, φ and their product."""
    h, c, theta = (numpy.array(part) for part in (model.curvature, model.noise_variance, model.start))
    kept, noise, fresh = 1 - rate * h, rate**2 * c / batch_size, 1 - decay
    a, cross, average = theta**2, theta**2, theta**2
    losses = [0.5 * float(h @ average)]
    for _ in range(n_steps):
        stepped = kept**2 * a + noise
        average = decay**2 * average + 2 * decay * fresh * kept * cross + fresh**2 * stepped
        cross = decay * kept * cross + fresh * stepped
        a = stepped
        losses.append(0.5 * float(h @ average))
    return numpy.array(losses)


@st.composite
def small_models(draw):
    values = [
        draw(st.lists(st.floats(low, high), min_size=3, max_size=3)) for low, high in ((0.05, 2), (0, 2), (-1.5, 1.5))
    ]
    return NoisyQuadratic(*values)


# Known answers of the harmonic model with 100 dimensions and target .05.


@pytest.mark.parametrize(
    ("batch_size", "learning_rate", "momentum", "average_decay", "steps"),
    [(16, 0.5, 0.0, 0.0, 313), (1024, 1.0, 0.0, 0.0, 76), (1024, 0.2, 0.9, 0.0, 43), (16, 0.5, 0.0, 0.9, 204)],
    ids=["sgd-16", "sgd-1024", "heavy-ball", "averaged"],
)
def test_steps_to_target_are_the_known_ones(batch_size, learning_rate, momentum, average_decay, steps):
    found = HARMONIC.steps_to_target(batch_size, learning_rate, 0.05, momentum, average_decay=average_decay)
    assert found == steps


def test_start_of_the_harmonic_model_is_the_known_one():
    assert HARMONIC.expected_loss(0, 1, 1.0) == pytest.approx(2.5937, abs=5e-5)
    assert HARMONIC.noise_scale() == pytest.approx(5.187 / 1.635, rel=1e-3)


def test_tuned_steps_and_learning_rates_are_the_known_ones():
    found = [HARMONIC.tuned_steps_to_target(4**power, 0.05) for power in range(9)]
    assert [one.steps for one in found] == [4335, 1101, 292, 95, 54, 44, 41, 40, 40]
    rates = [one.learning_rate for one in found]
    assert rates == pytest.approx([0.0295, 0.113, 0.430, 1.19, 1.64, 1.87, 1.87, 1.87, 1.87], abs=0.006)
    assert not any(one.at_edge for one in found)


def test_tuned_steps_with_a_preconditioner_are_the_known_ones():
    model = HARMONIC.preconditioned([h**-0.5 for h in HARMONIC.curvature])
    found = [model.tuned_steps_to_target(4**power, 0.05, learning_rates=GRID).steps for power in range(9)]
    assert found == [1856, 466, 118, 31, 10, 6, 6, 6, 6]


def test_momentum_and_averaging_need_fewer_tuned_steps():
    rates = numpy.geomspace(0.02, 1.99, 24).tolist()
    plain = HARMONIC.tuned_steps_to_target(64, 0.05, learning_rates=rates).steps
    heavy = HARMONIC.tuned_steps_to_target(64, 0.05, 0.9, learning_rates=rates).steps
    averaged = HARMONIC.tuned_steps_to_target(64, 0.05, average_decay=0.9, learning_rates=rates).steps
    assert (plain, heavy, averaged) == (97, 65, 56)


def test_noise_scale_along_the_noise_free_path_is_the_known_one():
    model = harmonic_quadratic(1000)
    quiet = NoisyQuadratic(model.curvature, [0.0] * 1000, model.start)
    start = quiet.expected_loss(0, 1, 1.0)
    found = []
    for share in (1.0, 0.5, 0.2, 0.1, 0.06):
        n_steps = quiet.steps_to_target(1, 1.0, share * start)
        found.append(model.noise_scale([(1 - h) ** n_steps for h in model.curvature]))
    assert found == pytest.approx([4.6, 114, 1255, 4084, 8337], rel=0.02)


def test_curvature_noise_scale_is_its_definition():
    model = NoisyQuadratic([1.0, 0.5], [2.0, 3.0], [1.0, -2.0])
    assert model.curvature_noise_scale() == pytest.approx((2.0 + 1.5) / (1.0 + 0.125 * 4))
    assert model.noise_scale([0.0, 1.0]) == pytest.approx(5.0 / 0.25)
    assert model.noise_scale([0.0, 0.0]) == math.inf


def test_noise_scales_agree_where_curvatures_are_equal():
    model = NoisyQuadratic([0.5, 0.5], [2.0, 3.0], [1.0, -2.0])
    assert model.noise_scale() == pytest.approx(model.curvature_noise_scale())


# Against recursions in other variables.


@settings(deadline=None)
@given(small_models(), st.floats(0.01, 1.5), st.integers(0, 60))
def test_closed_form_of_sgd_is_its_recursion(model, rate, n_steps):
    expected = heavy_ball_losses(model, n_steps, 4, rate)[-1]
    assert model.expected_loss(n_steps, 4, rate) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@settings(deadline=None)
@given(small_models(), st.floats(0.01, 1.5), st.floats(0.05, 0.98), st.integers(0, 60))
def test_heavy_ball_is_the_recursion_of_its_second_moments(model, rate, momentum, n_steps):
    expected = heavy_ball_losses(model, n_steps, 4, rate, momentum)[-1]
    assert model.expected_loss(n_steps, 4, rate, momentum) == pytest.approx(expected, rel=1e-7, abs=1e-10)


@settings(deadline=None)
@given(small_models(), st.floats(0.01, 0.9), st.floats(0.05, 0.98), st.integers(0, 60))
def test_averaged_sgd_is_the_recursion_of_its_second_moments(model, rate, decay, n_steps):
    expected = averaged_losses(model, n_steps, 4, rate, decay)[-1]
    found = model.expected_loss(n_steps, 4, rate, average_decay=decay)
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-12)


@settings(deadline=None)
@given(small_models(), st.floats(0.05, 2.5), st.floats(0.01, 3.0))
def test_steps_of_sgd_are_those_of_a_scan_where_the_loss_dips_and_rises_too(model, rate, target):
    losses = heavy_ball_losses(model, 200, 4, rate)
    if numpy.abs(losses - target).min() < 1e-9:
        return
    below = numpy.flatnonzero(losses <= target)
    expected = int(below[0]) if below.size else None
    assert model.steps_to_target(4, rate, target, most_steps=200) == expected


@settings(deadline=None)
@given(small_models(), st.floats(0.05, 2.5), st.floats(0.1, 0.95), st.floats(0.01, 3.0))
def test_steps_of_heavy_ball_are_those_of_a_scan(model, rate, momentum, target):
    losses = heavy_ball_losses(model, 200, 4, rate, momentum)
    if numpy.abs(losses - target).min() < 1e-9:
        return
    below = numpy.flatnonzero(losses <= target)
    expected = int(below[0]) if below.size else None
    assert model.steps_to_target(4, rate, target, momentum, most_steps=200) == expected


@pytest.mark.parametrize(("momentum", "average_decay"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.8), (0.7, 0.9)])
def test_expected_loss_is_the_mean_of_simulated_runs(momentum, average_decay):
    # 20,000 runs beforehand: within 4 standard errors, a false alarm in 1 of 4,000 seeds over the four cases.
    model = NoisyQuadratic([1.0, 0.2], [3.0, 1.0], [1.0, -1.0])
    h, c, generator = numpy.array(model.curvature), numpy.array(model.noise_variance), numpy.random.default_rng(8)
    theta = numpy.tile(model.start, (20_000, 1))
    velocity, average = numpy.zeros_like(theta), theta.copy()
    for _ in range(25):
        gradient = h * theta + generator.normal(0, numpy.sqrt(c / 4), theta.shape)
        velocity = momentum * velocity + gradient
        theta = theta - 0.15 * velocity
        average = average_decay * average + (1 - average_decay) * theta
    losses = 0.5 * average**2 @ h
    expected = model.expected_loss(25, 4, 0.15, momentum, average_decay=average_decay)
    assert abs(losses.mean() - expected) < 4 * losses.std() / math.sqrt(20_000)


# Stationary values.


@settings(deadline=None)
@given(small_models(), st.floats(0.01, 0.9), st.floats(0, 0.95))
def test_stationary_loss_of_heavy_ball_is_the_closed_form(model, rate, momentum):
    h, c = numpy.array(model.curvature), numpy.array(model.noise_variance)
    steady = rate * c * (1 + momentum) / (4 * h * (1 - momentum) * (2 * (1 + momentum) - rate * h))
    assert model.stationary_loss(4, rate, momentum) == pytest.approx(0.5 * h @ steady, rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(small_models(), st.floats(0.01, 0.9), st.floats(0, 0.95))
def test_stationary_loss_of_averaged_sgd_is_the_closed_form(model, rate, decay):
    h, c = numpy.array(model.curvature), numpy.array(model.noise_variance)
    kept = 1 - rate * h
    steady = rate * c / (4 * h * (2 - rate * h)) * (1 - decay) * (1 + kept * decay) / ((1 + decay) * (1 - kept * decay))
    assert model.stationary_loss(4, rate, average_decay=decay) == pytest.approx(0.5 * h @ steady, rel=1e-6, abs=1e-12)


def test_loss_after_very_many_steps_is_the_stationary_one():
    for momentum, decay in ((0.0, 0.0), (0.9, 0.0), (0.5, 0.9)):
        late = HARMONIC.expected_loss(10**7, 8, 0.3, momentum, average_decay=decay)
        assert late == pytest.approx(HARMONIC.stationary_loss(8, 0.3, momentum, average_decay=decay), rel=1e-6)


def test_a_learning_rate_beyond_stability_has_no_stationary_loss():
    assert HARMONIC.stationary_loss(8, 2.0) == math.inf
    assert HARMONIC.stationary_loss(8, 3.79, 0.9) < math.inf == HARMONIC.stationary_loss(8, 3.8, 0.9)


# What holds for any model.


def test_a_preconditioner_is_the_dynamics_with_scaled_gradients():
    model = NoisyQuadratic([1.0, 0.1], [2.0, 0.5], [1.0, -1.0])
    p, rate, n_steps = numpy.array([0.5, 4.0]), 0.4, 9
    h, c, theta = (numpy.array(part) for part in (model.curvature, model.noise_variance, model.start))
    second = theta**2
    for _ in range(n_steps):
        second = (1 - rate * p * h) ** 2 * second + rate**2 * p**2 * c / 4
    assert model.preconditioned(p.tolist()).expected_loss(n_steps, 4, rate) == pytest.approx(0.5 * h @ second)


def test_without_noise_gradient_descent_is_exact():
    model = NoisyQuadratic([1.0, 0.5], [0.0, 0.0], [1.0, 2.0])
    assert model.expected_loss(3, 1, 1.0) == pytest.approx(0.5 * 0.5 * (2.0 * 0.5**3) ** 2)
    assert model.expected_loss(3, math.inf, 1.0) == model.expected_loss(3, 1, 1.0)


def test_flat_directions_keep_their_digits():
    model = NoisyQuadratic([1e-12], [1.0], [0.0])
    # A random walk as long as lr h t is small: E θ² = t lr² c/B.
    assert model.expected_loss(1000, 4, 0.1) == pytest.approx(0.5e-12 * 1000 * 0.01 / 4, rel=1e-8, abs=0)


def test_a_target_below_the_stationary_loss_is_never_reached():
    assert HARMONIC.steps_to_target(1, 1.0, 0.05) is None
    assert HARMONIC.steps_to_target(1, 1.0, 0.05, 0.9) is None
    assert HARMONIC.steps_to_target(1, 1.0, 0.05, average_decay=0.5) is None


def test_a_loss_that_dips_below_the_target_before_noise_wins_counts():
    model = NoisyQuadratic([1.0, 0.01], [0.0, 1.0], [1.0, 0.0])
    assert model.stationary_loss(1, 0.9) > 0.1
    assert model.steps_to_target(1, 0.9, 0.1) == 1
    assert model.steps_to_target(1, 0.9, 0.1, average_decay=1e-12) == 1


def test_divergence_is_never_a_crossing():
    model = NoisyQuadratic([1.0, 0.1], [0.0, 0.0], [1.0, 1.0])
    assert model.steps_to_target(1, 2.5, 0.01) is None
    assert model.steps_to_target(1, 5.0, 0.01, 0.9) is None
    assert model.expected_loss(10_000, 1, 2.5) == math.inf
    assert model.expected_loss(10_000, 1, 5.0, 0.9) == math.inf


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_direction_at_rest_stays_there_at_any_learning_rate(momentum):
    model = NoisyQuadratic([1.0, 0.01], [0.0, 0.0], [0.0, 1.0])
    assert model.expected_loss(5000, 1, 8.0, momentum) < 1e-9
    assert model.steps_to_target(1, 8.0, 1e-4, momentum) is not None


def test_a_target_that_the_start_meets_takes_no_steps():
    assert HARMONIC.steps_to_target(8, 0.1, 3.0) == 0
    assert HARMONIC.steps_to_target(8, 0.1, 3.0, 0.9) == 0


def test_more_steps_than_allowed_are_none():
    assert HARMONIC.steps_to_target(16, 0.5, 0.05, most_steps=312) is None
    assert HARMONIC.steps_to_target(16, 0.5, 0.05, most_steps=313) == 313
    assert HARMONIC.steps_to_target(1024, 0.2, 0.05, 0.9, most_steps=42) is None


def test_no_rate_that_reaches_the_target_is_none():
    assert HARMONIC.tuned_steps_to_target(1, 0.05, learning_rates=[0.5, 1.0]) is None


def test_the_best_rate_at_the_edge_of_the_grid_says_so():
    found = HARMONIC.tuned_steps_to_target(16, 0.05, learning_rates=[0.01, 0.1, 0.2])
    assert found == TunedSteps(HARMONIC.steps_to_target(16, 0.2, 0.05), 0.2, at_edge=True)


def test_of_rates_that_take_equally_few_steps_the_one_with_the_lowest_loss_wins():
    model = NoisyQuadratic([1.0], [0.0], [1.0])
    assert model.tuned_steps_to_target(1, 0.1, learning_rates=[0.6, 0.7, 0.99]) == TunedSteps(1, 0.99, at_edge=True)


def test_default_rates_reach_to_the_edge_of_stability():
    rates = default_learning_rates(NoisyQuadratic([4.0], [1.0], [1.0]), 0.5)
    assert (len(rates), rates[0], rates[-1]) == (120, pytest.approx(1e-3 * 0.5 / 4), pytest.approx(1.99 * 1.5 / 4))


def test_arrays_become_plain_numbers_and_models_compare():
    model = NoisyQuadratic(numpy.array([1.0]), numpy.array([2.0]), numpy.array([3.0]))
    assert model == NoisyQuadratic([1], [2], [3])
    assert model.curvature == (1.0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([1.0, 2.0], [1.0], [1.0, 1.0]),
            "`curvature`, `noise_variance` and `start` must have one entry a dimension each, got 2, 1 and 2; "
            "repeat a value where all are equal.",
        ),
        (
            ([1.0, 0.0], [1.0, 1.0], [1.0, 1.0]),
            "Curvatures must be above 0, noise variances not below 0, and all values finite, got a lowest curvature of "
            "0 and a lowest variance of 1; leave out flat directions, which have no loss.",
        ),
    ],
)
def test_models_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError) as error:
        NoisyQuadratic(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (5, 0, 0.1),
            "Batch size and learning rate must be above 0, got 0 and 0.1; "
            "use `math.inf` as batch size for gradients without noise.",
        ),
        (
            (5, 8, 0.1, 1.0),
            "`momentum` and `average_decay` must lie in [0, 1), got 1.0 and 0.0; use 0.0 for none.",
        ),
    ],
)
def test_runs_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError) as error:
        HARMONIC.expected_loss(*arguments)
    assert str(error.value) == message


def test_a_preconditioner_of_another_length_is_refused():
    with pytest.raises(ValueError) as error:
        NoisyQuadratic([1.0], [1.0], [1.0]).preconditioned([1.0, 2.0])
    assert str(error.value) == "`preconditioner` must be 1 finite values above 0, got [1.0, 2.0]; pass one a dimension."
