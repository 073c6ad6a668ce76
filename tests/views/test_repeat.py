import shlex
from dataclasses import replace

import pytest

import findings_cases
from batchlab.cli import study as study_command
from batchlab.cli.parser import Parser
from batchlab.records import Budget, Current, Schedule
from batchlab.views.repeat import is_repeatable, repeat_command


def record(**changes):
    found = findings_cases.record_of(findings_cases.tied())
    return replace(found, spec=replace(found.spec, **changes))


def parsed(command):
    parser = Parser(prog="batchlab study")
    study_command.add_options(parser)
    program, name, *words = shlex.split(command)
    assert (program, name) == ("batchlab", "study")
    return parser.parse_args(words)


def test_the_command_names_every_choice_of_the_study():
    assert repeat_command(record(margin=0.01, data_dir="/data/my digits")) == (
        "batchlab study digits-mlp --batch-sizes 8,16,32,64,128,256 --epochs 20 --seeds 5 --tuning-seeds 2 --seed 0 "
        "--lr tune --base-lr 0.1 --base-batch-size 32 --optimizer sgd --set momentum=0.9 --schedule cosine "
        "--warmup 0.05 --last-batch carry --device cpu --margin 0.01 --data '/data/my digits'"
    )


@pytest.mark.parametrize("kind", ["epochs", "examples", "steps"])
def test_the_command_line_reads_back_what_the_study_asked(kind):
    changes = {"workload": "my file.py:task", "budget": Budget(kind, 1234567.0), "seeds": 7, "margin": 0.0125}
    spec = record(**changes, optimizer_settings=(("lr", 0.1), ("betas", (0.9, 0.95)), ("nesterov", True))).spec
    read = parsed(repeat_command(record(**{name: getattr(spec, name) for name in spec.__dataclass_fields__})))
    assert (read.workload, read.batch_sizes, getattr(read, kind)) == (spec.workload, spec.batch_sizes, 1234567)
    assert (read.seeds, read.tuning_seeds, read.seed, read.margin) == (7, 2, 0, 0.0125)
    assert (read.lr, read.base_lr, read.base_batch_size) == ("tune", 0.1, 32)
    assert dict(read.set) == {"betas": (0.9, 0.95), "nesterov": True}
    assert (read.schedule, read.warmup, read.last_batch, read.device) == ("cosine", 0.05, "carry", "cpu")


def test_a_fixed_learning_rate_is_given_to_the_last_digit():
    assert parsed(repeat_command(record(lr_mode="fixed", base_lr=0.1 + 0.2))).lr == 0.1 + 0.2


def test_todays_setting_and_micro_batches_are_asked_for_again():
    read = parsed(repeat_command(record(current=Current(64, 1e-3), micro_batch_size=128, target=0.05)))
    assert (read.current, read.micro_batch_size, read.target) == ((64, 1e-3), 128, 0.05)


def test_a_range_of_seeds_is_asked_for_again():
    assert parsed(repeat_command(record(seeds=5, max_seeds=20))).seeds == (5, 20)


def test_settings_without_an_option_of_their_own_are_set_by_their_keys():
    assert "--set" not in repeat_command(record(optimizer_settings=()))
    rare = {"level": 0.9, "same_batch_size": 32, "permute_labels": True, "noise_batch_size": 8}
    read = parsed(repeat_command(record(**rare, schedule=Schedule("step", milestones=(0.5,), factor=0.2))))
    assert dict(read.set) == {"momentum": 0.9, **rare, "milestones": 0.5, "factor": 0.2}


def test_controls_are_asked_for_again():
    assert parsed(repeat_command(record(controls=("lr", "aa")))).controls == ["lr", "aa"]


def test_a_workload_given_as_an_object_cannot_be_named_again():
    assert is_repeatable(record())
    assert not is_repeatable(record(workload="object:mine"))


def test_what_is_tuned_at_once_is_asked_for_again():
    read = parsed(repeat_command(record(tune=("momentum", "warmup"), tuning_trials=30, sampler="tpe")))
    assert (read.tune, read.tuning_trials, read.sampler) == ("momentum,warmup", 30, "tpe")
