"""The driver of a study: asks the plan what is next, keeps the workers busy, and is the only writer of the records."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from contextlib import suppress

from batchlab.analyze.power_notices import power_notice
from batchlab.errors import ExecutorError, StoreError, StudyInterrupted
from batchlab.records import StudyRecord, StudySpec, TrialSettings, WorkloadInfo, identity
from batchlab.studies.controls import plan_with_controls
from batchlab.studies.drive import Drive
from batchlab.studies.driver import user_name
from batchlab.studies.executors import Event, Executor
from batchlab.studies.plan import Plan
from batchlab.studies.progress import Progress, how_to_go_on, last_line
from batchlab.studies.quiet_pass import to_time
from batchlab.studies.running import NO_LIMITS, Limits, Running, failed_trial, why_hung, work_of
from batchlab.studies.signals import first_ctrl_c
from batchlab.studies.store import Claim, Store, known_study
from batchlab.studies.tally import Queue
from batchlab.studies.trials import trial_id

MOST_FAILURES = 5
SECONDS_BETWEEN_UPDATES = 0.2
SECONDS_BETWEEN_LOOKS = 1.0


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

    A finished trial is committed as soon as its worker has the next one. Trials that failed in an earlier run are tried
    again. A trial that hangs fails. When time is up no more trials begin, and the record is what there is.

    Raises:
        StudyRunning: another driver works on this study.
        StudyInterrupted: Ctrl-C; trials under way were finished and kept.
        ExecutorError: trial after trial fails.
    """
    study_id = identity(spec)
    before = known_study(store, study_id)
    if before is None:
        store.save_study(study_id, name, spec, dataclasses.replace(info, threads=0))
    drive = Drive(spec, info, store, executor, progress, study_id, name, limits)
    with store.claim(study_id) as claim, first_ctrl_c(lambda again: _stop(drive, again)):
        if before is not None and before.info.fingerprint != info.fingerprint:
            progress.notice(f"{info.name} has changed since this study was last run: its trials are made anew.")
            store.save_step_times(study_id, ())
            before = None
        try:
            _settle(drive, before.info.threads if before else 0, claim)
            store.save_study(study_id, name, spec, drive.info)
            _time_quietly(drive, claim, first=True)
            stage = ""
            while not (step := _next_plan(drive)).complete and not drive.time_is_up:
                if (stage, step.stage) == ("tuning", "confirming"):
                    _say_what_can_be_told_apart(drive)
                stage = step.stage
                _keep_busy(drive, step, claim)
            if not step.complete:
                progress.notice(
                    f"Time is up after {limits.minutes:g} minutes, with {len(drive.results)} trials of about "
                    f"{step.n_expected}; {_next(drive)}."
                )
            _refuse_if_all_failed(drive)
            _time_quietly(drive, claim)
        finally:
            # Where the store is what failed, that is the error to show.
            with suppress(StoreError):
                store.add_seconds(study_id, time.monotonic() - drive.started)
    return store.study(study_id)


def _settle(drive: Drive, threads: int, claim: Claim) -> None:
    """Make the executor ready, and fix how many threads each trial has: for the life of a study, if it is not yet."""
    drive.info = dataclasses.replace(drive.info, threads=threads)
    step = _next_plan(drive) if threads else plan_with_controls(drive.spec, drive.info, {})
    trials = [settings for settings in step.trials if trial_id(settings) not in drive.results]
    if step.complete or drive.time_is_up or not trials:
        return
    found = drive.executor.settle(trials, threads or None, _while_waiting(drive, claim))
    if not threads:
        drive.info = dataclasses.replace(drive.info, threads=found)
    if drive.info.threads > 1:
        drive.progress.notice(
            f"Each trial has {drive.info.threads} threads: so the study is faster, or fits in memory."
        )


def _while_waiting(drive: Drive, claim: Claim, limit_s: float = math.inf) -> Callable[[], None]:
    """Return what to do several times a second while the executor is busy with something that is no trial."""
    started = time.monotonic()

    def on_wait() -> None:
        claim.touch()
        if drive.stopping:
            raise _stopped(drive)
        if time.monotonic() - started > limit_s:
            raise ExecutorError(f"The quiet pass was ended after {limit_s:.0f} s; steps may hang.")

    return on_wait


def _say_what_can_be_told_apart(drive: Drive) -> None:
    sentence = power_notice(drive.spec, drive.info, drive.results.values(), drive.step_times)
    if sentence is not None:
        drive.progress.notice(sentence)


def _next_plan(drive: Drive) -> Plan:
    """Return the plan once everything the store knows of it has been taken in."""
    while True:
        step = plan_with_controls(drive.spec, drive.info, drive.results, drive.step_times)
        unasked = {trial_id(settings) for settings in step.trials} - drive.asked
        drive.asked |= unasked
        if not _adopt(drive, unasked):
            return step


def _adopt(drive: Drive, keys: set[str]) -> set[str]:
    """Take in the results that the store has of these trials, whoever made them, and return their keys."""
    known = {key: found for key, found in drive.store.results(keys).items() if found.status != "failed"}
    if known:
        drive.keep(known)
    return set(known)


