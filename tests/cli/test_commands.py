"""The commands that show and run studies, each against a study that is made up."""

import csv
import dataclasses
import getpass
import io
import json
import os
import socket
from pathlib import Path

import pytest

import batchlab
import findings_cases
import preview_cases
from batchlab.cli import study as study_command
from batchlab.cli.main import main
from batchlab.cli.parser import Parser
from batchlab.errors import StudyNotFound
from batchlab.records import to_json
from batchlab.studies.asking import option_names
from batchlab.studies.spec_file import spec_text
from batchlab.studies.store_opening import open_store

FINDINGS = findings_cases.tied()
RECORD = findings_cases.record_of(FINDINGS)


@dataclasses.dataclass
class MadeUpStudy:
    findings = FINDINGS
    record = RECORD
    answer = FINDINGS.answer
    trials = RECORD.trials
    store = "batchlab.db"

    def report(self, path):
        Path(path).write_text("<html>")
        return Path(path)


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Replace the three public functions by ones that write down how they were called."""
    monkeypatch.chdir(tmp_path)
    seen = []

    def written_down(function):
        def call(*arguments, progress=None, **keywords):
            seen.append((function, arguments, keywords))
            return MadeUpStudy()

        return call

    for function in ("study", "resume", "load_study"):
        monkeypatch.setitem(vars(batchlab), function, written_down(function))
    return seen


def test_what_is_not_given_is_left_to_the_function(calls):
    assert main(["study", "digits-mlp"]) == 0
    assert calls == [("study", ("digits-mlp",), {})]


def test_options_reach_the_function_under_its_own_names(calls):
    line = (
        "study file.py:mine --batch-sizes 8:32 --steps 100 --seeds 3 --tuning-seeds 1 --lr sqrt --base-lr 0.1 "
        "--base-batch-size 16 --optimizer adam --set betas=0.9,0.99 --set eps=1e-6 --schedule cosine --warmup 0.1 "
        "--last-batch drop --margin 0.01 --store my.db --name mine --seed 4 --workers 2 --device cuda --data files "
        "--current 64@1e-3 --micro-batch-size 128"
    )
    assert main(line.split()) == 0
    assert calls == [
        (
            "study",
            ("file.py:mine",),
            {
                "batch_sizes": (8, 16, 32),
                "steps": 100.0,
                "seeds": 3,
                "tuning_seeds": 1,
                "lr": "sqrt",
                "base_lr": 0.1,
                "base_batch_size": 16,
                "optimizer": "adam",
                "optimizer_settings": {"betas": (0.9, 0.99), "eps": 1e-6},
                "schedule": "cosine",
                "warmup": 0.1,
                "last_batch": "drop",
                "margin": 0.01,
                "store": "my.db",
                "name": "mine",
                "seed": 4,
                "workers": 2,
                "device": "cuda",
                "data_dir": "files",
                "current": (64, 1e-3),
                "micro_batch_size": 128,
            },
        )
    ]


def test_every_option_of_the_command_is_one_of_the_function():
    parser = Parser(prog="batchlab study")
    study_command.add_options(parser)
    own = {"help", "workload", "set", "json", "quiet", "report", "dry_run"}
    assert set(vars(parser.parse_args(["digits-mlp"]))) - own <= set(option_names())


def test_set_changes_the_study_by_its_own_keys_and_the_optimizer_by_all_others(calls, capsys):
    line = "study mine.toml --set seeds=10 --set batch_sizes=8:64 --set momentum=0.9 --set optimizer_settings.lr=1"
    assert main([*line.split(), "--quiet"]) == 0
    settings = {"momentum": 0.9, "lr": 1}
    assert calls == [("study", ("mine.toml",), {"seeds": 10, "batch_sizes": "8:64", "optimizer_settings": settings})]


def test_a_setting_that_may_be_the_studys_or_the_optimizers_is_said_to_be_the_studys(calls, capsys):
    assert main("study digits-mlp --set seeds=10 --set momentum=0.9".split()) == 0
    assert capsys.readouterr().err == (
        "--set seeds is the study's own `seeds`; an optimizer's is optimizer_settings.seeds.\n"
    )


def test_another_workload_is_set_for_a_spec_and_for_nothing_else(calls, capsys):
    assert main("study mine.toml --set workload=digits-cnn --quiet".split()) == 0
    assert calls == [("study", ("digits-cnn",), {"spec": "mine.toml"})]
    assert main("study digits-mlp --set workload=digits-cnn".split()) == 2
    assert capsys.readouterr().err == (
        "batchlab: --set workload changes that of a spec, got it beside digits-mlp; keep one of the two.\n"
    )


@pytest.mark.parametrize("json_too", [False, True])
def test_a_dry_run_prints_what_the_study_would_do_and_runs_nothing(calls, capsys, monkeypatch, json_too):
    monkeypatch.setitem(vars(batchlab), "preview", lambda *arguments, progress, **given: preview_cases.FOUND)
    assert main(["study", "digits-mlp", "--seeds", "7", "--dry-run", *(["--json"] if json_too else [])]) == 0
    printed = capsys.readouterr().out
    assert calls == []
    if json_too:
        assert json.loads(printed) == to_json(preview_cases.FOUND)
    else:
        assert printed.startswith("24 to 50 trials to run")


def test_an_option_given_twice_is_refused(calls, capsys):
    assert main("study digits-mlp --seeds 5 --set seeds=10".split()) == 2
    assert capsys.readouterr().err == (
        "batchlab: An option is given once, got `seeds` by itself and by --set; keep one of the two.\n"
    )


@pytest.mark.parametrize("line", ["study digits-mlp", "resume", "show"])
def test_the_answer_and_the_store_are_printed(line, calls, capsys, tmp_path):
    assert main(line.split()) == 0
    printed = capsys.readouterr().out
    assert FINDINGS.answer.sentence[:40] in printed
    assert f"Store   {tmp_path / 'batchlab.db'}" in printed


@pytest.mark.parametrize("line", ["study digits-mlp --json", "resume --json", "show --json"])
def test_json_is_one_object_on_stdout_and_the_store_goes_to_stderr(line, calls, capsys, tmp_path):
    assert main(line.split()) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == to_json(FINDINGS)
    assert printed.err == f"Store   {tmp_path / 'batchlab.db'}\n"


def test_a_report_is_written_and_its_place_printed(calls, capsys, tmp_path):
    assert main(["study", "digits-mlp", "--report", "mine.html", "--json"]) == 0
    assert (tmp_path / "mine.html").exists()
    assert capsys.readouterr().err.endswith(f"Report  {tmp_path / 'mine.html'}\n")


def test_a_report_that_cannot_be_written_does_not_hide_the_answer(calls, capsys, tmp_path, monkeypatch):
    def fail(study, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MadeUpStudy, "report", fail)
    assert main(["study", "digits-mlp", "--report", "mine.html"]) == 1
    printed = capsys.readouterr()
    assert FINDINGS.answer.sentence[:40] in printed.out
    assert printed.err == (
        f"batchlab: The file {tmp_path / 'mine.html'} was to be written, and the system refused (No space left on "
        "device); the study is kept: name another file.\n"
    )


def test_resume_and_show_take_the_study_and_the_store(calls):
    assert main(["resume", "mine", "--store", "my.db", "--workers", "3", "--quiet"]) == 0
    assert main(["show", "mine", "--store", "my.db"]) == 0
    unset = ("workload", "executor", "address", "device", "timeout", "max_minutes")
    assert calls == [
        ("resume", ("mine",), {"store": "my.db", "workers": 3, **dict.fromkeys(unset)}),
        ("load_study", ("mine",), {"store": "my.db"}),
    ]


def test_report_writes_the_file_and_prints_the_answer_and_the_places(calls, capsys, tmp_path):
    assert main(["report"]) == 0
    assert capsys.readouterr().out == (
        f"{FINDINGS.answer.sentence}\nReport  {tmp_path / 'batchlab-report.html'}\nStore   {tmp_path / 'batchlab.db'}\n"
    )
    assert (tmp_path / "batchlab-report.html").exists()


def test_an_unknown_study_is_one_line(monkeypatch, capsys):
    def missing(name, store):
        raise StudyNotFound(f"There is no study {name!r}.")

    monkeypatch.setitem(vars(batchlab), "load_study", missing)
    assert main(["show", "nope"]) == 1
    assert capsys.readouterr() == ("", "batchlab: There is no study 'nope'.\n")


def test_csv_has_one_line_a_trial(calls, capsys):
    assert main(["export"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["batch_size"]) for row in rows] == [trial.settings.batch_size for trial in RECORD.trials]
    assert [float(row["valid_metric"]) for row in rows] == [trial.valid_metric for trial in RECORD.trials]


def test_exported_json_has_the_findings_and_the_trials(calls, tmp_path, capsys):
    assert main(["export", "--format", "json", "-o", "all.json"]) == 0
    written = json.loads((tmp_path / "all.json").read_text())
    assert written == {
        "format": "batchlab.export/1",
        "findings": to_json(FINDINGS),
        "trials": to_json(RECORD.trials),
    }
    assert capsys.readouterr() == (
        "",
        f"Trials  {tmp_path / 'all.json'}\nStore   {tmp_path / 'batchlab.db'}\n",
    )


def test_a_question_is_exported_as_a_spec(calls, tmp_path, capsys):
    assert main(["export", "--format", "spec", "-o", "again.toml"]) == 0
    assert (tmp_path / "again.toml").read_text() == spec_text(RECORD)
    assert capsys.readouterr().err.startswith(f"Spec    {tmp_path / 'again.toml'}\n")


def test_an_unknown_format_is_wrong_usage(calls, capsys):
    assert main(["export", "--format", "xml"]) == 2
    assert capsys.readouterr().err == (
        "batchlab: `--format` takes csv or json or spec, got 'xml'; write --format csv.\n"
    )


@pytest.fixture
def kept(tmp_path):
    """A store of two studies, one with trials and one at work."""
    store = open_store(tmp_path / "batchlab.db")
    store.save_study("abcd12345678", "first", RECORD.spec, RECORD.info)
    store.add_results("abcd12345678", {str(index): trial for index, trial in enumerate(RECORD.trials)})
    store.save_study("ef0012345678", "second", RECORD.spec, RECORD.info)
    with store.claim("ef0012345678"):
        yield store
    store.close()


def test_list_prints_a_line_a_study_the_latest_last(kept, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    heading, first, second, store = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["Study", "Id", "Workload"]
    assert first.split()[:2] == ["first", "abcd1234"]
    assert first.split()[-1] == str(len(RECORD.trials))
    assert second.split()[:2] == ["second", "ef001234"]
    assert f"running: {getpass.getuser()}, process {os.getpid()} on {socket.gethostname()} since 2" in second
    assert store == f"Store   {tmp_path / 'batchlab.db'}"


def test_list_as_json_has_the_whole_summaries(kept, tmp_path, capsys):
    assert main(["list", "--json", "--store", str(tmp_path / "batchlab.db")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"format": "batchlab.list/1", "studies": to_json(kept.studies())}
