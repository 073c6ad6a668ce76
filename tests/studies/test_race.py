"""A race through the driver: what the plan asks for is run, in the right order, and can be taken up again."""

from collections.abc import Callable, Sequence

from batchlab.analyze.study import analyze_study
from batchlab.records import StepTime, StudyRecord, TrialSettings
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from race_cases import finished, soft
from simulated import InstantExecutor

WORLD = soft()


class TimedExecutor(InstantExecutor):
    """Knows the step times of the world, and how many trials had been run when it was asked for them."""

    ran_before: int | None = None

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return the step times."""
        assert self.ran_before is None
        self.ran_before = len(self.ran)
        on_wait()
        return WORLD.step_times()


def run(store: MemoryStore, executor: InstantExecutor) -> StudyRecord:
    """Run the race."""
    return run_study(WORLD.spec(), WORLD.info, name="s", store=store, executor=executor, progress=Quiet())


def test_a_race_is_timed_once_and_before_its_first_trial() -> None:
    executor = TimedExecutor(WORLD.result)
    record = run(MemoryStore(), executor)
    assert executor.ran_before == 0
    assert record.step_times == WORLD.step_times()


def test_the_driver_runs_what_the_plan_says() -> None:
    record = run(MemoryStore(), TimedExecutor(WORLD.result))
    assert {one.settings for one in record.trials} == {one.settings for one in finished(WORLD).trials}
    assert analyze_study(record).answer == analyze_study(finished(WORLD)).answer


def test_a_race_that_is_over_runs_nothing_again() -> None:
    store, again = MemoryStore(), TimedExecutor(WORLD.result)
    first = run(store, TimedExecutor(WORLD.result))
    assert run(store, again).trials == first.trials
    assert again.ran == [] and again.ran_before is None