def _keep_busy(drive: Drive, step: Plan, claim: Claim) -> None:
    """Give every free worker the longest trial that waits, and take in events until the plan may have changed.

    A worker that becomes free gets its next trial before what it has found is stored, which takes the disk a while.
    """
    begun = drive.results.keys() | drive.running.keys()
    drive.queue = Queue(settings for settings in step.trials if trial_id(settings) not in begun)
    mean_work = statistics.fmean(map(work_of, step.trials))
    drive.elsewhere = []
    event: Event | None = None
    while True:
        while not drive.stopping and not drive.time_is_up and drive.queue and drive.executor.free():
            _start(drive, drive.queue.pop(), claim)
        finished = (event is not None and _take_in(drive, event)) or _found_elsewhere(drive)
        if drive.stopping and not drive.running:
            raise _stopped(drive)
        if (finished and not drive.queue) or (drive.time_is_up and not drive.running):
            return
        claim.touch()
        _give_up_on_the_hung(drive)
        event = _next_event(drive)
        if time.monotonic() - drive.shown >= SECONDS_BETWEEN_UPDATES:
            drive.progress.update(drive.state(step.stage, step.n_expected, mean_work))
            drive.shown = time.monotonic()


def _start(drive: Drive, settings: TrialSettings, claim: Claim) -> None:
    """Run a trial, or put it to those that the driver of another study runs at this moment."""
    key = trial_id(settings)
    if claim.take(key):
        drive.running[key] = Running(settings, time.monotonic())
        drive.executor.submit(key, settings)
    else:
        drive.elsewhere.append(settings)


def _next_event(drive: Drive) -> Event | None:
    if drive.running:
        return drive.executor.next_event(SECONDS_BETWEEN_UPDATES)
    time.sleep(SECONDS_BETWEEN_UPDATES)
    return None


def _found_elsewhere(drive: Drive) -> bool:
    """Take in what other drivers have brought by now, and ask for the rest again: they may have given it up."""
    if not drive.elsewhere or time.monotonic() - drive.looked < SECONDS_BETWEEN_LOOKS:
        return False
    drive.looked = time.monotonic()
    found = _adopt(drive, {trial_id(settings) for settings in drive.elsewhere})
    drive.queue = Queue([*drive.queue, *(one for one in drive.elsewhere if trial_id(one) not in found)])
    drive.elsewhere = []
    return bool(found)


def _take_in(drive: Drive, event: Event) -> bool:
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
    result = dataclasses.replace(result, owner=user_name())
    drive.keep({event.key: result})
    drive.work_done += work_of(settings)
    if result.status == "failed":
        drive.n_failed += 1
        reason = last_line(result.message)
        drive.progress.notice(f"A trial at batch size {settings.batch_size} failed: {reason}")
        if drive.n_failed >= MOST_FAILURES and drive.n_failed * 2 > len(drive.results):
            raise _all_failing(drive.n_failed, reason)
    return True


def _give_up_on_the_hung(drive: Drive) -> None:
    """Cancel trials that take longer than they may; what becomes of them is read as an event."""
    for key, trial in drive.running.items():
        reason = why_hung(trial, time.monotonic(), drive.limits.trial_s)
        if reason is not None:
            drive.executor.cancel(key, reason)


def _refuse_if_all_failed(drive: Drive) -> None:
    failed = [one for one in drive.results.values() if one.status == "failed"]
    if failed and len(failed) == len(drive.results):
        raise _all_failing(len(failed), last_line(failed[-1].message))


def _all_failing(count: int, reason: str) -> ExecutorError:
    return ExecutorError(f"{count} trials failed, the last with: {reason}; mend that and run the study again.")


def _stopped(drive: Drive) -> StudyInterrupted:
    return StudyInterrupted(f"Stopped: {len(drive.results)} finished trials are kept; {_next(drive)}.")


def _next(drive: Drive) -> str:
    return how_to_go_on(drive.spec, drive.name, drive.store.url)


def _time_quietly(drive: Drive, claim: Claim, *, first: bool = False) -> None:
    """Measure the step time of every size that trains, unless the store has it: when no trial is running any more.

    In a race to a target that is before the first one, as seconds decide who is still in. A failure costs the seconds
    in the answer and nothing else.
    """
    if first != (drive.spec.search == "model"):
        return
    drive.step_times = drive.store.outline(drive.study_id).step_times
    settings, limit_s = to_time(drive.spec, drive.info, drive.results.values())
    if {one.batch_size for one in drive.step_times} >= {one.batch_size for one in settings}:
        return
    limit = drive.limits.trial_s or limit_s
    drive.progress.update(drive.state("timing"))
    try:
        drive.step_times = drive.executor.time_steps(settings, _while_waiting(drive, claim, limit))
        drive.store.save_step_times(drive.study_id, drive.step_times)
    except ExecutorError as error:
        drive.progress.notice(f"Step times could not be measured: {str(error).splitlines()[0]}")


def _stop(drive: Drive, again: bool) -> None:
    """Take Ctrl-C: the first lets the trials under way end, the second does not."""
    if again:
        raise StudyInterrupted(f"Stopped at once; {_next(drive)}.")
    drive.stopping = True
    drive.progress.notice(f"Finishing the trials under way ({len(drive.running)}); Ctrl-C again stops at once.")
