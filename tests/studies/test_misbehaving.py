"""Users' code that misbehaves: one trial is lost at worst, and what happened is said."""

import dataclasses
import functools
import os
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import batchlab
from batchlab.errors import ExecutorError, UsageError, WorkloadError
from batchlab.studies import opening
from batchlab.studies.executors import WorkloadSource
from batchlab.studies.local_executor import LocalExecutor
from batchlab.studies.output import MOST_SHOWN, Relay, Tail
from batchlab.studies.plan import trial_settings
from batchlab.studies.progress import ProgressState
from batchlab.studies.running import SILENCE_S, Running, why_hung
from batchlab.workload import Workload
from simulated import INFO, spec

pytestmark = pytest.mark.usefixtures("untimed")

FILE = """
import os, random, sys, threading, time
import numpy
import torch
from torch import nn
from batchlab.workload import Workload

inputs = torch.linspace(-1, 1, 64).reshape(64, 1)
targets = (inputs[:, 0] > 0).long()
kept, trials = [], []

def misbehave(n_trial, x):
    {behavior}

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)
        trials.append(self)
    def forward(self, x):
        # Trials begin once the workload has been inspected and its models are gone.
        if self.training and len(x) == 5:
            {behavior}
        return self.layer(x)

{at_import}
workload = Workload("tiny", Model, (inputs, targets), (inputs, targets))
"""


@dataclasses.dataclass
class Watch:
    """Keeps what it is told."""

    notices: list[str] = dataclasses.field(default_factory=list)

    def update(self, state: ProgressState) -> None:
        """Take no notice."""

    def notice(self, text: str) -> None:
        """Keep a notice."""
        self.notices.append(text)


def studied(tmp_path: Path, behavior: str = "pass", at_import: str = "", **options: object) -> tuple[object, list[str]]:
    """Run a study of batch sizes 5, which misbehaves, and 8, which does not; return it with the notices.

    That the workload loads slowly, as on a busy machine it does, is no notice of the study's.
    """
    path, watch = tmp_path / "tiny.py", Watch()
    path.write_text(FILE.format(behavior=behavior, at_import=at_import))
    study = batchlab.study(
        f"{path}:workload",
        **{
            "batch_sizes": (5, 8),
            "lr": 0.1,
            "steps": 6,
            "seeds": 3,
            "workers": 1,
            "store": tmp_path / "s.db",
            "progress": watch,
            **options,
        },
    )
    return study, [notice for notice in watch.notices if at_import or not notice.startswith("Loading the workload")]


def outcomes(study: object) -> dict[int, set[str]]:
    """Return how the trials of each batch size ended."""
    found: dict[int, set[str]] = {}
    for trial in study.trials:  # type: ignore[attr-defined]
        found.setdefault(trial.settings.batch_size, set()).add(trial.status)
    return found


def test_a_flood_of_prints_is_cut_short(tmp_path: Path) -> None:
    study, notices = studied(tmp_path, "print('step', len(x), time.monotonic_ns())")
    assert outcomes(study) == {5: {"done"}, 8: {"done"}}
    assert len(notices) == MOST_SHOWN + 1
    assert notices[0].startswith("| step 5 ")
    assert notices[-1] == "| (more was printed, and is not shown)"


def test_an_exception_in_one_trial_fails_that_trial(tmp_path: Path) -> None:
    study, notices = studied(tmp_path, "assert torch.initial_seed() % 3 or len(trials) < 9, 'seven'", seeds=4)
    failed = [trial for trial in study.trials if trial.status == "failed"]  # type: ignore[attr-defined]
    assert len(study.trials) == 8  # type: ignore[attr-defined]
    assert all("AssertionError: seven" in trial.message for trial in failed)
    assert [note for note in notices if note.startswith("A trial")] == [
        "A trial at batch size 5 failed: AssertionError: seven"
    ] * len(failed)


def test_a_hang_ends_with_the_timeout(tmp_path: Path) -> None:
    study, notices = studied(tmp_path, "time.sleep(60)", seeds=1, timeout=4)
    assert outcomes(study) == {5: {"failed"}, 8: {"done"}}
    assert notices == ["A trial at batch size 5 failed: The trial was ended after 4 s, the timeout"]


