from pathlib import Path

import pytest

from batchlab.cli.main import main
from batchlab.studies.asking import ask
from batchlab.studies.spec import mistakes_without_workload
from batchlab.workloads.loading import load_workload

SCRIPT = """
import torch
from torch import nn

x, y = torch.zeros(40, 3), torch.zeros(40, 1)
net = nn.Linear(3, 1)
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for epoch in range(7):
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_template_is_written_and_the_next_command_told(folder, capsys):
    assert main(["init"]) == 0
    assert capsys.readouterr() == (
        f"Written  {folder / 'workload.py'}\nNext     batchlab study workload.py:workload --epochs 2\n",
        "",
    )


@pytest.mark.usefixtures("untimed")
def test_the_template_runs_as_it_is(folder, capsys):
    assert main(["init"]) == 0
    line = "study workload.py:workload --epochs 1 --batch-sizes 64 --seeds 1 --lr 0.1 --workers 1 --quiet"
    assert main(line.split()) == 0
    assert "digits" in capsys.readouterr().out


def test_every_part_that_the_template_leaves_out_is_an_argument_of_a_workload(folder):
    assert main(["init"]) == 0
    lines = Path("workload.py").read_text().splitlines()
    offered = {line.split("# ")[1].split("=")[0] for line in lines if line.startswith("    # ")}
    assert offered == {
        *("step", "collate", "num_workers", "cache", "autocast", "clip_norm", "evaluation_batch_size"),
    }
    workload = load_workload("workload.py:workload")
    assert all(hasattr(workload, name) for name in offered)


def test_what_was_read_of_a_script_is_told(folder, capsys):
    Path("train.py").write_text(SCRIPT)
    assert main(["init", "--from", "train.py", "-o", "my work.py"]) == 0
    assert capsys.readouterr().out == (
        f"Written  {folder / 'my work.py'}\n"
        "Found    model              nn.Linear(3, 1)  (line 6)\n"
        "         train              (x, y)  (line 8)\n"
        "         loss               nn.functional.mse_loss  (line 10)\n"
        '         metric             Metric("mse", nn.functional.mse_loss)\n'
        '         optimizer          "adam"  (line 7)\n'
        '         optimizer_settings {"lr": 0.02}  (line 7)\n'
        "         default_epochs     7  (line 8)\n"
        "Look at  no validation data were found: a tenth of the training data is held out\n"
        "Next     batchlab study 'my work.py:workload' --epochs 2\n"
    )


def test_an_existing_file_is_never_overwritten(capsys):
    Path("workload.py").write_text("mine")
    assert main(["init"]) == 2
    assert capsys.readouterr().err == (
        "batchlab: `-o` takes a new file, and workload.py exists already; name another one, or remove it first.\n"
    )
    assert Path("workload.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["workload", "workload.ipynb", ".py"])
def test_a_file_that_is_not_python_is_wrong_usage(name, capsys):
    assert main(["init", "-o", name]) == 2
    assert capsys.readouterr().err == (
        f"batchlab: `-o` takes a Python file, or a .toml, got {name}; write -o workload.py, for example.\n"
    )
    assert not Path(name).exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "absent.py",
            None,
            "`--from` takes a file that can be read, got absent.py (No such file or directory); correct the path.",
        ),
        (
            "notes.txt",
            "x = 1",
            "`--from` takes a script (.py) or a notebook (.ipynb), got notes.txt; name one of these.",
        ),
        (
            "book.ipynb",
            "x = 1",
            "`--from` takes a notebook in Jupyter's format 4, but book.ipynb is not one; save it again from Jupyter, "
            "or export it as a script.",
        ),
        (
            "book.ipynb",
            '{"cells": 3}',
            "`--from` takes a notebook in Jupyter's format 4, but book.ipynb is not one; save it again from Jupyter, "
            "or export it as a script.",
        ),
    ],
)
def test_a_script_that_cannot_be_read_is_wrong_usage(name, text, message, capsys):
    if text is not None:
        Path(name).write_text(text)
    assert main(["init", "--from", name]) == 2
    assert capsys.readouterr() == ("", f"batchlab: {message}\n")
    assert not Path("workload.py").exists()


def test_a_script_that_is_not_python_is_answered_with_the_line(capsys, monkeypatch):
    monkeypatch.setattr("batchlab.cli.script.source.sys.version_info", type("V", (), {"major": 3, "minor": 11}))
    Path("old.py").write_text("x = 1\nprint 'no'\n")
    assert main(["init", "--from", "old.py"]) == 2
    assert capsys.readouterr().err == (
        "batchlab: `--from` takes a script in Python 3.11, but in old.py line 2 is not (Missing parentheses in call to "
        "'print'. Did you mean print(...)?); mend it, or leave --from out.\n"
    )


def test_a_script_in_another_encoding_is_wrong_usage(capsys):
    Path("latin.py").write_bytes("name = 'é'".encode("latin-1"))
    assert main(["init", "--from", "latin.py"]) == 2
    assert capsys.readouterr().err == (
        "batchlab: `--from` takes a file in UTF-8, but latin.py is not (byte 8); save it as UTF-8.\n"
    )


def test_a_spec_is_written_and_every_key_in_it_is_an_option(folder, capsys):
    assert main(["init", "-o", "study.toml"]) == 0
    assert capsys.readouterr().out == (
        f"Written  {folder / 'study.toml'}\nNext     batchlab study study.toml --dry-run\n"
    )
    asked = ask("study.toml", {})
    assert (asked.workload, asked.options.epochs, asked.mistakes) == ("digits-mlp", 20, ())
    # With the examples in comments too, but for the comments above them.
    text = (folder / "study.toml").read_text().split("\n\n", 1)[1]
    (folder / "all.toml").write_text('workload = "digits-mlp"\n' + text.replace("\n# ", "\n"))
    everything = ask("all.toml", {})
    assert everything.mistakes == () == mistakes_without_workload(everything.options)
    assert everything.options.optimizer_settings == {"momentum": 0.9}


def test_a_script_is_made_into_no_spec(folder, capsys):
    (folder / "train.py").write_text(SCRIPT)
    assert main(["init", "--from", "train.py", "-o", "study.toml"]) == 2
    assert capsys.readouterr().err == (
        "batchlab: --from makes a workload, a Python file, got -o study.toml; write -o workload.py, for example.\n"
    )
