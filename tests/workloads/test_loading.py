import sys
from pathlib import Path

import pytest

from batchlab.errors import UnknownWorkload, UsageError, WorkloadError
from batchlab.workloads.loading import load_workload

OWN = "your own is 'path/to/file.py:attribute' or 'package.module:attribute'"
SOURCE = """
import torch
from batchlab.workload import Workload

data = torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)
mine = Workload("mine", torch.nn.Linear(2, 2), data, data)
number = 3

def make(data_dir=None):
    return Workload(f"made from {data_dir}", torch.nn.Linear(2, 2), data, data)

def broken():
    return 1 / 0

def needs_more(width):
    return mine
"""


@pytest.fixture(autouse=True)
def restored_imports():
    """Loading adds to the import path and to the modules: put both back."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("batchlab_file_", "own_")):
            del sys.modules[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(SOURCE)
    return path


def message_of(ref: str, kind: type[Exception], **arguments) -> str:
    with pytest.raises(kind) as caught:
        load_workload(ref, **arguments)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn", "no-signal", "quadratic"])
def test_a_built_in_workload_has_the_name_it_is_loaded_by(name):
    assert load_workload(name).name == name


def test_a_near_miss_is_answered_with_the_nearest_names():
    assert message_of("digit-mlp", UnknownWorkload) == (
        "No workload is called 'digit-mlp'; did you mean 'digits-mlp' or 'mnist-mlp'? "
        f"`batchlab doctor` lists those built in; {OWN}."
    )


def test_a_strange_name_is_answered_with_all_names():
    assert message_of("banana", UnknownWorkload) == (
        "No workload is called 'banana'; built in are digits-mlp, digits-cnn, mnist-mlp, mnist-cnn, fashion-mlp, "
        f"fashion-cnn, cifar10-cnn, char-lm, no-signal, quadratic; {OWN}."
    )


def test_a_workload_is_found_in_a_file(file):
    assert load_workload(f"{file}:mine").name == "mine"


def test_a_callable_in_a_file_is_called(file):
    assert load_workload(f"{file}:make").name == "made from None"


def test_the_data_folder_reaches_a_callable_that_takes_one(file):
    assert load_workload(f"{file}:make", data_dir="here").name == "made from here"


@pytest.mark.parametrize("attribute", ["mine", "broken"])
def test_a_data_folder_nobody_reads_is_refused(file, attribute):
    assert message_of(f"{file}:{attribute}", UsageError, data_dir="here") == (
        f"A data folder is for workloads that read files, but '{file}:{attribute}' takes none; "
        "leave `data_dir` (--data) out."
    )


def test_the_digits_take_no_data_folder():
    message_of("digits-mlp", UsageError, data_dir="here")


def test_a_file_may_import_its_neighbors(file):
    (file.parent / "own_neighbor.py").write_text("from net import mine")
    (file.parent / "own_main.py").write_text("from own_neighbor import mine as theirs")
    assert load_workload(f"{file.parent / 'own_main.py'}:theirs").name == "mine"
    del sys.modules["net"]


def test_an_edited_file_is_read_anew(file):
    load_workload(f"{file}:mine")
    file.write_text(SOURCE.replace('"mine"', '"edited"'))
    assert load_workload(f"{file}:mine").name == "edited"


def test_a_workload_is_found_in_a_module_of_the_current_folder(file, monkeypatch):
    (file.parent / "own_module.py").write_text(SOURCE)
    monkeypatch.chdir(file.parent)
    assert load_workload("own_module:mine").name == "mine"


def test_a_missing_module_is_named():
    assert message_of("own_missing.net:mine", UnknownWorkload) == (
        "'own_missing.net:mine' should name a Python module, but none called 'own_missing.net' can be imported; "
        "install it, change to its folder, or name a file as 'path/to/file.py:attribute'."
    )


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message_of("gone.py:mine", UnknownWorkload) == (
        f"'gone.py:mine' should name a Python file, but there is no file {tmp_path / 'gone.py'}; "
        "correct the path or change to the right folder."
    )


def test_a_file_without_attribute_is_shown_how(file):
    assert message_of(str(file), UnknownWorkload) == (
        f"'{file}' should say which attribute of the file is the workload, but names only the file; "
        f"write '{file}:attribute'."
    )


def test_a_missing_attribute_is_answered_with_the_workloads_there(file):
    assert message_of(f"{file}:yours", UnknownWorkload) == (
        f"{file} should have the attribute 'yours', but has none of that name; did you mean 'mine'?"
    )


def test_an_attribute_that_is_no_workload_is_named(file):
    assert message_of(f"{file}:number", WorkloadError) == (
        f"'{file}:number' must be a batchlab.Workload or a function that returns one, but is of type int; "
        "name the attribute that holds the workload."
    )


def test_an_error_in_the_callable_is_shown_with_its_line(file):
    assert message_of(f"{file}:broken", WorkloadError) == (
        f"'{file}:broken' should be a workload, but raised ZeroDivisionError when called without arguments: "
        f"division by zero ({file}, line 13); mend it and try again."
    )


def test_a_callable_that_needs_arguments_is_named(file):
    assert message_of(f"{file}:needs_more", WorkloadError) == (
        f"'{file}:needs_more' should be a workload, but raised TypeError when called without arguments: "
        "needs_more() missing 1 required positional argument: 'width'; mend it and try again."
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1\ny = torhc", "NameError when loaded: name 'torhc' is not defined ({file}, line 2)"),
        ("import own_absent", "ModuleNotFoundError when loaded: No module named 'own_absent' ({file}, line 1)"),
        ("def f(:", "SyntaxError when loaded: invalid syntax (net.py, line 1)"),
    ],
)
def test_a_file_that_cannot_run_is_shown_with_its_line(file, source, told):
    file.write_text(source)
    assert message_of(f"{file}:mine", WorkloadError) == (
        f"'{file}:mine' should be a workload, but raised {told.format(file=file)}; mend it and try again."
    )