def test_the_processes_of_a_hanging_trial_end_with_it(tmp_path: Path) -> None:
    studied(
        tmp_path,
        f"import subprocess; child = subprocess.Popen(['sleep', '60']); open({str(tmp_path / 'pid')!r}, 'w').write("
        "str(child.pid)); child.wait()",
        seeds=1,
        timeout=4,
    )
    pid = int((tmp_path / "pid").read_text())
    status = Path(f"/proc/{pid}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"


@pytest.mark.parametrize(
    ("behavior", "said"),
    [
        ("sys.exit(3)", "SystemExit: the workload's code called sys.exit(3)"),
        ("print('bye', flush=True); os._exit(3)", "The worker process ended with exit code 3 (bye)."),
        (
            "os.kill(os.getpid(), 9)",
            "The worker process ended with signal 9, as the system does where memory runs out: try fewer workers, or a "
            "micro-batch size.",
        ),
    ],
)
def test_a_trial_that_ends_its_process_fails_alone(tmp_path: Path, behavior: str, said: str) -> None:
    study, notices = studied(tmp_path, behavior, seeds=1)
    assert outcomes(study) == {5: {"failed"}, 8: {"done"}}
    assert f"A trial at batch size 5 failed: {said}" in notices


def test_a_worker_that_leaks_is_replaced_between_trials(tmp_path: Path) -> None:
    path = tmp_path / "tiny.py"
    path.write_text(FILE.format(behavior="kept.append(torch.ones(2_500_000))", at_import=""))
    question = spec(batch_sizes=(5,), lr_mode="fixed")
    pids = set()
    with LocalExecutor(WorkloadSource(f"{path}:workload"), workers=1, memory_growth=150_000_000) as executor:
        for seed in range(4):
            trial = dataclasses.replace(trial_settings(question, INFO, 5, 0.1, seed, "confirm"), n_steps=12)
            executor.submit(str(seed), trial)
            while (event := executor.next_event(1)) is None or event.result is None:
                assert event is None or event.error is None
            pids.add(executor._crew.workers[0].process.pid)
    # 10 MB a step and twelve steps a trial: the second and third trial exceed what may be kept.
    assert 2 <= len(pids) <= 3


def test_global_seeds_that_users_set_change_nothing_of_the_order_and_end_with_the_trial(tmp_path: Path) -> None:
    plain, _ = studied(tmp_path, "pass")
    (tmp_path / "other").mkdir()
    seeded, _ = studied(tmp_path / "other", "torch.manual_seed(1); random.seed(1); numpy.random.seed(1)")

    def curves(study: object) -> list[tuple[float, ...]]:
        return sorted(trial.curve.valid_loss for trial in study.trials)  # type: ignore[attr-defined]

    assert curves(plain) == curves(seeded)


def test_a_model_that_sets_the_seed_itself_is_told_of(tmp_path: Path) -> None:
    def fixed() -> nn.Module:
        torch.manual_seed(0)
        return nn.Linear(1, 2)

    data = torch.linspace(-1, 1, 64).reshape(64, 1), (torch.arange(64) > 32).long()
    study = batchlab.study(
        Workload("fixed", fixed, data, data), (8, 16), lr=0.1, steps=3, seeds=2, workers=1, store=tmp_path / "s.db"
    )
    assert (
        "Every seed starts from the same weights: seeds vary the order of the data and dropout, no more."
        in study.record.info.notes
    )


def test_threads_of_users_change_neither_results_nor_the_end(tmp_path: Path) -> None:
    behavior = "torch.set_num_threads(4); threading.Thread(target=time.sleep, args=(60,)).start()"
    study, _ = studied(tmp_path, behavior)
    assert outcomes(study) == {5: {"done"}, 8: {"done"}}


def test_a_slow_import_is_waited_for_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SLOW_TO_LOAD_S", 1.0)
    study, notices = studied(tmp_path, at_import="time.sleep(2)", seeds=1)
    assert outcomes(study) == {5: {"done"}, 8: {"done"}}
    assert notices == ["Loading the workload has taken 1 s so far; Ctrl-C gives up."]


def test_an_import_that_exits_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError) as raised:
        studied(tmp_path, at_import="sys.exit('no license')")
    assert str(raised.value).startswith(
        f"A worker process was to load the workload ({tmp_path / 'tiny.py'}:workload), but this was raised: "
        "SystemExit: the workload's code called sys.exit('no license'); mend it and run the command again."
    )


def test_a_wrong_shape_in_some_batches_fails_their_trials(tmp_path: Path) -> None:
    study, notices = studied(tmp_path, "return self.layer(x)[:3]", seeds=1)
    assert outcomes(study) == {5: {"failed"}, 8: {"done"}}
    assert "ValueError: Expected input batch_size (3) to match target batch_size (5)" in notices[0]


