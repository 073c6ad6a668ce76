import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.rules import scale_hyperparameters, scale_learning_rate

sizes = st.integers(1, 4096)
rates = st.floats(1e-5, 1.0)
decays = st.floats(0.0, 0.999)


def test_plain_rules_of_the_learning_rate():
    assert [scale_learning_rate(0.1, 32, 128, rule) for rule in ("linear", "sqrt", "none")] == [0.4, 0.2, 0.1]


@given(rates, sizes, sizes, st.sampled_from(["linear", "sqrt"]))
def test_scaling_there_and_back_changes_nothing(rate, first, second, rule):
    there = scale_learning_rate(rate, first, second, rule)
    assert scale_learning_rate(there, second, first, rule) == pytest.approx(rate)


@given(rates, decays, st.integers(1, 8), st.integers(1, 8))
def test_sgd_with_momentum_can_be_scaled_in_two_steps_or_one(rate, momentum, first, second):
    settings = {"lr": rate, "momentum": momentum}
    once = scale_hyperparameters(settings, 8, 8 * first * second)
    twice = scale_hyperparameters(scale_hyperparameters(settings, 8, 8 * first), 8 * first, 8 * first * second)
    assert twice == pytest.approx(once)


@given(rates, decays, sizes, sizes)
def test_linear_rule_keeps_the_displacement_an_example_under_momentum(rate, momentum, first, second):
    scaled = scale_hyperparameters({"lr": rate, "momentum": momentum}, first, second)
    before = rate / (1 - momentum) / first
    assert scaled["lr"] / (1 - scaled["momentum"]) / second == pytest.approx(before)


@given(st.floats(0.01, 0.999), sizes, sizes)
def test_half_life_in_examples_is_kept(beta, first, second):
    scaled = scale_hyperparameters({"lr": 0.1, "betas": (beta, 0.5)}, first, second, "adam")
    if scaled["betas"][0] > 0:
        assert second / math.log(scaled["betas"][0]) == pytest.approx(first / math.log(beta))
    assert all(0 <= one < 1 for one in scaled["betas"])


def heavy_ball(learning_rate, momentum, steps):
    place, velocity = 1.0, 0.0
    for _ in range(steps):
        velocity = momentum * velocity + 0.001 * place
        place -= learning_rate * velocity
    return place


def test_heavy_ball_ends_where_it_did_after_as_many_examples():
    scaled = scale_hyperparameters({"lr": 0.1, "momentum": 0.9}, 16, 128)
    assert heavy_ball(0.1, 0.9, 800) == pytest.approx(0.44999, abs=1e-5)
    assert heavy_ball(scaled["lr"], scaled["momentum"], 100) == pytest.approx(0.4485, abs=5e-5)


def adam_displacements(settings, batch_size, generator):
    """Return where 400 walkers end after 40,000 examples of mean .02 and standard deviation 1."""
    (beta1, beta2), place = settings["betas"], numpy.zeros(400)
    first, second = numpy.zeros(400), numpy.zeros(400)
    for step in range(1, 40_000 // batch_size + 1):
        gradient = generator.normal(0.02, 1 / math.sqrt(batch_size), 400)
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        root = numpy.sqrt(second / (1 - beta2**step)) + settings["eps"]
        place = place - settings["lr"] * first / (1 - beta1**step) / root
    return place


@pytest.mark.parametrize(
    ("batch_size", "rule", "drift", "spread"),
    [
        (4, "sqrt", -0.397, 0.102),
        (16, "sqrt", -0.397, 0.101),
        (64, "sqrt", -0.393, 0.096),
        (16, "linear", -0.80, 0.20),
        (64, "linear", -1.56, 0.38),
    ],
)
def test_adam_drifts_and_spreads_as_known(batch_size, rule, drift, spread):
    # 400 walkers beforehand: standard error 1.3 % of the drift and 3.5 % of the spread.
    base = {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8}
    settings = scale_hyperparameters(base, 4, batch_size, "adam", rule)
    ends = adam_displacements(settings, batch_size, numpy.random.default_rng(batch_size))
    assert ends.mean() == pytest.approx(drift, rel=0.05)
    assert ends.std() == pytest.approx(spread, rel=0.1)


@given(rates, st.floats(1e-4, 1.0), sizes, sizes, st.sampled_from(["auto", "linear", "sqrt"]))
def test_adamw_keeps_the_timescale_of_its_weight_decay_in_examples(rate, decay, first, second, rule):
    scaled = scale_hyperparameters({"lr": rate, "weight_decay": decay}, first, second, "adamw", rule)
    assert second / (scaled["lr"] * scaled["weight_decay"]) == pytest.approx(first / (rate * decay))


def test_adamw_by_the_square_root_moves_everything():
    settings = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1, "amsgrad": True}
    scaled = scale_hyperparameters(settings, 64, 256, "adamw")
    assert scaled.pop("betas") == pytest.approx((0.9**4, 0.99**4))
    assert scaled == pytest.approx({"lr": 2e-3, "eps": 5e-9, "weight_decay": 0.2, "amsgrad": True})


