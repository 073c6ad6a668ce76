import json

import pytest

from batchlab.cli.main import main

QUICK = ["measure", "digits-mlp", "--steps", "6", "--batch-size", "16", "--checkpoints", "1", "--draws", "5", "--quiet"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    page = tmp_path_factory.mktemp("figures") / "noise.html"
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*QUICK, "--plot", str(page)])
    return code, out.getvalue(), page


def test_it_prints_the_answer_first(printed):
    code, text, _ = printed
    assert code == 0 and text.startswith("The gradient noise scale at the end of this run (6 steps) is ")


def test_it_writes_the_figures_and_says_where(printed):
    _, text, page = printed
    assert page.exists() and text.splitlines()[-1] == f"Figures {page}"


def test_json_is_one_object_on_stdout_and_progress_goes_to_stderr(capsys):
    assert main([*QUICK[:-1], "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["format"] == "batchlab.measure/1" and found["checkpoints"][0]["noise_scale"]["method"] == "fieller"
    assert err.startswith("training to step 6\nstep 6 (1 of 1): noise scale\n")


def test_two_budgets_are_wrong_usage(capsys):
    assert main([*QUICK, "--epochs", "1"]) == 2
    assert capsys.readouterr().err.startswith("batchlab: A study has one of --epochs, --examples and --steps, got ")
