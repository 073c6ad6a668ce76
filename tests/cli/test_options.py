import argparse

import pytest

from batchlab.cli import options
from batchlab.errors import UsageError


def refusal(call, *arguments):
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("tune", "tune"), ("linear", "linear"), ("sqrt", "sqrt"), ("1e-3", 1e-3)])
def test_a_learning_rate_is_a_mode_or_a_value(text, value):
    assert options.parse_lr(text) == value


@pytest.mark.parametrize("text", ["banana", "0", "-1", "nan", "inf", ""])
def test_other_learning_rates_are_refused(text):
    assert refusal(options.parse_lr, text) == (
        f"`--lr` takes tune, linear, sqrt or a positive number, got {text!r}; leave it out to have it tuned."
    )


def test_todays_setting_is_a_batch_size_at_a_learning_rate():
    assert options.parse_current("64@1e-3") == (64, 1e-3)


@pytest.mark.parametrize("text", ["64", "64@", "64x0.1", ""])
def test_todays_setting_in_another_form_is_refused(text):
    assert refusal(options.parse_current, text) == (
        "Today's setting is a batch size and its learning rate, 64@1e-3 or in Python also (64, 1e-3), got "
        f"{text!r}; write it so."
    )


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("momentum=0.9", ("momentum", 0.9)),
        ("foreach=False", ("foreach", False)),
        ("betas=0.9,0.999", ("betas", (0.9, 0.999))),
        ("steps=3", ("steps", 3)),
        ("mode=a=b", ("mode", "a=b")),
        ("names=a,b", ("names", "a,b")),
        ("batch_sizes=8,64", ("batch_sizes", (8, 64))),
        ("optimizer_settings.momentum=0.9", ("optimizer_settings.momentum", 0.9)),
    ],
)
def test_a_setting_takes_the_type_it_looks_like(text, setting):
    key, value = options.parse_setting(text)
    assert (key, value, type(value)) == (*setting, type(setting[1]))


@pytest.mark.parametrize("text", ["momentum", "momentum=", "=0.9", "not a name=1", "schedule.kind=step"])
def test_other_settings_are_refused(text):
    assert refusal(options.parse_setting, text) == (
        f"`--set` takes key=value, got {text!r}; write momentum=0.9, for example."
    )


def test_numbers_name_their_option_when_they_are_none():
    assert (
        refusal(options.whole("--seeds"), "5.5")
        == "`--seeds` takes a whole number, got '5.5'; write --seeds 5, for example."
    )
    assert (
        refusal(options.number("--margin"), "x")
        == "`--margin` takes a number, got 'x'; write --margin 0.5, for example."
    )


def test_two_budgets_are_refused():
    arguments = argparse.Namespace(epochs=3.0, examples=None, steps=10.0)
    assert refusal(options.check_one_budget, arguments) == (
        "A study has one of --epochs, --examples and --steps, got --epochs and --steps; keep one."
    )


def test_a_choice_that_is_none_is_answered_with_the_nearest():
    assert refusal(options.check_choice, "--format", "jsno", ("csv", "json")) == (
        "`--format` takes csv or json, got 'jsno'; write --format json."
    )


def test_a_file_in_a_missing_folder_is_refused_before_the_work(tmp_path):
    path = tmp_path / "no" / "report.html"
    assert refusal(options.output_file("--report"), str(path)) == (
        f"`--report` takes a file in a folder that exists, and {path.parent} is not one; make it first."
    )


def test_a_folder_is_no_file_to_write(tmp_path):
    assert refusal(options.output_file("-o"), str(tmp_path)) == (
        f"`-o` takes a file, and {tmp_path} is a folder; name a file in it."
    )


@pytest.mark.parametrize(("text", "seeds"), [("7", 7), ("5..20", (5, 20))])
def test_seeds_are_a_number_or_a_range(text, seeds):
    assert options.parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("many", "`--seeds` takes a whole number, got 'many'; write --seeds 5, for example."),
        (
            "20..5",
            "A range of seeds goes from 3 or more up to a larger number, as in 5..20, got '20..5'; write it so, or "
            "give one number.",
        ),
    ],
)
def test_wrong_seeds_are_refused(text, message):
    assert refusal(options.parse_seeds, text) == message
