"""Whole probes of tiny workloads: what is advised, what is said, and what bounds it."""

import json
from types import SimpleNamespace

import pytest

import batchlab
import cases
from batchlab.analyze.probe_findings import ProbeMemory
from batchlab.records import to_json
from batchlab.studies import probing

KEYS = {
    "format",
    "workload",
    "device",
    "devices",
    "optimizer",
    "rule",
    "recommendation",
    "noise_scale",
    "speed",
    "max_batch_size",
    "current",
    "seconds",
    "examples",
}
RECOMMENDED = {
    "objective",
    "batch_size",
    "tied_batch_sizes",
    "low",
    "high",
    "micro_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "warmup_steps",
    "predicted",
    "reasons",
}


def memory_of(value, limited_by):
    return lambda *arguments: (ProbeMemory(value, limited_by), {})


@pytest.fixture
def ample(monkeypatch):
    """Leave the search for memory out: it starts processes."""
    monkeypatch.setattr(probing, "probe_memory", memory_of(64, "limit"))


@pytest.fixture(scope="module")
def found():
    patch = pytest.MonkeyPatch()
    patch.setattr(probing, "probe_memory", memory_of(64, "limit"))
    try:
        yield batchlab.probe(cases.tiny_classifier(train=cases.blobs(512, seed=1)), current="8@0.1", epochs=4)
    finally:
        patch.undo()


def test_the_json_has_the_fields_of_the_contract(found):
    printed = json.loads(json.dumps(to_json(found.findings)))
    assert KEYS <= printed.keys() and RECOMMENDED <= printed["recommendation"].keys()
    assert printed["format"] == "batchlab.probe/1"
    assert {"batch_size", "step_time_s", "examples_per_s", "peak_memory_bytes"} <= printed["speed"][0].keys()
    assert {reason["kind"] for reason in printed["recommendation"]["reasons"]} <= {"measured", "fitted", "rule"}


def test_the_advice_is_one_of_the_sizes_it_shows_and_lies_in_its_range(found):
    advice = found.recommendation
    assert advice.batch_size in [row.batch_size for row in found.speed]
    assert advice.low <= advice.batch_size <= advice.high
    assert advice.expected_regret >= 0 and advice.micro_batch_size == advice.batch_size


def test_todays_setting_was_run_and_is_judged(found):
    current = found.findings.current
    assert current.batch_size == 8 and current.low <= current.ratio <= current.high
    assert current.sentence.startswith("Today's 8@0.1 takes ")


def test_the_page_and_the_lines_say_what_is_advised(found, tmp_path):
    page = found.report(tmp_path / "probe.html").read_text()
    assert found.findings.answer in page and "TrainingArguments" in page
    assert f"batch_size={found.recommendation.batch_size}" in found.snippets["PyTorch"]


def test_a_terminal_shows_the_answer_first(found):
    from rich.console import Console

    from batchlab.views.probe_terminal import print_probe

    console = Console(width=120, record=True, file=SimpleNamespace(write=lambda text: None, flush=lambda: None))
    print_probe(found.findings, console)
    first, second, *rest = console.export_text().splitlines()
    assert first == found.findings.answer and second.startswith("The best batch size lies between ")
    assert any(line.lstrip().startswith(f"> {found.recommendation.batch_size}") for line in rest)


@pytest.mark.usefixtures("ample")
def test_a_target_ends_the_runs_and_is_named():
    workload = cases.tiny_classifier(train=cases.blobs(512, seed=1))
    found = batchlab.probe(workload, "examples", epochs=6, target=0.3)
    assert found.findings.answer.startswith(
        "For the least computation to a validation error of 30.00%, use batch size "
    ) or found.findings.answer.startswith("For the least computation to a validation error of 30%, use batch size ")
    assert "to the target, a validation error of 30" in found.recommendation.predicted.basis
    assert not any("No run reached the target" in note for note in found.findings.notes)
    # Runs end there: nothing like the whole allowance is used.
    assert found.findings.examples < 2.5 * 6 * 512 / 2


@pytest.mark.usefixtures("ample")
def test_a_target_out_of_reach_is_said():
    found = batchlab.probe(cases.tiny_classifier(), epochs=4, target=0.0)
    assert "No run reached the target: settings are judged by how far they came, and beyond that nothing is known." in (
        found.findings.notes
    )


def test_where_memory_ends_batches_are_accumulated(monkeypatch):
    monkeypatch.setattr(probing, "probe_memory", memory_of(4, "memory"))
    found = batchlab.probe(cases.tiny_classifier(), epochs=4)
    assert {row.batch_size: row.gradient_accumulation_steps for row in found.speed} == {4: 1, 8: 2, 16: 4}
    advice = found.recommendation
    assert advice.micro_batch_size * advice.gradient_accumulation_steps == advice.batch_size
    assert f"per_device_train_batch_size={advice.micro_batch_size}" in found.snippets["Transformers"]


@pytest.mark.usefixtures("ample")
def test_little_time_gives_an_answer_that_says_so():
    found = batchlab.probe(cases.tiny_classifier(), epochs=2000, max_minutes=0.05)
    assert any(note.startswith("In the time allowed runs were at most ") for note in found.findings.notes)
    assert found.findings.seconds < 60
