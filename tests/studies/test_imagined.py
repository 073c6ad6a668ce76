import dataclasses

import pytest

from batchlab.records import Stop, TrialSettings
from batchlab.studies.imagined import SHARE, imagined
from batchlab.studies.trials import trial_settings
from simulated import INFO, spec

RACE = spec(target=0.05, search="model")


def racing(rate: float, most_examples: int | None = None) -> TrialSettings:
    plain = trial_settings(RACE, INFO, 32, rate, 0, "tune")
    return dataclasses.replace(plain, stop=Stop(0.05, False, most_examples))


def test_an_imagined_race_reaches_its_target_within_the_budget() -> None:
    found = imagined(RACE, INFO, racing(0.1), 0)
    budget = found.settings.n_steps * 32
    assert found.status == "stopped"
    assert found.examples == pytest.approx(SHARE * budget, rel=0.3)


def test_imagined_trials_end_by_their_rule() -> None:
    assert imagined(RACE, INFO, racing(0.01, most_examples=500), 0).examples < 1000


def test_without_a_rule_the_loss_is_least_at_the_best_rate() -> None:
    losses = [
        imagined(spec(), INFO, trial_settings(spec(), INFO, 32, 0.1 * 2.0**k, 0, "tune"), 1).valid_loss
        for k in range(3)
    ]
    assert losses[1] == min(losses)
