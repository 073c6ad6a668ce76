"""The driver of a study: asks the plan what is next, keeps the workers busy, and is the only writer of the records."""

import platform
import shlex
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from batchlab.analyze.arms import results_by_arm
from batchlab.errors import ExecutorError, StudyInterrupted, StudyNotFound
from batchlab.records import (
    LIVE_PREFIX,
    Curve,
    StudyRecord,
    StudySpec,
    TrialResult,
    TrialSettings,
    WorkloadInfo,
    identity,
)
from batchlab.studies.executors import Event, Executor
from batchlab.studies.plan import Plan, plan, trial_id, trial_settings
from batchlab.studies.progress import Progress, ProgressState
from batchlab.studies.store import DEFAULT_STORE, IN_MEMORY, Store, store_path

MOST_FAILURES = 5
SECONDS_BETWEEN_UPDATES = 0.2


@dataclass
class _Drive:
    """A study under way."""

    spec: StudySpec
    info: WorkloadInfo
    store: Store
    executor: Executor
    progress: Progress
    study_id: str
    name: str
    started: float = field(default_factory=time.monotonic)
    results: dict[str, TrialResult] = field(default_factory=dict)
    running: dict[str, TrialSettings] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    n_failed: int = 0
    work_done: float = 0.0
    stopping: bool = False


def run_study(
    spec: StudySpec, info: WorkloadInfo, *, name: str, store: Store, executor: Executor, progress: Progress
) -> StudyRecord:
    """Return the study's record after running every trial that it needs and the store does not have.

    A finished trial is committed before anything else happens. Trials that failed in an earlier run are tried again.

    Raises:
        StudyRunning: another driver works on this study.
        StudyInterrupted: Ctrl-C; trials under way were finished and kept.
        ExecutorError: trial after trial fails.
    """
    study_id = identity(spec)
    before = _known(store, study_id)
    if before is None:
        store.save_study(study_id, name, spec, info)
    drive = _Drive(spec, info, store, executor, progress, study_id, name)
    with store.claim(study_id) as touch, _ctrl_c(drive):
        if before is not None and before.info.fingerprint != info.fingerprint:
            progress.notice(f"{info.name} has changed since this study was last run: its trials are made anew.")
            store.save_step_times(study_id, ())
        store.save_study(study_id, name, spec, info)
        try:
            while not (step := _next_plan(drive)).complete:
                _keep_busy(drive, step, touch)
            _refuse_if_all_failed(drive)
            _time_quietly(drive, touch)
        finally:
            store.add_seconds(study_id, time.monotonic() - drive.started)
    return store.study(study_id)


def _known(store: Store, study_id: str) -> StudyRecord | None:
    """Return the study as it was left, None where it is new."""
    try:
        return store.study(study_id)
    except StudyNotFound:
        return None


def _next_plan(drive: _Drive) -> Plan:
    """Return the plan once everything the store knows of it has been taken in."""
    while True:
        step = plan(drive.spec, drive.info, drive.results)
        unasked = {trial_id(settings) for settings in step.trials} - drive.asked
        known = {key: found for key, found in drive.store.results(unasked).items() if found.status != "failed"}
        drive.asked |= unasked
        if not known:
            return step
        drive.store.add_results(drive.study_id, known)
        drive.results |= known


def _keep_busy(drive: _Drive, step: Plan, touch: Callable[[], None]) -> None:
    """Give every free worker the longest trial that waits, then take in events until the plan may have changed."""
    waiting = [
        settings
        for settings in step.trials
        if trial_id(settings) not in drive.results and trial_id(settings) not in drive.running
    ]
    waiting.sort(key=_work)
    while True:
        while not drive.stopping and waiting and drive.executor.free():
            settings = waiting.pop()
            drive.running[trial_id(settings)] = settings
            drive.executor.submit(trial_id(settings), settings)
        if drive.stopping and not drive.running:
            raise _stopped(drive)
        touch()
        event = drive.executor.next_event(SECONDS_BETWEEN_UPDATES)
        finished = event is not None and _take_in(drive, event)
        drive.progress.update(_state(drive, step, waiting))
        if finished and len(waiting) <= drive.executor.free():
            return


def _take_in(drive: _Drive, event: Event) -> bool:
    """Keep what an event brings; True when a trial has ended."""
    if event.examples is not None:
        return False
    if event.key not in drive.running:
        raise ExecutorError(
            f"A worker process was to load the workload, but this was raised: {_last_line(event.error)}; mend it and "
            "run the study again."
        )
    settings = drive.running.pop(event.key)
    result = event.result or _failed(settings, event.error or "")
    drive.store.add_results(drive.study_id, {event.key: result})
    drive.results[event.key] = result
    drive.work_done += _work(settings)
    if result.status == "failed":
        drive.n_failed += 1
        reason = _last_line(result.message)
        drive.progress.notice(f"A trial at batch size {settings.batch_size} failed: {reason}")
        if drive.n_failed >= MOST_FAILURES and drive.n_failed * 2 > len(drive.results):
            raise _all_failing(drive.n_failed, reason)
    return True


