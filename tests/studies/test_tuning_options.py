from typing import Any

import pytest

from batchlab.errors import UsageError
from batchlab.studies import tuning_options
from batchlab.studies.spec import StudyOptions, mistakes_without_workload, resolve_spec
from simulated import INFO

ALL = ("momentum", "weight_decay", "warmup", "schedule")


def message(**options: Any) -> str:
    """Return what is said about wrong options."""
    with pytest.raises(UsageError) as raised:
        resolve_spec(StudyOptions(**options), INFO)
    return str(raised.value)


@pytest.mark.parametrize("asked", ["schedule, warmup,momentum", ["warmup", "momentum", "schedule"]])
def test_what_is_tuned_is_a_list_or_a_text_in_any_order(asked: Any) -> None:
    spec = resolve_spec(StudyOptions(tune=asked), INFO)
    assert (spec.tune, spec.tuning_trials, spec.sampler) == (("momentum", "warmup", "schedule"), 30, "quasi-random")


@pytest.mark.parametrize(("n", "trials"), [(1, 18), (2, 24), (4, 36)])
def test_more_settings_get_more_trials(n: int, trials: int) -> None:
    assert resolve_spec(StudyOptions(tune=ALL[:n]), INFO).tuning_trials == trials


@pytest.mark.parametrize("nothing", [(), "", []])
def test_without_tune_nothing_is_said_of_it(nothing: Any) -> None:
    assert resolve_spec(StudyOptions(tune=nothing), INFO) == resolve_spec(StudyOptions(), INFO)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tune": "momentm"}, "`tune` knows no setting 'momentm'; did you mean 'momentum'?"),
        ({"tune": "dropout"}, "`tune` knows no setting 'dropout'; it takes momentum, weight_decay, warmup, schedule."),
        ({"tune": ["lr"]}, "`tune` names what is tuned beside the learning rate, got 'lr'; leave it out."),
        ({"tune": 5}, "`tune` is a list of settings, got 5; write momentum,weight_decay, say."),
        (
            {"tune": "momentum", "optimizer": "adagrad"},
            "The optimizer adagrad has no momentum to tune; with it `tune` takes weight_decay, warmup, schedule.",
        ),
        (
            {"tune": "warmup", "warmup": 0.05},
            "`tune` finds the warmup, got warmup=0.05 beside it; leave one of the two out.",
        ),
        (
            {"tune": "schedule", "schedule": "cosine"},
            "`tune` finds the schedule, got schedule=cosine beside it; leave one of the two out.",
        ),
        (
            {"tune": "momentum", "lr": 0.1},
            "`tune` tunes the learning rate too, got lr=0.1 beside it; leave one of the two out.",
        ),
        (
            {"tune": "momentum", "search": "model", "target": 0.1},
            "The model search tunes learning rates alone, got `tune` beside it; leave one of the two out.",
        ),
        (
            {"tune": "momentum", "controls": ["aa", "equal-updates"]},
            "The control equal-updates changes one setting of those that `tune` finds together; leave one of the two "
            "out.",
        ),
        ({"tuning_trials": 30}, "`tuning_trials` counts settings of `tune`, got 30 without; name what to tune."),
        (
            {"tune": "momentum", "tuning_trials": 1},
            "`tuning_trials` is a whole number of at least 2, got 1; correct it.",
        ),
        ({"sampler": "tpe"}, "A `sampler` picks settings of `tune`, got tpe without; name what to tune."),
        (
            {"tune": "momentum", "sampler": "grid"},
            "`sampler` is quasi-random, tpe, gp, cmaes or random, got 'grid'; choose one of these.",
        ),
    ],
)
def test_mistakes_are_told(options: dict[str, Any], expected: str) -> None:
    assert message(**options) == expected


def test_all_mistakes_are_told_at_once() -> None:
    assert message(tune="momentum,warmup,betas", lr="sqrt", warmup=0.1, optimizer="adagrad", seeds=0) == (
        "5 mistakes:\n"
        "- `seeds` is a whole number of at least 1, got 0; correct it.\n"
        "- `tune` knows no setting 'betas'; it takes momentum, weight_decay, warmup, schedule.\n"
        "- The optimizer adagrad has no momentum to tune; with it `tune` takes weight_decay, warmup, schedule.\n"
        "- `tune` tunes the learning rate too, got lr=sqrt beside it; leave one of the two out.\n"
        "- `tune` finds the warmup, got warmup=0.1 beside it; leave one of the two out."
    )


def test_an_optimizer_of_the_users_own_has_the_settings_it_is_given() -> None:
    import dataclasses

    own = dataclasses.replace(INFO, optimizer="my.Lion", optimizer_settings=(("betas", (0.9, 0.99)), ("lr", 0.1)))
    assert resolve_spec(StudyOptions(tune=["momentum"]), own).tune == ("momentum",)
    with pytest.raises(UsageError) as raised:
        resolve_spec(StudyOptions(tune=["weight_decay"]), own)
    assert str(raised.value) == (
        "Nobody knows whether the optimizer my.Lion takes weight_decay; give it one (optimizer_settings."
        "weight_decay=...), or tune momentum, warmup, schedule."
    )
    options = StudyOptions(tune=["weight_decay"], optimizer_settings={"weight_decay": 0.1})
    assert resolve_spec(options, own).tune == ("weight_decay",)


def test_without_the_workload_no_mistake_is_made_up() -> None:
    assert mistakes_without_workload(StudyOptions(tune=ALL)) == ()
    assert mistakes_without_workload(StudyOptions(tune=ALL, optimizer="sgd")) == ()


def test_a_sampler_that_is_not_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_options, "find_spec", lambda name: None)
    assert message(tune="momentum", sampler="cmaes") == (
        "The sampler cmaes needs optuna and cmaes, which this Python does not have; run "
        "`pip install 'batchlab[optuna]'`."
    )
