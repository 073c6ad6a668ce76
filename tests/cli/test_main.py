import os
import subprocess
import sys

import pytest

import batchlab
from batchlab.cli.main import COMMANDS, main
from batchlab.errors import StoreError, StudyInterrupted

HEAVY = ("torch", "plotly", "sqlalchemy", "numpy", "rich", "jinja2")


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "batchlab", *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def failing(monkeypatch):
    """Replace what `batchlab list` does by something that raises."""

    def fail_with(error):
        def run(arguments):
            raise error

        monkeypatch.setattr("batchlab.cli.list_studies.run", run)
        return main(["list"])

    return fail_with


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command_with_a_line_and_an_example(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    printed = capsys.readouterr().out
    assert caught.value.code == 0
    for name, one in COMMANDS.items():
        assert f"  {name:<8} {one.help}\n             {one.example}\n" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_ends_it_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.endswith(f"example:\n  {COMMANDS[name].example}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_the_help_are_read_by_their_own_parser(name, monkeypatch):
    seen = []
    monkeypatch.setattr(f"{COMMANDS[name].module}.run", lambda arguments: seen.append(arguments) or 0)
    assert main(COMMANDS[name].example.split()[1:]) == 0
    assert len(seen) == 1


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"batchlab {batchlab.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["study", "--help"], ["list", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    script = (
        f"import sys\nfrom batchlab.cli.main import main\ntry: main({arguments!r})\nexcept SystemExit: pass\n"
        f"assert not set({HEAVY!r}) & set(sys.modules), set({HEAVY!r}) & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["stduy"],
            "`batchlab` takes a command (init, probe, study, measure, resume, list, show, report, export, doctor), "
            "got 'stduy'; did you mean `batchlab study`?",
        ),
        (
            ["frobnicate"],
            "`batchlab` takes a command (init, probe, study, measure, resume, list, show, report, export, doctor), "
            "got 'frobnicate'; see `batchlab --help`.",
        ),
        (["--nope"], "unrecognized arguments: --nope; see `batchlab --help`."),
        (["study"], "the following arguments are required: WORKLOAD; see `batchlab study --help`."),
        (
            ["study", "digits-mlp", "--lr", "banana"],
            "`--lr` takes tune, linear, sqrt or a positive number, got 'banana'; leave it out to have it tuned.",
        ),
        (
            ["study", "digits-mlp", "--epochs", "2", "--steps", "9"],
            "A study has one of --epochs, --examples and --steps, got --epochs and --steps; keep one.",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", f"batchlab: {message}\n")


def test_an_expected_error_is_one_line_and_exit_code_1(failing, capsys):
    assert failing(StoreError("The store is gone; fetch it.")) == 1
    assert capsys.readouterr() == ("", "batchlab: The store is gone; fetch it.\n")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), StudyInterrupted("Interrupted; whatever was finished is kept.")]
)
def test_an_interruption_is_one_line_and_exit_code_130(failing, capsys, error):
    assert failing(error) == 130
    assert capsys.readouterr() == ("", "batchlab: Interrupted; whatever was finished is kept.\n")


@pytest.mark.parametrize("error", [ZeroDivisionError(), BrokenPipeError()])
def test_an_unexpected_error_keeps_its_traceback(failing, error):
    with pytest.raises(type(error)):
        failing(error)


def test_a_missing_store_is_one_line_and_exit_code_1(tmp_path):
    done = command("list", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"batchlab: A store was expected at {tmp_path}/batchlab.db, and there is none; start a study with `batchlab "
        "study`, or name another store with `--store`.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_reader_that_has_read_enough_is_no_error():
    script = (
        "import batchlab.cli.list_studies as it\nfrom batchlab.cli.main import main\n"
        "it.run = lambda arguments: print('x' * 1_000_000) or 0\nmain(['list'])"
    )
    done = subprocess.run(
        f"'{sys.executable}' -c \"$SCRIPT\" | head -c 1",
        shell=True,
        env={**os.environ, "SCRIPT": script},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("x", "")


def test_characters_that_stdout_does_not_know_are_replaced():
    script = (
        "import batchlab.cli.list_studies as it\nfrom batchlab.cli.main import main\n"
        "it.run = lambda arguments: print('1 \\u00b1 2') or 0\nmain(['list'])"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "1 ? 2\n"), done.stderr


def test_the_exit_code_is_that_of_the_command(monkeypatch):
    monkeypatch.setattr("batchlab.cli.list_studies.run", lambda arguments: 7)
    assert main(["list"]) == 7


def test_a_study_begins_without_what_only_some_need():
    script = "import sys, batchlab.studies.run; assert not {'scipy.stats', 'torch', 'optuna'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
