from pathlib import Path
from typing import Any

import pytest

from batchlab.errors import UsageError
from batchlab.studies.asking import ask

FILE = """
workload = "digits-mlp"
batch_sizes = "8:512"
epochs = 20
base_lr = 0.1
optimizer = "sgd"
seeds = 5
workers = 2

[optimizer_settings]
momentum = 0.9
weight_decay = 0.1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return path


def test_what_is_given_wins_over_the_file_and_none_is_not_given(file: Path) -> None:
    asked = ask(file, {"seeds": 10, "workers": None, "optimizer_settings": {"momentum": 0.5}})
    assert (asked.workload, asked.options.batch_sizes, asked.options.epochs) == ("digits-mlp", "8:512", 20)
    assert (asked.options.seeds, asked.run.workers) == (10, 2)
    assert asked.options.optimizer_settings == {"momentum": 0.5, "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"steps": 100}, {"epochs": None}),
        ({"lr": 0.5}, {"base_lr": None}),
        ({"lr": "sqrt"}, {"base_lr": 0.1}),
        ({"optimizer": "adam"}, {"base_lr": None, "optimizer_settings": {}}),
        ({"optimizer": "sgd"}, {"base_lr": 0.1, "optimizer_settings": {"momentum": 0.9, "weight_decay": 0.1}}),
    ],
)
def test_what_is_given_removes_what_it_leaves_no_room_for(file: Path, given: dict[str, Any], gone: Any) -> None:
    options = ask(file, given).options
    assert {name: getattr(options, name) for name in gone} == gone


def test_a_live_workload_may_take_the_place_of_the_files(file: Path) -> None:
    def workload() -> Any: ...

    asked = ask(workload, {}, spec=file)
    assert (asked.workload, asked.options.epochs) == (workload, 20)


def test_unknown_options_and_wrong_ways_to_run_are_told_together(file: Path) -> None:
    file.write_text(FILE.replace("seeds", "sedes").replace("workers = 2", "workers = 0\nname = 5"))
    assert ask(file, {"timeout": -1, "max_minutes": "long"}).mistakes == (
        "`study` has no option 'sedes'; did you mean 'seeds'?",
        "`name` is a text, got 5; write it in quotes.",
        "`workers` is a whole number of at least 1, got 0; correct it.",
        "A timeout is a positive number of seconds, got -1; give one above 0.",
        "`max_minutes` is a positive number of minutes, got 'long'; give one above 0.",
    )


def test_no_study_is_called_latest() -> None:
    assert ask("digits-mlp", {"name": "latest"}).mistakes == (
        "A study can have any name but `latest`, which means the study saved last; choose another.",
    )


@pytest.mark.parametrize("line", ["", "workload = 5", 'workload = "other.toml"'])
def test_a_file_names_its_workload(tmp_path: Path, line: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(line)
    got = {"": None, "workload = 5": 5}.get(line, "other.toml")
    with pytest.raises(UsageError) as raised:
        ask(path, {})
    assert str(raised.value) == (
        f"A spec names its workload, a built-in name or file.py:attribute, got {got!r} in {path}; write workload = "
        '"digits-mlp", say.'
    )
