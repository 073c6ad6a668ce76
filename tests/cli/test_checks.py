import importlib.metadata
import json
import tomllib
from pathlib import Path

import pytest

from batchlab.cli.checks import NEEDED, OPTIONAL, Check, run_checks
from batchlab.cli.main import main
from batchlab.workloads import builtin_names


@pytest.fixture(scope="module")
def found():
    return {check.subject: check for check in run_checks("memory:", None)}


@pytest.fixture
def without_workloads(monkeypatch):
    """Leave out the checks that take long."""
    monkeypatch.setattr("batchlab.cli.checks.builtin_names", tuple)


def test_everything_is_looked_at(found):
    looked_at = {"batchlab", "python", "machine", "cpu", "store", *NEEDED, *OPTIONAL, *builtin_names()}
    assert looked_at <= set(found)


@pytest.mark.parametrize("name", ["digits-mlp", "quadratic"])
def test_workloads_that_need_no_files_are_always_there(found, name):
    assert found[name].status == "fine"


def test_the_packages_looked_at_are_the_dependencies():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(NEEDED) == {line.split(">")[0] for line in project["dependencies"]}


def test_a_store_yet_to_be_made_is_fine_and_is_not_made(tmp_path, without_workloads):
    path = tmp_path / "batchlab.db"
    assert Check("store", "fine", f"{path}, made by the first study") in run_checks(str(path), None)
    assert not path.exists()


def test_what_every_study_needs_decides_the_exit_code(tmp_path, capsys, without_workloads):
    path = tmp_path / "batchlab.db"
    path.write_text("Dear diary")
    assert main(["doctor", "--json", "--store", str(path)]) == 1
    found = {one["subject"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert found["store"] == {
        "subject": "store",
        "status": "fails",
        "detail": f"The file {path} must be a store of batchlab, and it is not an SQLite database; name another store "
        "with `--store`.",
    }


def test_a_package_that_is_missing_says_how_to_get_it(monkeypatch, without_workloads):
    real = importlib.metadata.version

    def version(name):
        if name in ("scipy", "pandas"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    found = run_checks("memory:", None)
    assert Check("scipy", "fails", "not installed; run `pip install scipy`") in found
    assert Check("pandas", "missing", "not installed; run `pip install pandas`") in found


def test_the_table_has_a_line_a_check(capsys, without_workloads):
    assert main(["doctor", "--store", "memory:"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["fine", "torch"] for line in lines)
