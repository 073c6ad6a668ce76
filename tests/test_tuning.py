"""A small study that tunes several settings at once, from its options to its answer."""

import json
from pathlib import Path

import batchlab
from batchlab.records import to_json
from batchlab.studies.spec_file import spec_text
from cases import tiny_classifier


def test_a_tiny_study_tunes_momentum_and_the_schedule_and_its_spec_asks_the_same_again(tmp_path: Path) -> None:
    asked = {"batch_sizes": [8, 32], "seeds": 3, "epochs": 1, "tune": ("momentum", "schedule"), "tuning_trials": 6}
    study = batchlab.study(tiny_classifier(), store=tmp_path / "batchlab.db", workers=1, **asked)
    recommended = study.answer.recommended
    assert recommended is not None
    names = [name for name, _ in recommended.settings]
    assert names == ["momentum", "schedule"]
    confirmed = [one.settings for one in study.trials if one.settings.purpose == "confirm"]
    used = next(one for one in confirmed if one.batch_size == recommended.batch_size)
    assert dict(used.optimizer_settings)["momentum"] == dict(recommended.settings)["momentum"]
    assert used.schedule.kind == dict(recommended.settings)["schedule"]
    assert len(confirmed) == 6
    assert len(study.trials) == 2 * (6 + 2) + 6
    printed = json.dumps(to_json(study.findings))
    assert '"settings": [["momentum", ' in printed
    assert 'tune = ["momentum", "schedule"]\ntuning_trials = 6\nsampler = "quasi-random"\n' in spec_text(study.record)
