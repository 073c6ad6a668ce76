"""From Python: run, resume or load a study; what the command does, and nothing it cannot."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchlab.analyze.findings import Answer, StudyFindings
from batchlab.analyze.preview import Preview
from batchlab.analyze.study import analyze_study
from batchlab.errors import BatchlabError, MissingPackage, StoreError, UsageError
from batchlab.records import StudyRecord, StudySpec, TrialResult, WorkloadInfo, identity
from batchlab.studies.asking import Asked, ask
from batchlab.studies.device_names import device_kind
from batchlab.studies.executors import Executor
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.opening import AnyWorkload, Where, opened_executor, trusted_reference
from batchlab.studies.plan import timed_settings
from batchlab.studies.previewing import outlook_of, preview_of
from batchlab.studies.progress import Progress, Quiet
from batchlab.studies.run import run_study
from batchlab.studies.running import Limits
from batchlab.studies.spec import mistakes_without_workload, resolve_spec
from batchlab.studies.store import Store, known_study
from batchlab.studies.store_addresses import DEFAULT_STORE
from batchlab.studies.store_opening import open_store
from batchlab.studies.trial_costs import known_costs, timed_costs

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects


@dataclasses.dataclass(frozen=True, slots=True)
class Study:
    """A study that was run: its record as stored, what an analysis finds in it, and the address of its store."""

    record: StudyRecord
    findings: StudyFindings
    store: str = ""

    @property
    def answer(self) -> Answer:
        """Return the answer under the study's own budget."""
        return self.findings.answer

    @property
    def trials(self) -> tuple[TrialResult, ...]:
        """Return every trial of the study."""
        return self.record.trials

    def report(self, path: str | os.PathLike[str] = "batchlab-report.html") -> Path:
        """Write the report, one self-contained HTML file, and return its path."""
        from batchlab.views.report import write_report

        return write_report(self.findings, self.record, Path(path))

    def plot(self) -> "plotly.graph_objects.Figure":
        """Return the figure of the validation metric by batch size."""
        from batchlab.views.figure_data import metric_by_batch_size
        from batchlab.views.figures import draw_metric_by_batch_size

        return draw_metric_by_batch_size(metric_by_batch_size(self.findings))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row a trial.

        Raises:
            MissingPackage: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingPackage(
                "`to_pandas` needs pandas, which is not installed; run `pip install pandas`."
            ) from None
        from batchlab.views.trial_table import trial_rows

        return pandas.DataFrame(trial_rows(self.trials))


