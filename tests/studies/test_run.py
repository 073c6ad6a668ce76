import dataclasses

import pytest

from batchlab.analyze.study import analyze_study
from batchlab.errors import ExecutorError, StudyInterrupted, StudyRunning
from batchlab.records import StepTime, StudyRecord, TrialResult, TrialSettings
from batchlab.studies.executors import Event
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import plan, trial_id
from batchlab.studies.progress import ProgressState, Quiet
from batchlab.studies.run import run_study
from batchlab.studies.running import Limits
from simulated import INFO, InstantExecutor, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05})


def run(store: MemoryStore, executor: InstantExecutor, **changes: object) -> StudyRecord:
    """Run the simulated study."""
    return run_study(spec(**changes), INFO, name="s", store=store, executor=executor, progress=Quiet())


def test_a_study_ends_with_every_planned_trial_once_and_step_times() -> None:
    executor = InstantExecutor(WORLD.result)
    record = run(MemoryStore(), executor)
    keys = [trial_id(trial.settings) for trial in record.trials]
    assert len(keys) == len(set(keys)) == len(executor.ran)
    assert plan(spec(), INFO, dict(zip(keys, record.trials, strict=True))).complete
    assert [one.batch_size for one in record.step_times] == [8, 16, 32, 64, 128]


def test_the_same_study_again_runs_nothing() -> None:
    store, again = MemoryStore(), InstantExecutor(WORLD.result)
    first = run(store, InstantExecutor(WORLD.result))
    second = run(store, again)
    assert again.ran == []
    assert second.trials == first.trials


def test_a_study_uses_the_trials_of_another() -> None:
    store, wider = MemoryStore(), InstantExecutor(WORLD.result)
    run(store, InstantExecutor(WORLD.result), lr_mode="fixed", seeds=3)
    record = run(store, wider, lr_mode="fixed", seeds=5)
    assert len(wider.ran) == 2 * 5
    assert len(record.trials) == 5 * 5


class DyingExecutor(InstantExecutor):
    """Stops the driver dead after a number of trials, as a kill would."""

    def next_event(self, timeout_s: float) -> Event | None:
        """Return an event, until the end."""
        if len(self.ran) > self.places + 10:
            raise KeyboardInterrupt
        return super().next_event(timeout_s)


def test_after_a_kill_only_trials_under_way_are_repeated() -> None:
    store, rest = MemoryStore(), InstantExecutor(WORLD.result)
    dying = DyingExecutor(WORLD.result)
    with pytest.raises(KeyboardInterrupt):
        run(store, dying)
    record = run(store, rest)
    undisturbed = run(MemoryStore(), InstantExecutor(WORLD.result))
    assert len(dying.ran) + len(rest.ran) - len(record.trials) <= dying.places
    assert set(map(trial_key, record.trials)) == set(map(trial_key, undisturbed.trials))


def trial_key(trial: TrialResult) -> tuple[str, float]:
    """Return what must not depend on interruptions."""
    return trial_id(trial.settings), trial.valid_metric


def test_one_failed_trial_is_kept_as_failed_and_tried_again_next_time() -> None:
    store = MemoryStore()
    unlucky: list[TrialSettings] = []

    def respond(settings: TrialSettings) -> TrialResult:
        if len(unlucky) < 1 and settings.purpose == "confirm":
            unlucky.append(settings)
            raise RuntimeError("out of luck")
        return WORLD.result(settings)

    record = run(store, InstantExecutor(respond))
    failed = [trial for trial in record.trials if trial.status == "failed"]
    assert [trial.settings for trial in failed] == unlucky
    assert failed[0].message == "Traceback:\nout of luck"
    second = run(store, again := InstantExecutor(WORLD.result))
    assert again.ran == unlucky
    assert all(trial.status == "done" for trial in second.trials)


def test_trial_after_trial_failing_ends_the_study_with_the_reason() -> None:
    def respond(settings: TrialSettings) -> TrialResult:
        raise RuntimeError("no such layer")

    with pytest.raises(ExecutorError) as raised:
        run(MemoryStore(), InstantExecutor(respond))
    assert str(raised.value) == "5 trials failed, the last with: no such layer; mend that and run the study again."


def test_the_longest_trials_of_a_stage_start_first() -> None:
    executor = InstantExecutor(WORLD.result)
    run(MemoryStore(), executor, lr_mode="fixed")
    work = [settings.n_steps * (64 + settings.batch_size) for settings in executor.ran]
    assert work == sorted(work, reverse=True)


@dataclasses.dataclass
class Watch:
    """Keeps what it is told."""

    states: list[ProgressState] = dataclasses.field(default_factory=list)
    notices: list[str] = dataclasses.field(default_factory=list)

    def update(self, state: ProgressState) -> None:
        """Keep a state."""
        self.states.append(state)

    def notice(self, text: str) -> None:
        """Keep a notice."""
        self.notices.append(text)


