import dataclasses
import json
from typing import Any

import numpy
import pytest

from batchlab.analyze.contest import FEWEST_SEEDS
from batchlab.errors import UsageError
from batchlab.records import Budget, Current, Schedule, StudySpec, from_json, identity, to_json
from batchlab.studies.option_values import FEWEST_AT_A_LOOK
from batchlab.studies.plan import plan
from batchlab.studies.spec import StudyOptions, default_batch_sizes, mistakes_without_workload, resolve_spec
from simulated import INFO


def message(**options: Any) -> str:
    """Return what is said about wrong options."""
    with pytest.raises(UsageError) as raised:
        resolve_spec(StudyOptions(**options), INFO)
    return str(raised.value)


def test_defaults_come_from_the_workload() -> None:
    spec = resolve_spec(StudyOptions(), INFO)
    assert spec.batch_sizes == (8, 16, 32, 64, 128, 256, 512)
    assert spec.budget == Budget("epochs", 4.0)
    assert (spec.lr_mode, spec.base_lr, spec.base_batch_size) == ("tune", 0.1, 32)
    assert (spec.optimizer, spec.optimizer_settings) == ("sgd", (("momentum", 0.9),))


def test_another_optimizer_does_not_inherit_settings() -> None:
    spec = resolve_spec(StudyOptions(optimizer="adam"), INFO)
    assert (spec.base_lr, spec.optimizer_settings) == (0.001, ())


def test_the_same_question_has_the_same_id_and_its_order_of_sizes_does_not_matter() -> None:
    first = resolve_spec(StudyOptions(batch_sizes=(8, 64)), INFO)
    second = resolve_spec(StudyOptions(batch_sizes=(64, 8)), INFO)
    assert identity(first) == identity(second)
    assert identity(first) != identity(resolve_spec(StudyOptions(batch_sizes=(8, 64), seeds=6), INFO))


def test_on_which_gpus_a_study_runs_is_no_part_of_its_question() -> None:
    one, several = (resolve_spec(StudyOptions(device=device), INFO) for device in ("cuda:1", "cuda:0,1"))
    assert one.device == "cuda"
    assert identity(one) == identity(several)