def study(
    workload: AnyWorkload | os.PathLike[str],
    batch_sizes: int | str | Sequence[int] | None = None,
    *,
    spec: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    name: str | None = None,
    workers: int | None = None,
    executor: str | None = None,
    address: str | None = None,
    timeout: float | None = None,
    max_minutes: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Study:
    """Run a study, or go on with it, and return it: what batch size does to this workload.

    Args:
        workload: a built-in name, `file.py:attribute`, `package.module:attribute`, a `Workload`, or a function that
            returns one; or a spec, `file.toml`, which names it. A live workload reaches the worker processes by
            pickle; where it cannot, trials run in this process.
        batch_sizes: examples per step, a list or a range, "8:512"; by default powers of two from 8 up to 512, as far
            as the data reach.
        spec: a TOML file with options, for another workload than the one it names; what is given here wins over it.
        store: where trials are kept, a path or `postgresql+psycopg://USER@HOST/DATABASE`; `./batchlab.db` by default.
        name: a label; by default made of the workload's name and the study's id.
        workers: trials at a time; by default one a core, on a GPU one.
        executor: "local", processes here, or "ray", a Ray cluster.
        address: of the cluster: HOST:PORT, "auto" (the default), or "local", a new one on this machine.
        timeout: seconds after which a trial is given up; by default only one that gives no sign of life is.
        max_minutes: when to begin no more trials and answer with what there is; the same call goes on later.
        progress: told how the study gets on.
        options: the fields of `StudyOptions`: `lr` ("tune", "linear", "sqrt" or a number), `base_lr`,
            `base_batch_size`; one of `epochs`, `examples`, `steps`; `seeds` (or a range, `(5, 20)`: more are added
            where the answer is open), `tuning_seeds`, `seed`; `target`, a metric to reach; `optimizer`,
            `optimizer_settings` (torch's keys without `lr`, on top of the workload's own), `schedule`, `warmup`,
            `last_batch`, `margin`, `level`, `device`, `data_dir`, `micro_batch_size`, `current`, `same_batch_size`;
            `tune` ("momentum", "weight_decay", "warmup", "schedule", or some of these: tuned beside the learning
            rate), `tuning_trials`, `sampler`.

    Raises:
        UsageError: options are wrong, with a message for each; nothing was run.
        WorkloadError: the workload or its data cannot be used.
        StoreError: the store cannot be used, or another driver works on this study.
    """
    run: dict[str, Any] = {"store": store, "name": name, "workers": workers, "executor": executor, "address": address}
    run |= {"timeout": timeout, "max_minutes": max_minutes}
    asked, watcher = ask(workload, {"batch_sizes": batch_sizes, **options, **run}, spec), progress or Quiet()
    with _loaded(asked, watcher) as (runner, info):
        question = resolve_spec(asked.options, info, asked.mistakes)
        with _opened(asked.run.store, watcher) as opened:
            return _analyzed(
                run_study(
                    question,
                    info,
                    name=asked.run.name or _name_of(opened, question, info),
                    store=opened,
                    executor=runner,
                    progress=watcher,
                    limits=Limits(asked.run.timeout, asked.run.max_minutes),
                ),
                opened,
            )


def preview(
    workload: AnyWorkload | os.PathLike[str],
    batch_sizes: int | str | Sequence[int] | None = None,
    *,
    progress: Progress | None = None,
    spec: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Preview:
    """Return what `study` with the same arguments would do: trials, seconds, and what the seeds can tell apart.

    Nothing is stored, and nothing is trained beyond two short trials a batch size where the store has none to tell how
    long they take.

    Raises:
        UsageError: options are wrong, with a message for each.
        WorkloadError: the workload or its data cannot be used.
    """
    asked, watcher = ask(workload, {"batch_sizes": batch_sizes, **options}, spec), progress or Quiet()
    with _loaded(asked, watcher) as (executor, found), ExitStack() as stack:
        question = resolve_spec(asked.options, found, asked.mistakes)
        try:
            kept = stack.enter_context(_opened(asked.run.store, watcher, create=False))
        except StoreError:
            # There is none yet, or none that a study could use, which it will say.
            kept = MemoryStore()
        before = known_study(kept, identity(question))
        info = dataclasses.replace(found, threads=before.info.threads if before else 1)
        outlook, workers = outlook_of(question, info, kept.results), executor.free()
        costs = known_costs(outlook.known)
        untimed = [one for one in timed_settings(question, info) if one.batch_size not in costs]
        name = asked.run.name or _name_of(kept, question, info)
        return preview_of(
            outlook,
            costs | timed_costs(executor, untimed, info),
            name=name,
            workers=workers,
            timed_by="timing" if untimed else "trials",
        )


def resume(
    name: str = "latest",
    *,
    workload: AnyWorkload | None = None,
    store: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    executor: str | None = None,
    address: str | None = None,
    device: str | None = None,
    timeout: float | None = None,
    max_minutes: float | None = None,
    progress: Progress | None = None,
) -> Study:
    """Go on with a study of the store, by its name, the start of its id, or "latest"; finished ones come back at once.

    `workload` is needed where the study's was a Python object, and where the study was run on another machine: a file
    that a store names is not run unless it is named again here. `device` says on which GPUs a study of GPUs goes on.

    Raises:
        StudyNotFound: no study, or more than one, answers to the name.
        UsageError: the workload has to be given.
    """
    watcher = progress or Quiet()
    with _opened(store, watcher, create=False) as opened:
        record = opened.study(opened.find(name))
        spec, source = record.spec, workload if workload is not None else trusted_reference(record)
        place = device or spec.device
        if device_kind(place) != device_kind(spec.device):
            raise UsageError(
                f"A study stays on its kind of device, and {record.name} is one of {device_kind(spec.device)}, got "
                f"{place}; name devices of that kind, or start another study."
            )
        where = Where(executor, address, workers)
        with opened_executor(source, spec.data_dir, place, where, watcher) as (runner, info):
            return _analyzed(
                run_study(
                    spec,
                    info,
                    name=record.name,
                    store=opened,
                    executor=runner,
                    progress=watcher,
                    limits=Limits(timeout, max_minutes),
                ),
                opened,
            )


def load_study(name: str = "latest", *, store: str | os.PathLike[str] | None = None) -> Study:
    """Return a study as far as it has come, by its name, the start of its id, or "latest"; nothing is trained."""
    with _opened(store, Quiet(), create=False) as opened:
        return _analyzed(opened.study(opened.find(name)), opened)


@contextmanager
def _opened(store: str | os.PathLike[str] | None, watcher: Progress, *, create: bool = True) -> Iterator[Store]:
    opened = open_store(DEFAULT_STORE if store is None else store, create=create, on_notice=watcher.notice)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _loaded(asked: Asked, watcher: Progress) -> Iterator[tuple[Executor, WorkloadInfo]]:
    """Load the workload; where that fails, what else is wrong is told with it."""
    options = asked.options
    with ExitStack() as stack:
        where = Where(asked.run.executor, asked.run.address, asked.run.workers)
        try:
            loading = opened_executor(asked.workload, options.data_dir, options.device, where, watcher)
            opened = stack.enter_context(loading)
        except BatchlabError as error:
            mistakes = (*asked.mistakes, *mistakes_without_workload(options))
            if mistakes:
                raise UsageError(str(error), *mistakes) from error
            raise
        yield opened


def _name_of(store: Store, spec: StudySpec, info: WorkloadInfo) -> str:
    """Return the name the study already has, or one made of the workload's name and the study's id."""
    before = known_study(store, identity(spec))
    return before.name if before is not None else f"{info.name}-{identity(spec)[:6]}"


def _analyzed(record: StudyRecord, store: Store) -> Study:
    return Study(record, analyze_study(record), store.url)
