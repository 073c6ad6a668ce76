import dataclasses
import math
from collections.abc import Sequence

import pytest

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.analyze.tuned_choice import choose_setting, finalists, n_finalists, n_tuning_trials, tuning_words
from batchlab.analyze.tuning_box import TunedSetting, tuned_trial
from batchlab.records import TrialResult
from batchlab.studies.trials import trial_settings
from simulated import INFO
from tuning_cases import TunedWorld, question

QUESTION = question(tuning_trials=6)
RATES = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)


def trials(losses: Sequence[Sequence[float]], metrics: Sequence[Sequence[float]] | None = None) -> list[TrialResult]:
    """Return tuning trials at batch size 32, one setting a row and one seed a column; infinite is diverged."""
    found = []
    for row, (rate, values) in enumerate(zip(RATES, losses, strict=False)):
        for seed, loss in enumerate(values):
            plain = trial_settings(QUESTION, INFO, 32, rate, TUNING_SEED_BASE + seed, "tune")
            result = TunedWorld().result(tuned_trial(plain, (("momentum", 0.9),)))
            status = "done" if math.isfinite(loss) else "diverged"
            metric = loss if metrics is None else metrics[row][seed]
            found.append(dataclasses.replace(result, status=status, valid_loss=loss, valid_metric=metric))
    return found


def chosen(losses: Sequence[Sequence[float]]) -> float:
    """Return the learning rate that is chosen."""
    choice = choose_setting(QUESTION, 32, trials(losses))
    assert choice is not None
    return choice.setting.learning_rate


def test_a_third_of_the_settings_is_tried_again() -> None:
    assert (n_finalists(QUESTION), n_tuning_trials(QUESTION)) == (2, 8)
    assert n_finalists(dataclasses.replace(QUESTION, tuning_seeds=1)) == 0
    assert n_tuning_trials(question(tuning_trials=24, tuning_seeds=3)) == 24 + 2 * 8


def test_the_best_on_the_first_seed_are_tried_again_and_diverged_ones_never() -> None:
    found = finalists(QUESTION, trials([[0.3], [0.2], [math.inf], [0.1]]))
    assert found == tuple(TunedSetting(rate, (("momentum", 0.9),)) for rate in (0.16, 0.04))
    assert len(finalists(QUESTION, trials([[0.3], [math.inf]]))) == 1


def test_the_lowest_mean_over_all_tuning_seeds_is_chosen_not_the_luckiest_first_one() -> None:
    assert chosen([[0.10, 0.30], [0.15, 0.15], [0.12]]) == 0.04


def test_a_setting_at_which_a_seed_diverged_is_not_chosen() -> None:
    assert chosen([[0.1, math.inf], [0.2, 0.2]]) == 0.04
    assert chosen([[0.1, math.inf], [0.2, math.inf], [0.3]]) == 0.08
    assert choose_setting(QUESTION, 32, trials([[math.inf], [math.inf]])) is None


def variance(losses: Sequence[Sequence[float]], metrics: Sequence[Sequence[float]]) -> float:
    """Return what choosing adds to the variance of the mean metric."""
    choice = choose_setting(QUESTION, 32, trials(losses, metrics))
    assert choice is not None
    return choice.metric_variance


def test_choosing_adds_variance_where_other_settings_have_other_metrics() -> None:
    losses = [[0.1, 0.1001], [0.5, 0.5002], [0.6], [0.7], [0.8], [0.9]]
    alike = variance(losses, [[0.1, 0.1], [0.1, 0.1], *[[0.1]] * 4])
    apart = variance(losses, [[0.1, 0.1], [0.3, 0.3], *[[0.3]] * 4])
    # The best is not among those of a repetition in (5/6)^6 of them.
    missed = (5 / 6) ** 6
    assert alike == pytest.approx(0)
    assert apart == pytest.approx(0.2**2 * missed * (1 - missed), abs=0.003)


def test_noise_of_tuning_trials_adds_variance() -> None:
    metrics = [[0.1, 0.1], [0.3, 0.3]]
    quiet, noisy = (variance([[0.2, 0.2 + x], [0.3 + x, 0.3]], metrics) for x in (0.001, 0.3))
    assert noisy > 1.1 * quiet


def test_a_diverged_setting_is_one_that_might_have_been_tried_and_not_been_picked() -> None:
    some = variance([[0.1], [0.2], [math.inf]], [[0.1], [0.3], [math.nan]])
    # Of three, the second is picked where it was drawn and the first was not; both missed are none.
    neither = (1 / 3) ** 3
    second = ((2 / 3) ** 3 - neither) / (1 - neither)
    assert some == pytest.approx(0.04 * second * (1 - second), abs=0.002)


def test_how_settings_were_tuned_is_said() -> None:
    assert tuning_words(question(tune=("momentum", "weight_decay"), tuning_seeds=3)) == (
        "Tuned at once, at each batch size: learning rate, momentum and weight decay, with 12 settings picked by "
        "quasi-random and the best 4 of them again on 2 more seeds, by validation loss."
    )