@pytest.mark.parametrize(
    ("n_train", "sizes"), [(1, (1,)), (20, (8,)), (100, (8, 16, 32)), (10**6, tuple(2**k for k in range(3, 10)))]
)
def test_default_sizes_leave_at_least_two_steps_an_epoch(n_train: int, sizes: tuple[int, ...]) -> None:
    assert default_batch_sizes(n_train) == sizes


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_sizes": (0, 8)}, "Batch sizes are whole numbers of at least 1, got 0; remove it."),
        ({"batch_sizes": (8, 2.5)}, "Batch sizes are whole numbers of at least 1, got 2.5; remove it."),
        (
            {"batch_sizes": (8, 2048)},
            "A batch holds at most the 1024 training examples of simulated, got batch size 2048; use 1024 or less.",
        ),
        ({"batch_sizes": (8, 8)}, "Each batch size is studied once, got 8, 8; write 8."),
        ({"batch_sizes": ()}, "A study needs at least one batch size, got none; give some, as in 8:512 or 8,24,64."),
        ({"epochs": 2, "steps": 100}, "A study has one budget, got epochs=2 and steps=100; keep one of them."),
        ({"epochs": 0}, "A budget is a positive number of epochs, got 0; give one above 0."),
        (
            {"lr": "banana"},
            "A learning rate is tune, linear, sqrt or a number, got 'banana'; use `tune` if in doubt.",
        ),
        ({"lr": -1.0}, "A learning rate is a positive number, got -1.0; give one above 0."),
        ({"epochs": "many"}, "A budget is a positive number of epochs, got 'many'; give one above 0."),
        (
            {"lr": 0.1, "base_lr": 0.2},
            "`base_lr` is for lr tune, linear and sqrt, got it beside lr=0.1; leave one of the two out.",
        ),
        *(
            (
                {"seeds": value},
                f"A range of seeds goes from 3 or more up to a larger number, as in 5..20, got {value!r}; write it so, "
                "or give one number.",
            )
            for value in ("5..", "2..9", "9..5", "5..5", "5..7..9", "a..b", "5", (5,), (5, 7.5))
        ),
        ({"seeds": 2.5}, "`seeds` is a whole number of at least 1, got 2.5; correct it."),
        ({"base_batch_size": 0}, "`base_batch_size` is a whole number of at least 1, got 0; correct it."),
        ({"same_batch_size": -4}, "`same_batch_size` is a whole number of at least 1, got -4; correct it."),
        (
            {"batch_sizes": (8, 2048, 4096)},
            "A batch holds at most the 1024 training examples of simulated, got batch size 2048, 4096; use 1024 or "
            "less.",
        ),
        (
            {"batch_sizes": 8.5},
            "Batch sizes are a range or a list of whole numbers, got 8.5; write 8:512 or 8,24,64, for example.",
        ),
        ({"level": 95}, "The level is a probability in [0.5, 1), got 95; use 0.95."),
        (
            {"schedule": "step", "milestones": (0.5, 2)},
            "The milestones of a step schedule are shares of the budget in [0, 1), got 2; write 0.5,0.75, say.",
        ),
        (
            {"schedule": "step", "milestones": "0.5"},
            "The milestones of a step schedule are shares of the budget in [0, 1), got '0.5'; write 0.5,0.75, say.",
        ),
        ({"factor": 0}, "The factor of a step schedule is a positive number, got 0; give one above 0."),
        ({"device": 3}, "`device` is a text, got 3; write it in quotes."),
        ({"epochs": True}, "A budget is a positive number of epochs, got True; give one above 0."),
        (
            {"optimizer_settings": "momentum=0.9"},
            "`optimizer_settings` has a value for each name, got 'momentum=0.9'; write momentum = 0.9, say.",
        ),
        (
            {"optimizer_settings": {"momentum": "abc"}},
            "The optimizer setting `momentum` is a number, got 'abc'; correct it.",
        ),
        (
            {"optimizer": "adam", "optimizer_settings": {"betas": 0.9}},
            "The optimizer setting `betas` is two numbers, as in 0.9,0.999, got 0.9; correct it.",
        ),
        (
            {"optimizer_settings": {"nesterov": True, "momentum": 0}},
            "`nesterov` needs a momentum above 0, got none; set momentum=0.9, or leave nesterov out.",
        ),
        (
            {"optimizer": "lion"},
            "`optimizer` is sgd, adam, adamw, rmsprop or adagrad, got 'lion'; choose one of these.",
        ),
        ({"micro_batch_size": 0}, "`micro_batch_size` is a whole number of at least 1, got 0; correct it."),
        ({"micro_batch_size": 2.5}, "`micro_batch_size` is a whole number of at least 1, got 2.5; correct it."),
        (
            {"current": "2048@0.1"},
            "A batch holds at most the 1024 training examples of simulated, got batch size 2048; use 1024 or less.",
        ),
        ({"current": "0@0.1"}, "Today's batch size is a whole number of at least 1, got 0; correct it."),
        ({"current": (64, -0.1)}, "Today's learning rate is a positive number, got -0.1; give one above 0."),
        ({"current": "64@inf"}, "Today's learning rate is a positive number, got inf; give one above 0."),
        *(
            (
                {"current": value},
                "Today's setting is a batch size and its learning rate, 64@1e-3 or in Python also (64, 1e-3), got "
                f"{value!r}; write it so.",
            )
            for value in ("64", "64@", "@0.1", "64:0.1", "6.4@0.1", "64@0.1@2", 64, (64,), (64, None), (6.4, 0.1))
        ),
        ({"target": "low"}, "A target is a finite number in the metric's own unit, got 'low'; give one."),
        ({"target": float("nan")}, "A target is a finite number in the metric's own unit, got nan; give one."),
        ({"target": 5}, "A target of error lies between 0 and 1, got 5; give 0.05 for 5%."),
        ({"target": -0.1}, "A target of error lies between 0 and 1, got -0.1; give 0.05 for 5%."),
        ({"schedule": "linear"}, "`schedule` is constant, cosine or step, got 'linear'; choose one of these."),
        ({"warmup": 1.5}, "Warm-up is a share of the budget in [0, 1), got 1.5; use 0.05, say."),
        ({"seeds": 0}, "`seeds` is a whole number of at least 1, got 0; correct it."),
        ({"margin": 0.0}, "The margin is a positive number in the metric's own unit, got 0.0; give one above 0."),
        (
            {"optimizer_settings": {"lr": 0.1}},
            "The learning rate is not an optimizer setting here; give it as `--lr` (in Python `lr=`).",
        ),
        (
            {"optimizer_settings": {"momentun": 0.8}},
            "The optimizer sgd has no setting 'momentun'; did you mean 'momentum'?",
        ),
    ],
)
def test_each_mistake_has_one_clear_message(options: dict[str, Any], expected: str) -> None:
    assert message(**options) == expected