def test_an_object_that_cannot_travel_is_trained_here(tmp_path: Path) -> None:
    lock = threading.Lock()

    def model() -> nn.Module:
        with lock:
            return nn.Linear(1, 2)

    data = torch.linspace(-1, 1, 64).reshape(64, 1), (torch.arange(64) > 32).long()
    watch = Watch()
    study = batchlab.study(
        Workload("locked", model, data, data),
        (8, 16),
        lr=0.1,
        steps=3,
        seeds=2,
        store=tmp_path / "s.db",
        progress=watch,
    )
    assert outcomes(study) == {8: {"done"}, 16: {"done"}}
    assert watch.notices == [
        "Trials run in this process, one at a time, as the workload cannot be pickled (cannot pickle '_thread.lock' "
        "object). A workload in a file, given as 'file.py:attribute', is trained by several processes."
    ]
    again = batchlab.resume(workload=Workload("locked", model, data, data), store=tmp_path / "s.db")
    assert len(again.trials) == 4


def test_a_factory_is_called_by_the_workers(tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def make(path: str) -> Workload:
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\n")
        data = torch.linspace(-1, 1, 64).reshape(64, 1), (torch.arange(64) > 32).long()
        return Workload("made", functools.partial(nn.Linear, 1, 2), data, data)

    def factory() -> Workload:
        return make(str(calls))

    study = batchlab.study(factory, (8, 16), lr=0.1, steps=3, seeds=2, workers=1, store=tmp_path / "s.db")
    assert study.record.spec.workload == "object:factory"
    assert str(os.getpid()) not in calls.read_text().split()


def test_something_else_than_a_workload_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        batchlab.study(3, (8,), store=tmp_path / "s.db")  # type: ignore[arg-type]
    assert str(raised.value) == (
        "A workload is a built-in name, 'file.py:attribute', a batchlab.Workload or a function that returns one, got "
        "int; make a Workload of your model and data."
    )


def test_a_factory_of_something_else_is_named(tmp_path: Path) -> None:
    def factory() -> int:
        return 3

    with pytest.raises(WorkloadError) as raised:
        batchlab.study(factory, (8,), workers=1, store=tmp_path / "s.db")  # type: ignore[arg-type]
    assert str(raised.value) == (
        "'object:factory' must be a batchlab.Workload or a function that returns one, but is of type int; pass the "
        "workload itself."
    )


def test_a_study_from_another_machine_runs_no_file_unasked(tmp_path: Path) -> None:
    study, _ = studied(tmp_path, seeds=1)
    store = batchlab.studies.store_opening.open_store(str(tmp_path / "s.db"), create=False)  # type: ignore[attr-defined]
    record = store.study(store.find("latest"))
    elsewhere = dataclasses.replace(record.info, inspected_on="elsewhere")
    store.save_study(record.id, record.name, record.spec, elsewhere)
    store.close()
    reference = f"{tmp_path / 'tiny.py'}:workload"
    with pytest.raises(UsageError) as raised:
        batchlab.resume(store=tmp_path / "s.db")
    assert str(raised.value) == (
        f"Study {record.name} was run on elsewhere and names {reference}, which is not run here unasked; name the "
        "workload yourself, as in `batchlab resume --workload FILE.py:attribute`."
    )
    again = batchlab.resume(workload=reference, workers=1, store=tmp_path / "s.db")
    assert len(again.trials) == len(study.trials)  # type: ignore[attr-defined]


def test_silence_counts_as_a_hang_only_after_a_long_time_and_ten_times_what_went_before() -> None:
    settings = trial_settings(spec(), INFO, 8, 0.1, 0, "confirm")
    assert why_hung(Running(settings, 0.0), SILENCE_S, None) is None
    assert why_hung(Running(settings, 0.0), SILENCE_S + 1, None) == (
        "The trial was ended after 1801 s without a sign of life; `--timeout` sets another limit"
    )
    assert why_hung(Running(settings, 0.0, 0.0, 600.0), 6500.0, None) is None
    assert why_hung(Running(settings, 0.0, 0.0, 600.0), 6700.0, None) is not None


def test_the_timeout_counts_from_the_beginning_of_the_trial() -> None:
    settings = trial_settings(spec(), INFO, 8, 0.1, 0, "confirm")
    assert why_hung(Running(settings, 0.0), 100.0, 5.0) is None
    assert why_hung(Running(settings, 0.0, 98.0, 98.0), 100.0, 5.0) is None
    assert why_hung(Running(settings, 0.0, 90.0, 99.0), 100.0, 5.0) == "The trial was ended after 5 s, the timeout"


def test_lines_are_shown_once_and_a_line_without_end_is_cut() -> None:
    shown: list[str] = []
    relay = Relay(shown.append)
    reading, writing = os.pipe()
    tail = Tail(reading, relay)
    os.write(writing, b"same\nsame\n\xff broken\n" + b"x" * 10_000)
    os.close(writing)
    assert tail.last_words().splitlines()[:3] == ["same", "same", "\ufffd broken"]
    assert shown[:2] == ["| same", "| \ufffd broken"]
    assert len(shown[2]) <= 502
