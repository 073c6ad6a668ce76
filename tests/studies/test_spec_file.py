import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.errors import UsageError
from batchlab.records import Budget, Current, Schedule, StudyRecord, StudySpec, WorkloadInfo, identity
from batchlab.studies.asking import ask
from batchlab.studies.spec import resolve_spec
from batchlab.studies.spec_file import read_spec_file, spec_text
from simulated import INFO, spec

# A value that is no default for every field of a spec; `workload` is what the workload says of itself.
UNUSUAL: dict[str, Any] = {
    "batch_sizes": (4, 24),
    "budget": Budget("steps", 37.0),
    "lr_mode": "linear",
    "base_lr": 0.1 + 0.2,
    "base_batch_size": 7,
    "optimizer": "adam",
    "optimizer_settings": (("amsgrad", True), ("betas", (0.8, 0.99)), ("eps", 1e-9)),
    "schedule": Schedule("step", 0.1, (0.25, 0.5), 0.3),
    "last_batch": "drop",
    "seeds": 4,
    "max_seeds": 9,
    "tuning_seeds": 3,
    "seed": 11,
    "margin": 0.0125,
    "level": 0.9,
    "device": "cuda",
    "data_dir": "/data/my digits",
    "same_batch_size": 12,
    "controls": ("lr", "noise"),
    "permute_labels": True,
    "noise_batch_size": 3,
    "micro_batch_size": 6,
    "current": Current(48, 1.1e-7),
    "target": 0.0625,
}


def written(asked: StudySpec, info: WorkloadInfo, folder: Path, name: str = "mine") -> Path:
    """Return the spec file of a study."""
    record = StudyRecord(identity(asked), name, asked, info, (), (), "2026-01-01", 0.0)
    path = folder / "again.toml"
    path.write_text(spec_text(record), encoding="utf-8")
    return path


def asked_again(path: Path, info: WorkloadInfo) -> StudySpec:
    """Return what the file asks."""
    asked = ask(path, {})
    assert asked.mistakes == ()
    return resolve_spec(asked.options, dataclasses.replace(info, reference=asked.workload))


def test_every_field_of_a_question_comes_back_from_its_file(tmp_path: Path) -> None:
    # A race stands alone, and so do settings tuned at once: they are not for most of these.
    apart = {"workload", "format", "search", "confirm", "tune", "tuning_trials", "sampler"}
    assert set(UNUSUAL) == {field.name for field in dataclasses.fields(StudySpec)} - apart
    for left_out in ("same_batch_size", "controls"):  # which exclude each other
        asked = spec(**{name: value for name, value in UNUSUAL.items() if name != left_out})
        for name in set(UNUSUAL) - {left_out}:
            assert getattr(asked, name) != getattr(spec(), name)
        assert asked_again(written(asked, INFO, tmp_path), INFO) == asked


def test_what_is_tuned_at_once_comes_back_from_its_file(tmp_path: Path) -> None:
    asked = spec(tune=("momentum", "warmup"), tuning_trials=7, target=0.0625, controls=("aa",))
    assert asked_again(written(asked, INFO, tmp_path), INFO) == asked
    steps = Schedule("constant", milestones=(0.25,), factor=0.3)
    asked = spec(tune=("schedule",), tuning_trials=20, schedule=steps)
    assert asked_again(written(asked, INFO, tmp_path), INFO) == asked


def test_a_race_comes_back_from_its_file(tmp_path: Path) -> None:
    for confirm in ("contenders", "all"):
        asked = spec(target=0.0625, search="model", confirm=confirm)
        assert asked_again(written(asked, INFO, tmp_path), INFO) == asked


@settings(max_examples=30, deadline=None)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={name: st.just(value) for name, value in UNUSUAL.items() if not name.startswith("optimizer")}
        | {
            "base_lr": st.floats(1e-12, 1e3),
            "target": st.floats(0, 1),
            "lr_mode": st.sampled_from(["fixed", "sqrt", "tune"]),
            "data_dir": st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"/data/{text}x"),
        },
    )
)
def test_a_study_repeated_from_its_file_has_the_same_id(changes: dict[str, Any], tmp_path_factory) -> None:
    changes = {name: value for name, value in changes.items() if name != "controls" or "same_batch_size" not in changes}
    asked = spec(**({"seeds": 3} | changes))
    asked = dataclasses.replace(asked, data_dir=None if asked.data_dir is None else os.path.abspath(asked.data_dir))
    path = written(asked, INFO, tmp_path_factory.mktemp("spec"))
    assert identity(asked_again(path, INFO)) == identity(asked)


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('workload = "own/model.py:task"\ndata_dir = "../data"\nstore = "kept.db"\nname = "kept.db"\n')
    asked = ask(path, {})
    assert asked.workload == f"{tmp_path}/own/model.py:task"
    assert asked.options.data_dir == str(tmp_path.parent / "data")
    assert (asked.run.store, asked.run.name) == (f"{tmp_path}/kept.db", "kept.db")


@pytest.mark.parametrize("value", ["digits-mlp", "package.module:task", "/abs/model.py:task"])
def test_workloads_that_are_no_relative_path_stay_as_they_are(value: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'workload = "{value}"\n')
    assert read_spec_file(path)["workload"] == value


@pytest.mark.parametrize("value", ["memory:", "postgresql+psycopg://somewhere/db", "/abs/kept.db"])
def test_stores_that_are_no_relative_path_stay_as_they_are(value: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'store = "{value}"\n')
    assert read_spec_file(path)["store"] == value


def test_a_relative_store_may_be_written_as_an_address(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('store = "sqlite:///kept.db"\n')
    assert read_spec_file(path)["store"] == f"{tmp_path}/kept.db"


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        read_spec_file(tmp_path / "mine.toml")
    assert str(raised.value) == (
        f"A spec was expected at {tmp_path}/mine.toml, and reading it failed (No such file or directory); correct the "
        "path."
    )


def test_a_file_that_is_no_toml_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("seeds = 5\nbatch_sizes = 8:512\n")
    with pytest.raises(UsageError) as raised:
        read_spec_file(path)
    assert str(raised.value).startswith('A spec is a TOML file, with lines like batch_sizes = "8:512", and ')
    assert "line 2" in str(raised.value)


def test_a_workload_given_as_an_object_is_left_for_the_reader_to_name(tmp_path: Path) -> None:
    path = written(dataclasses.replace(spec(), workload="object:mine"), INFO, tmp_path)
    assert "workload" not in read_spec_file(path)
    assert "# Its workload was a Python object; name one in a file, as in file.py:attribute." in path.read_text()