def test_all_mistakes_are_told_together_in_the_order_of_the_options() -> None:
    with pytest.raises(UsageError) as raised:
        resolve_spec(
            StudyOptions(
                seeds=0,
                batch_sizes=(8, 2048),
                optimizer_settings={"momentun": 0.8, "nesterov": "perhaps"},
                target=5,
                epochs=2,
                steps=9,
            ),
            INFO,
            mistakes=["`study` has no option 'sedes'; did you mean 'seeds'?"],
        )
    assert raised.value.mistakes == (
        "`study` has no option 'sedes'; did you mean 'seeds'?",
        "A batch holds at most the 1024 training examples of simulated, got batch size 2048; use 1024 or less.",
        "A study has one budget, got epochs=2 and steps=9; keep one of them.",
        "`seeds` is a whole number of at least 1, got 0; correct it.",
        "The optimizer sgd has no setting 'momentun'; did you mean 'momentum'?",
        "The optimizer setting `nesterov` is true or false, got 'perhaps'; correct it.",
        "A target of error lies between 0 and 1, got 5; give 0.05 for 5%.",
    )


def test_without_the_workload_only_what_is_wrong_with_any_is_told() -> None:
    options = StudyOptions(batch_sizes=(0, 4096), target=5, seeds=0, optimizer="their_own", warmup=2)
    assert mistakes_without_workload(options) == (
        "Batch sizes are whole numbers of at least 1, got 0; remove it.",
        "`seeds` is a whole number of at least 1, got 0; correct it.",
        "Warm-up is a share of the budget in [0, 1), got 2; use 0.05, say.",
    )


@pytest.mark.parametrize("given", ["8:32", "8,16,32", [32, 16, 8], (8, 16, 32), numpy.array([8, 16, 32])])
def test_batch_sizes_can_be_written_in_several_ways(given: Any) -> None:
    assert resolve_spec(StudyOptions(batch_sizes=given), INFO).batch_sizes == (8, 16, 32)


def test_only_a_step_schedule_has_milestones() -> None:
    given = {"milestones": [0.8, 0.4], "factor": 0.2}
    assert resolve_spec(StudyOptions(**given), INFO).schedule == Schedule()
    assert resolve_spec(StudyOptions(schedule="step", **given), INFO).schedule == Schedule("step", 0.0, (0.4, 0.8), 0.2)


@pytest.mark.parametrize("given", ["64@1e-3", " 64 @ 0.001 ", (64, 1e-3), [numpy.int64(64), "1e-3"], Current(64, 1e-3)])
def test_todays_setting_can_be_written_in_several_ways(given: Any) -> None:
    assert resolve_spec(StudyOptions(current=given), INFO).current == Current(64, 0.001)