def test_ctrl_c_finishes_the_trials_under_way_and_says_how_to_go_on() -> None:
    import os
    import signal

    store, watch = MemoryStore(), Watch()

    class Interrupted(InstantExecutor):
        def next_event(self, timeout_s: float) -> Event | None:
            if len(self.ran) == 6 and not watch.notices:
                os.kill(os.getpid(), signal.SIGINT)
            return super().next_event(timeout_s)

    executor = Interrupted(WORLD.result)
    with pytest.raises(StudyInterrupted) as raised:
        run_study(spec(), INFO, name="s", store=store, executor=executor, progress=watch)
    kept = len(store.study(store.find("s")).trials)
    assert kept == len(executor.ran)
    assert str(raised.value) == f"Stopped: {kept} finished trials are kept; go on with `batchlab resume s`."
    assert watch.notices == ["Finishing the trials under way (2); Ctrl-C again stops at once."]


def test_progress_counts_up_to_the_total() -> None:
    watch = Watch()
    run_study(spec(), INFO, name="s", store=MemoryStore(), executor=InstantExecutor(WORLD.result), progress=watch)
    done = [state.done for state in watch.states]
    assert done == sorted(done)
    assert watch.states[-1].done == watch.states[-1].total
    assert watch.states[-1].best is not None


def test_a_second_driver_changes_nothing_of_a_running_study() -> None:
    store = MemoryStore()
    run(store, InstantExecutor(WORLD.result))
    study_id = store.find("s")
    changed = dataclasses.replace(INFO, fingerprint="changed")
    with store.claim(study_id), pytest.raises(StudyRunning):
        run_study(spec(), changed, name="t", store=store, executor=InstantExecutor(WORLD.result), progress=Quiet())
    record = store.study(study_id)
    assert (record.name, record.info) == ("s", INFO)


def test_a_changed_workload_is_noticed_and_timed_again() -> None:
    store, watch = MemoryStore(), Watch()
    run(store, InstantExecutor(WORLD.result))
    changed = dataclasses.replace(INFO, fingerprint="changed")
    executor = InstantExecutor(WORLD.result)
    run_study(spec(), changed, name="s", store=store, executor=executor, progress=watch)
    assert watch.notices[0] == "simulated has changed since this study was last run: its trials are made anew."
    assert len(executor.ran) > 0


def test_a_quiet_pass_that_fails_costs_the_seconds_and_nothing_else() -> None:
    class Noisy(InstantExecutor):
        def time_steps(self, settings: object, on_wait: object) -> tuple[StepTime, ...]:
            raise ExecutorError("A worker process was to time steps, but ended.")

    watch = Watch()
    record = run_study(spec(), INFO, name="s", store=MemoryStore(), executor=Noisy(WORLD.result), progress=watch)
    assert record.step_times == ()
    assert watch.notices[-1] == "Step times could not be measured: A worker process was to time steps, but ended."


def test_two_trials_that_both_fail_are_not_a_finished_study() -> None:
    def respond(settings: TrialSettings) -> TrialResult:
        raise RuntimeError("no such layer")

    with pytest.raises(ExecutorError) as raised:
        run(MemoryStore(), InstantExecutor(respond), lr_mode="fixed", seeds=1, batch_sizes=(8, 16))
    assert str(raised.value) == "2 trials failed, the last with: no such layer; mend that and run the study again."


def test_when_time_is_up_no_more_trials_begin_and_what_there_is_is_the_record() -> None:
    store, watch = MemoryStore(), Watch()
    record = run_study(
        spec(),
        INFO,
        name="s",
        store=store,
        executor=InstantExecutor(WORLD.result),
        progress=watch,
        limits=Limits(minutes=0.0),
    )
    assert record.trials == ()
    assert watch.notices == ["Time is up after 0 minutes, with 0 trials of about 75; go on with `batchlab resume s`."]
    whole = run_study(
        spec(),
        INFO,
        name="s",
        store=store,
        executor=InstantExecutor(WORLD.result),
        progress=watch,
        limits=Limits(minutes=60.0),
    )
    assert len(whole.trials) > 60


def test_threads_are_decided_once_a_study_and_are_part_of_its_trials() -> None:
    store, first = MemoryStore(), InstantExecutor(WORLD.result, threads=4)
    run(store, first)
    again = InstantExecutor(WORLD.result, threads=2)
    record = run(store, again)
    assert record.info.threads == 4
    assert again.ran == []
    assert {one.settings.threads for one in record.trials} == {4}
    assert analyze_study(record).trials.done == len(record.trials)


def test_trials_with_another_number_of_threads_are_other_trials() -> None:
    store = MemoryStore()
    run(store, InstantExecutor(WORLD.result), seeds=3)
    record = run(store, InstantExecutor(WORLD.result, threads=2), seeds=5)
    assert {one.settings.threads for one in record.trials} == {2}


def test_a_study_whose_threads_were_not_decided_when_it_was_killed_decides_them() -> None:
    class Killed(InstantExecutor):
        def settle(self, *arguments: object) -> int:
            raise KeyboardInterrupt

    store = MemoryStore()
    with pytest.raises(KeyboardInterrupt):
        run(store, Killed(WORLD.result))
    assert run(store, InstantExecutor(WORLD.result, threads=2)).info.threads == 2