def test_absent_settings_move_from_torchs_defaults():
    scaled = scale_hyperparameters({"lr": 1e-3}, 64, 256, "adamw")
    assert scaled.pop("betas") == pytest.approx((0.9**4, 0.999**4))
    assert scaled == pytest.approx({"lr": 2e-3, "eps": 5e-9, "weight_decay": 0.02})


def test_coupled_weight_decay_is_kept():
    assert scale_hyperparameters({"lr": 0.1, "weight_decay": 5e-4, "nesterov": False}, 64, 128) == {
        "lr": 0.2,
        "weight_decay": 5e-4,
        "nesterov": False,
    }
    assert scale_hyperparameters({"lr": 0.1, "weight_decay": 5e-4}, 64, 128, "adam")["weight_decay"] == 5e-4


def test_a_normalized_momentum_needs_no_correction():
    scaled = scale_hyperparameters({"lr": 0.1, "momentum": 0.9, "dampening": 0.9}, 64, 128)
    assert scaled == pytest.approx({"lr": 0.2, "momentum": 0.81, "dampening": 0.81})


def test_rmsprop_moves_its_average_and_its_momentum():
    scaled = scale_hyperparameters({"lr": 0.01, "momentum": 0.9}, 64, 256, "rmsprop")
    expected = {"lr": 0.02 * (1 - 0.9**4) / 0.1, "momentum": 0.9**4, "alpha": 0.99**4, "eps": 5e-9}
    assert scaled == pytest.approx(expected)


@pytest.mark.parametrize(("to", "rule"), [(64, "auto"), (256, "none")])
def test_at_the_same_size_or_without_rule_nothing_moves(to, rule):
    settings = {"lr": 1e-3, "betas": (0.9, 0.99)}
    scaled = scale_hyperparameters(settings, 64, to, "adamw", rule)
    assert scaled == settings
    assert scaled is not settings


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: scale_learning_rate(0.1, 8, 16, "auto"),
            "`rule` must be linear, sqrt or none, got 'auto'; use linear for SGD and sqrt for Adam.",
        ),
        (
            lambda: scale_learning_rate(-0.1, 8, 16, "sqrt"),
            "The learning rate must be positive and finite, got -0.1; give that of the base run.",
        ),
        (
            lambda: scale_hyperparameters({"lr": 0.1}, 0, 16),
            "Batch sizes must be positive, got 0 and 16; give examples an optimizer step.",
        ),
        (
            lambda: scale_hyperparameters({"lr": 0.1}, 8, 16, "lion"),
            "`optimizer` must be one of sgd, adam, adamw, rmsprop, got 'lion'; "
            "for another optimizer move its learning rate with `scale_learning_rate`.",
        ),
        (
            lambda: scale_hyperparameters({"lr": 0.1}, 8, 16, rule="cubic"),
            "`rule` must be one of auto, linear, sqrt, none, got 'cubic'; use auto for the optimizer's own rule.",
        ),
        (
            lambda: scale_hyperparameters({"momentum": 0.9}, 8, 16),
            "`settings` must hold the learning rate under `lr`, got momentum; add it.",
        ),
        (
            lambda: scale_hyperparameters({"lr": 0.1, "momentum": 1.0}, 8, 16),
            "Momentum, betas and alpha must lie in [0, 1), got [1.0, 0.0]; a running average with 1 never forgets.",
        ),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message