def test_the_target_is_part_of_the_question_and_of_trials_only_by_where_they_are_evaluated() -> None:
    plain, asked = (resolve_spec(StudyOptions(lr=0.1, target=target), INFO) for target in (None, 0.05))
    assert (plain.target, asked.target) == (None, 0.05)
    assert identity(plain) != identity(asked)
    trials = [
        [dataclasses.replace(one, evaluate_at=()) for one in plan(question, INFO, {}).trials]
        for question in (plain, asked)
    ]
    assert trials[0] == trials[1]


def test_a_study_with_a_target_is_a_race_to_it_where_that_is_asked_for() -> None:
    def search(**options: Any) -> str:
        return resolve_spec(StudyOptions(**options), INFO).search

    assert search(target=0.05) == "grid"
    assert search(target=0.05, search="model") == "model"
    for options in ({"lr": 0.1}, {"schedule": "cosine"}, {"controls": "lr"}):
        with pytest.raises(UsageError, match=r"The model search (needs|ends trials at the target)"):
            search(target=0.05, search="model", **options)


def test_the_search_is_part_of_the_question_and_grids_keep_their_identity() -> None:
    specs = [resolve_spec(StudyOptions(target=0.05, search=search), INFO) for search in ("grid", "model")]
    assert identity(specs[0]) != identity(specs[1])
    assert identity(specs[0]) == identity(dataclasses.replace(specs[1], search="grid"))


@pytest.mark.parametrize("given", ["5..20", (5, 20), [5, numpy.int64(20)]])
def test_a_range_of_seeds_can_be_written_in_several_ways(given: Any) -> None:
    spec = resolve_spec(StudyOptions(seeds=given), INFO)
    assert (spec.seeds, spec.max_seeds) == (5, 20)


def test_a_range_begins_with_as_many_seeds_as_a_comparison_needs() -> None:
    assert FEWEST_AT_A_LOOK == FEWEST_SEEDS


def test_a_target_of_a_loss_may_be_any_number() -> None:
    assert resolve_spec(StudyOptions(target=5), dataclasses.replace(INFO, metric="loss")).target == 5.0


def test_todays_batch_size_is_not_added_to_those_asked_for() -> None:
    spec = resolve_spec(StudyOptions(batch_sizes=(8, 16), current="64@0.1", micro_batch_size=4), INFO)
    assert (spec.batch_sizes, spec.micro_batch_size) == ((8, 16), 4)


def test_optimizer_settings_are_added_to_the_workloads() -> None:
    spec = resolve_spec(StudyOptions(optimizer_settings={"nesterov": True}), INFO)
    assert spec.optimizer_settings == (("momentum", 0.9), ("nesterov", True))


def test_the_records_say_which_workload_was_asked_for() -> None:
    assert resolve_spec(StudyOptions(), dataclasses.replace(INFO, reference="my.py:w")).workload == "my.py:w"


def test_a_spec_survives_the_store_with_its_id() -> None:
    options = StudyOptions(
        lr="linear",
        base_lr=1,
        margin=1,
        optimizer="adam",
        optimizer_settings={"betas": (0, 0.95)},
        current=(64, 1),
        target=0,
    )
    spec = resolve_spec(options, INFO)
    assert identity(from_json(StudySpec, json.loads(json.dumps(to_json(spec))))) == identity(spec)


def test_whole_numbers_of_any_type_are_one_question() -> None:
    plain = resolve_spec(StudyOptions(batch_sizes=(8, 16), epochs=2, optimizer_settings={"weight_decay": 0}), INFO)
    other = resolve_spec(
        StudyOptions(
            batch_sizes=tuple(2 ** numpy.arange(3, 5)),
            epochs=numpy.float64(2),
            optimizer_settings={"weight_decay": 0.0},
        ),
        INFO,
    )
    assert identity(plain) == identity(other)
