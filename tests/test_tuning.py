"""A small study that tunes several settings at once, trained for real, from its options to its answer."""

import json

import pytest

from batchlab.analyze.study import analyze_study
from batchlab.records import to_json
from batchlab.studies.in_process import InProcessExecutor
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.spec import StudyOptions, resolve_spec
from batchlab.studies.spec_file import spec_text
from cases import tiny_classifier


def test_a_tiny_study_tunes_momentum_and_the_schedule_and_names_them_in_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Seconds have no part in it.
    monkeypatch.setattr(InProcessExecutor, "time_steps", lambda *_: ())
    executor = InProcessExecutor(tiny_classifier(), "object:tiny")
    info = executor.inspect()
    options = StudyOptions([8, 32], seeds=3, epochs=2, tune=("momentum", "schedule"), tuning_trials=12)
    asked = resolve_spec(options, info)
    record = run_study(asked, info, name="s", store=MemoryStore(), executor=executor, progress=Quiet())
    findings = analyze_study(record)
    recommended = findings.answer.recommended
    assert recommended is not None
    settings = dict(recommended.settings)
    assert list(settings) == ["momentum", "schedule"]
    confirmed = [one.settings for one in record.trials if one.settings.purpose == "confirm"]
    used = next(one for one in confirmed if one.batch_size == recommended.batch_size)
    assert dict(used.optimizer_settings)["momentum"] == settings["momentum"]
    assert used.schedule.kind == settings["schedule"]
    assert (len(confirmed), len(record.trials)) == (6, 2 * (12 + 4) + 6)
    assert '"settings": [["momentum", ' in json.dumps(to_json(findings))
    assert 'tune = ["momentum", "schedule"]\ntuning_trials = 12\nsampler = "quasi-random"\n' in spec_text(record)