def _refuse_if_all_failed(drive: _Drive) -> None:
    failed = [one for one in drive.results.values() if one.status == "failed"]
    if failed and len(failed) == len(drive.results):
        raise _all_failing(len(failed), _last_line(failed[-1].message))


def _all_failing(count: int, reason: str) -> ExecutorError:
    return ExecutorError(f"{count} trials failed, the last with: {reason}; mend that and run the study again.")


def _stopped(drive: _Drive) -> StudyInterrupted:
    return StudyInterrupted(f"Stopped: {len(drive.results)} finished trials are kept; {_how_to_go_on(drive)}.")


def _how_to_go_on(drive: _Drive) -> str:
    if drive.spec.workload.startswith(LIVE_PREFIX):
        return "go on by calling `batchlab.study` again with the same arguments"
    place = drive.store.url.removeprefix("sqlite:///")
    is_default = place in (IN_MEMORY, str(store_path(DEFAULT_STORE)))
    store = "" if is_default else f" --store {shlex.quote(place)}"
    return f"go on with `batchlab resume {shlex.quote(drive.name)}{store}`"


def _last_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[-1] if (text or "").strip() else "nothing was said"


def _time_quietly(drive: _Drive, touch: Callable[[], None]) -> None:
    """Measure the step time of every arm, unless the store has it, when no trial is running any more.

    A failure costs the seconds in the answer and nothing else.
    """
    spec = drive.spec
    sizes = (spec.same_batch_size,) if spec.same_batch_size else spec.batch_sizes
    if {one.batch_size for one in drive.store.study(drive.study_id).step_times} >= set(sizes):
        return

    def on_wait() -> None:
        touch()
        if drive.stopping:
            raise _stopped(drive)

    drive.progress.update(_state(drive, None, ()))
    arms = spec.batch_sizes[: len(sizes)]
    settings = [trial_settings(spec, drive.info, arm, spec.base_lr, 0, "time") for arm in arms]
    try:
        drive.store.save_step_times(drive.study_id, drive.executor.time_steps(settings, on_wait))
    except ExecutorError as error:
        drive.progress.notice(f"Step times could not be measured: {str(error).splitlines()[0]}")


def _state(drive: _Drive, step: Plan | None, waiting: Sequence[TrialSettings]) -> ProgressState:
    total = len(drive.results) if step is None else max(step.n_expected, len(drive.results))
    elapsed = time.monotonic() - drive.started
    unplanned = total - len(drive.results) - len(drive.running) - len(waiting)
    work_left = sum(map(_work, waiting)) + sum(map(_work, drive.running.values())) / 2
    if step is not None:
        work_left += max(0, unplanned) * statistics.fmean(map(_work, step.trials))
    return ProgressState(
        study_name=drive.name,
        stage="timing" if step is None else step.stage,
        done=len(drive.results),
        total=total,
        running=tuple(f"{one.batch_size}@{one.learning_rate:g}" for one in drive.running.values()),
        best=_best_so_far(drive),
        seconds=elapsed,
        seconds_left=elapsed * work_left / drive.work_done if drive.work_done else None,
    )


def _best_so_far(drive: _Drive) -> str | None:
    by_arm = results_by_arm(drive.spec, drive.results.values(), "confirm")
    done = {arm: [one.valid_metric for one in found if one.status == "done"] for arm, found in by_arm.items()}
    means = {arm: statistics.fmean(values) for arm, values in done.items() if values}
    if not means:
        return None
    best = (max if drive.info.higher_is_better else min)(means, key=means.__getitem__)
    return f"batch size {best}: {drive.info.metric} {means[best]:.4g}"


def _work(settings: TrialSettings) -> float:
    """Return the relative cost of a trial: every step costs something, and every example in it."""
    return settings.n_steps * (64.0 + settings.batch_size)


def _failed(settings: TrialSettings, message: str) -> TrialResult:
    nothing: tuple[()] = ()
    return TrialResult(
        settings=settings,
        status="failed",
        curve=Curve(nothing, nothing, nothing, nothing, nothing, nothing),
        examples=0,
        steps=0,
        valid_loss=float("nan"),
        valid_metric=float("nan"),
        baseline_metric=float("nan"),
        train_loss=None,
        train_metric=None,
        test_loss=None,
        test_metric=None,
        seconds=0.0,
        host=platform.node(),
        versions=(),
        message=message,
    )


@contextmanager
def _ctrl_c(drive: _Drive) -> Iterator[None]:
    """Turn the first Ctrl-C into a request to stop when the trials under way are done; the second stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: object) -> None:
        if drive.stopping:
            raise StudyInterrupted(f"Stopped at once; {_how_to_go_on(drive)}.")
        drive.stopping = True
        drive.progress.notice(f"Finishing the trials under way ({len(drive.running)}); Ctrl-C again stops at once.")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
