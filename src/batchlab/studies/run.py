"""The driver of a study: asks the plan what is next, keeps the workers busy, and is the only writer of the records."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from batchlab.analyze.power import power_notice
from batchlab.errors import ExecutorError, StudyInterrupted, StudyNotFound
from batchlab.records import StudyRecord, StudySpec, TrialResult, TrialSettings, WorkloadInfo, identity
from batchlab.studies.executors import Event, Executor
from batchlab.studies.plan import Plan, plan
from batchlab.studies.progress import Progress, ProgressState, how_to_go_on, last_line
from batchlab.studies.quiet_pass import to_time
from batchlab.studies.running import NO_LIMITS, Limits, Running, failed_trial, why_hung, work_of
from batchlab.studies.signals import first_ctrl_c
from batchlab.studies.store import Store
from batchlab.studies.tally import Queue, Tally
from batchlab.studies.trials import trial_id

MOST_FAILURES = 5
SECONDS_BETWEEN_UPDATES = 0.2
LEAST_TIMING_S, MOST_STEPS_TIMED = 60.0, 2000


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
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    results: dict[str, TrialResult] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    queue: Queue = field(default_factory=lambda: Queue(()))
    tally: Tally = field(init=False)
    n_failed: int = 0
    work_done: float = 0.0
    stopping: bool = False
    shown: float = -math.inf

    def __post_init__(self) -> None:
        """Begin to count."""
        self.tally = Tally(self.spec, self.info)

    def keep(self, results: Mapping[str, TrialResult]) -> None:
        """Store results and count them."""
        self.store.add_results(self.study_id, results)
        self.results |= results
        for result in results.values():
            self.tally.add(result)

    @property
    def time_is_up(self) -> bool:
        """Return whether no more trials may begin."""
        return self.limits.minutes is not None and time.monotonic() - self.started > 60 * self.limits.minutes


def run_study(
    spec: StudySpec,
    info: WorkloadInfo,
    *,
    name: str,
    store: Store,
    executor: Executor,
    progress: Progress,
    limits: Limits = NO_LIMITS,
) -> StudyRecord:
    """Return the study's record after running every trial that it needs and the store does not have.

    A finished trial is committed before anything else happens. Trials that failed in an earlier run are tried again. A
    trial that hangs fails. When time is up no more trials begin, and the record is what there is.

    Raises:
        StudyRunning: another driver works on this study.
        StudyInterrupted: Ctrl-C; trials under way were finished and kept.
        ExecutorError: trial after trial fails.
    """
    study_id = identity(spec)
    before = _known(store, study_id)
    if before is None:
        store.save_study(study_id, name, spec, dataclasses.replace(info, threads=0))
    drive = _Drive(spec, info, store, executor, progress, study_id, name, limits)
    with store.claim(study_id) as touch, first_ctrl_c(lambda again: _stop(drive, again)):
        if before is not None and before.info.fingerprint != info.fingerprint:
            progress.notice(f"{info.name} has changed since this study was last run: its trials are made anew.")
            store.save_step_times(study_id, ())
            before = None
        try:
            _settle(drive, before.info.threads if before else 0, touch)
            store.save_study(study_id, name, spec, drive.info)
            stage = ""
            while not (step := _next_plan(drive)).complete and not drive.time_is_up:
                if (stage, step.stage) == ("tuning", "confirming"):
                    _say_what_can_be_told_apart(drive)
                stage = step.stage
                _keep_busy(drive, step, touch)
            if not step.complete:
                progress.notice(
                    f"Time is up after {limits.minutes:g} minutes, with {len(drive.results)} trials of about "
                    f"{step.n_expected}; {_next(drive)}."
                )
            _refuse_if_all_failed(drive)
            _time_quietly(drive, touch)
        finally:
            store.add_seconds(study_id, time.monotonic() - drive.started)
    return store.study(study_id)


def _settle(drive: _Drive, threads: int, touch: Callable[[], None]) -> None:
    """Make the executor ready, and fix how many threads each trial has: for the life of a study, if it is not yet."""
    drive.info = dataclasses.replace(drive.info, threads=threads)
    step = _next_plan(drive) if threads else plan(drive.spec, drive.info, {})
    trials = [settings for settings in step.trials if trial_id(settings) not in drive.results]
    if step.complete or drive.time_is_up or not trials:
        return
    found = drive.executor.settle(trials, threads or None, _while_waiting(drive, touch))
    if not threads:
        drive.info = dataclasses.replace(drive.info, threads=found)
    if drive.info.threads > 1:
        drive.progress.notice(
            f"Each trial has {drive.info.threads} threads: so the study is faster, or fits in memory."
        )


def _while_waiting(drive: _Drive, touch: Callable[[], None], limit_s: float = math.inf) -> Callable[[], None]:
    """Return what to do several times a second while the executor is busy with something that is no trial."""
    started = time.monotonic()

    def on_wait() -> None:
        touch()
        if drive.stopping:
            raise _stopped(drive)
        if time.monotonic() - started > limit_s:
            raise ExecutorError(f"The quiet pass was ended after {limit_s:.0f} s; steps may hang.")

    return on_wait


def _say_what_can_be_told_apart(drive: _Drive) -> None:
    sentence = power_notice(drive.spec, drive.info, drive.results.values())
    if sentence is not None:
        drive.progress.notice(sentence)


def _known(store: Store, study_id: str) -> StudyRecord | None:
    """Return the study as it was left, without its trials, None where it is new."""
    try:
        return store.outline(study_id)
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
        drive.keep(known)


def _keep_busy(drive: _Drive, step: Plan, touch: Callable[[], None]) -> None:
    """Give every free worker the longest trial that waits, and take in events until the plan may have changed.

    A worker that becomes free gets its next trial before what it has found is stored, which takes the disk a while.
    """
    begun = drive.results.keys() | drive.running.keys()
    drive.queue = Queue(settings for settings in step.trials if trial_id(settings) not in begun)
    mean_work = statistics.fmean(map(work_of, step.trials))
    event: Event | None = None
    while True:
        while not drive.stopping and not drive.time_is_up and drive.queue and drive.executor.free():
            _start(drive, drive.queue.pop())
        finished = event is not None and _take_in(drive, event)
        if drive.stopping and not drive.running:
            raise _stopped(drive)
        if (finished and not drive.queue) or (drive.time_is_up and not drive.running):
            return
        touch()
        _give_up_on_the_hung(drive)
        event = drive.executor.next_event(SECONDS_BETWEEN_UPDATES)
        if time.monotonic() - drive.shown >= SECONDS_BETWEEN_UPDATES:
            drive.progress.update(_state(drive, step.stage, step.n_expected, mean_work))
            drive.shown = time.monotonic()


def _start(drive: _Drive, settings: TrialSettings) -> None:
    drive.running[trial_id(settings)] = Running(settings, time.monotonic())
    drive.executor.submit(trial_id(settings), settings)


def _take_in(drive: _Drive, event: Event) -> bool:
    """Keep what an event brings; True when a trial has ended."""
    if event.examples is not None:
        if event.key in drive.running:
            drive.running[event.key].hear(time.monotonic())
        return False
    if event.key not in drive.running:
        raise ExecutorError(
            f"A worker process was to load the workload, but this was raised: {last_line(event.error)}; mend it and "
            "run the study again."
        )
    settings = drive.running.pop(event.key).settings
    result = event.result or failed_trial(settings, event.error or "")
    drive.keep({event.key: result})
    drive.work_done += work_of(settings)
    if result.status == "failed":
        drive.n_failed += 1
        reason = last_line(result.message)
        drive.progress.notice(f"A trial at batch size {settings.batch_size} failed: {reason}")
        if drive.n_failed >= MOST_FAILURES and drive.n_failed * 2 > len(drive.results):
            raise _all_failing(drive.n_failed, reason)
    return True


def _give_up_on_the_hung(drive: _Drive) -> None:
    """Cancel trials that take longer than they may; what becomes of them is read as an event."""
    for key, trial in drive.running.items():
        reason = why_hung(trial, time.monotonic(), drive.limits.trial_s)
        if reason is not None:
            drive.executor.cancel(key, reason)


def _refuse_if_all_failed(drive: _Drive) -> None:
    failed = [one for one in drive.results.values() if one.status == "failed"]
    if failed and len(failed) == len(drive.results):
        raise _all_failing(len(failed), last_line(failed[-1].message))


def _all_failing(count: int, reason: str) -> ExecutorError:
    return ExecutorError(f"{count} trials failed, the last with: {reason}; mend that and run the study again.")


def _stopped(drive: _Drive) -> StudyInterrupted:
    return StudyInterrupted(f"Stopped: {len(drive.results)} finished trials are kept; {_next(drive)}.")


def _next(drive: _Drive) -> str:
    return how_to_go_on(drive.spec, drive.name, drive.store.url)


def _time_quietly(drive: _Drive, touch: Callable[[], None]) -> None:
    """Measure the step time of every size that trains, unless the store has it, when no trial is running any more.

    A failure costs the seconds in the answer and nothing else.
    """
    settings, together_s = to_time(drive.spec, drive.info, drive.results.values())
    timed = {one.batch_size for one in drive.store.outline(drive.study_id).step_times}
    if timed >= {one.batch_size for one in settings}:
        return
    limit = drive.limits.trial_s or LEAST_TIMING_S + MOST_STEPS_TIMED * together_s
    drive.progress.update(_state(drive, "timing"))
    try:
        times = drive.executor.time_steps(settings, _while_waiting(drive, touch, limit))
        drive.store.save_step_times(drive.study_id, times)
    except ExecutorError as error:
        drive.progress.notice(f"Step times could not be measured: {str(error).splitlines()[0]}")


def _state(drive: _Drive, stage: str, n_expected: int = 0, mean_work: float = 0.0) -> ProgressState:
    done, waiting = len(drive.results), len(drive.running) + len(drive.queue)
    elapsed = time.monotonic() - drive.started
    work_left = drive.queue.work + sum(work_of(one.settings) for one in drive.running.values()) / 2
    work_left += max(0, n_expected - done - waiting) * mean_work
    return ProgressState(
        study_name=drive.name,
        stage=stage,
        done=done,
        total=max(n_expected, done),
        running=tuple(_short(one.settings) for one in drive.running.values()),
        best=drive.tally.best(),
        seconds=elapsed,
        seconds_left=elapsed * work_left / drive.work_done if drive.work_done else None,
    )


def _short(settings: TrialSettings) -> str:
    return f"{settings.batch_size}@{settings.learning_rate:g}"


def _stop(drive: _Drive, again: bool) -> None:
    """Take Ctrl-C: the first lets the trials under way end, the second does not."""
    if again:
        raise StudyInterrupted(f"Stopped at once; {_next(drive)}.")
    drive.stopping = True
    drive.progress.notice(f"Finishing the trials under way ({len(drive.running)}); Ctrl-C again stops at once.")
