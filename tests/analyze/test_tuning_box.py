import math
from typing import Any

import pytest

from batchlab.analyze.tuning_box import (
    TORCH_BETAS,
    TunedSetting,
    axes_of,
    setting_at,
    settings_of,
    share_from_center,
    tuned_trial,
)
from batchlab.numerics.rules import TORCH_DEFAULTS
from batchlab.records import Schedule
from batchlab.studies.trials import trial_settings
from simulated import INFO, spec

ALL = ("momentum", "weight_decay", "warmup", "schedule")
MIDDLE = (0.5, 0.5, 0.5, 0.5, 0.5)


def ends(**changes: Any) -> dict[str, tuple[object, object]]:
    """Return the lowest and the highest setting on each axis."""
    question = spec(tune=ALL, **changes)
    return {axis.name: (axis.at(0.0), axis.at(1.0)) for axis in axes_of(question)}


def test_the_axes_go_from_one_end_to_the_other() -> None:
    assert ends(optimizer_settings=()) == {
        "momentum": (0.1, 0.99),
        "weight_decay": (9.37e-6, 0.0096),
        "warmup": (0.0, 0.25),
        "schedule": ("constant", "step"),
    }


@pytest.mark.parametrize(
    ("optimizer", "settings", "middle"),
    [("sgd", (), 3e-4), ("adamw", (), 0.01), ("sgd", (("weight_decay", 5e-4),), 5e-4)],
)
def test_weight_decay_is_centered_at_the_studys_own(optimizer: str, settings: Any, middle: float) -> None:
    found = dict(setting_at(spec(tune=ALL, optimizer=optimizer, optimizer_settings=settings), 32, MIDDLE).settings)
    assert found["weight_decay"] == pytest.approx(middle, rel=0.01)


def test_only_the_learning_rate_moves_with_the_batch_size() -> None:
    small, large = (setting_at(spec(tune=ALL), size, (0.3, 0.6, 0.2, 0.9, 0.4)) for size in (8, 128))
    assert small.settings == large.settings
    assert large.learning_rate / small.learning_rate == pytest.approx(4, rel=0.01)


def test_the_middle_of_the_box_is_the_base_learning_rate_at_its_own_momentum() -> None:
    share = math.log(0.9 / 0.1) / math.log(0.9 / 0.01)
    assert setting_at(spec(tune=("momentum",)), 32, (0.5, share)) == TunedSetting(0.1, (("momentum", 0.9),))


def test_a_higher_momentum_of_sgd_comes_with_a_lower_rate_and_one_of_adam_does_not() -> None:
    def effective(optimizer: str, share: float, is_plain: bool) -> float:
        found = setting_at(spec(tune=("momentum",), optimizer=optimizer, optimizer_settings=()), 32, (0.5, share))
        momentum = dict(found.settings)["momentum"]
        assert isinstance(momentum, float)
        return found.learning_rate / (1.0 if is_plain else 1 - momentum)

    assert effective("sgd", 0.0, False) == pytest.approx(effective("sgd", 1.0, False), rel=0.01)
    assert effective("adam", 0.0, True) == effective("adam", 1.0, True) == 0.1


def test_a_learning_rate_lies_between_minus_one_and_one_on_its_axis() -> None:
    question = spec(tune=("momentum",))
    shares = [
        share_from_center(question, 64, setting_at(question, 64, (share, 0.3))) for share in (0.0, 0.25, 0.5, 1.0)
    ]
    assert shares == pytest.approx([-1, -0.5, 0, 1], abs=0.01)


def test_a_trial_trains_with_what_was_tuned() -> None:
    question = spec(tune=ALL, optimizer_settings=(("momentum", 0.5), ("nesterov", True)))
    tuned = (("momentum", 0.9), ("weight_decay", 0.001), ("warmup", 0.1), ("schedule", "cosine"))
    trial = tuned_trial(trial_settings(question, INFO, 32, 0.1, 0, "tune"), tuned)
    assert trial.optimizer_settings == (("momentum", 0.9), ("nesterov", True), ("weight_decay", 0.001))
    assert trial.schedule == Schedule("cosine", 0.1)
    assert settings_of(question, trial) == tuned


def test_the_momentum_of_adam_is_the_first_of_its_betas() -> None:
    question = spec(tune=("momentum",), optimizer="adam", optimizer_settings=(("betas", (0.9, 0.95)),))
    plain = trial_settings(question, INFO, 32, 0.1, 0, "tune")
    trial = tuned_trial(plain, (("momentum", 0.8),))
    assert trial.optimizer_settings == (("betas", (0.8, 0.95)),)
    assert (settings_of(question, plain), settings_of(question, trial)) == ((("momentum", 0.9),), (("momentum", 0.8),))


def test_a_step_schedule_keeps_the_milestones_of_the_study_and_others_have_none() -> None:
    own = Schedule("constant", 0.05, (0.3,), 0.2)
    trial = trial_settings(spec(tune=("schedule",), schedule=own), INFO, 32, 0.1, 0, "tune")
    step, cosine = (tuned_trial(trial, (("schedule", kind),)).schedule for kind in ("step", "cosine"))
    assert (step, cosine) == (Schedule("step", 0.05, (0.3,), 0.2), Schedule("cosine", 0.05))


def test_nothing_tuned_leaves_a_trial_as_it_is() -> None:
    trial = trial_settings(spec(), INFO, 32, 0.1, 0, "tune")
    assert tuned_trial(trial, ()) is trial


def test_the_betas_that_torch_has_are_those_of_the_scaling_rules() -> None:
    assert TORCH_DEFAULTS["adam"]["betas"] == TORCH_DEFAULTS["adamw"]["betas"] == TORCH_BETAS
