"""From Python: run, resume or load a study; what the command does, and nothing it cannot."""

import dataclasses
import difflib
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from batchlab.analyze.findings import Answer, StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.errors import MissingPackage, StudyNotFound, UsageError
from batchlab.records import LIVE_PREFIX, StudyRecord, StudySpec, TrialResult, WorkloadInfo, identity
from batchlab.studies.executors import LocalExecutor, WorkloadSource
from batchlab.studies.progress import Progress, Quiet
from batchlab.studies.run import run_study
from batchlab.studies.spec import StudyOptions, resolve_spec
from batchlab.studies.store import DEFAULT_STORE, Store, open_store

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects

    from batchlab.workload import Workload


@dataclasses.dataclass(frozen=True, slots=True)
class Study:
    """A study that was run: its record as stored, and what an analysis finds in it."""

    record: StudyRecord
    findings: StudyFindings

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
    workload: "str | Workload",
    batch_sizes: Sequence[int] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    name: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    optimizer_settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Study:
    """Run a study, or go on with it, and return it: what batch size does to this workload.

    Args:
        workload: a built-in name, `file.py:attribute`, `package.module:attribute`, or a `Workload`.
        batch_sizes: examples per step; by default powers of two from 8 up to 512, as far as the data reach.
        store: where trials are kept; `./batchlab.db` by default.
        name: a label; by default made of the workload's name and the study's id.
        workers: trials at a time; by default one a core, on a GPU one.
        progress: told how the study gets on.
        optimizer_settings: torch's keys without `lr`, on top of the workload's own.
        options: the fields of `StudyOptions`: `lr` ("tune", "linear", "sqrt" or a number), `base_lr`,
            `base_batch_size`; one of `epochs`, `examples`, `steps`; `seeds`, `tuning_seeds`, `seed`; `optimizer`,
            `schedule`, `warmup`, `last_batch`, `margin`, `device`, `data_dir`, `same_batch_size`.

    Raises:
        UsageError: an option is wrong; nothing was run.
        WorkloadError: the workload or its data cannot be used.
        StoreError: the store cannot be used, or another driver works on this study.
    """
    if name == "latest":
        raise UsageError("A study can have any name but `latest`, which means the study saved last; choose another.")
    asked = _options(batch_sizes, optimizer_settings, options)
    source = _source(workload, asked.data_dir)
    with LocalExecutor(source, workers=_workers(workers, asked.device)) as executor:
        info = executor.inspect(asked.device)
        spec = resolve_spec(asked, info)
        with _opened(store) as opened:
            return _run(spec, info, name or _name_of(opened, spec, info), opened, executor, progress)


def resume(
    name: str = "latest",
    *,
    store: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Study:
    """Go on with a study of the store, by its name, the start of its id, or "latest"; finished ones come back at once.

    Raises:
        StudyNotFound: no study, or more than one, answers to the name.
    """
    with _opened(store, create=False) as opened:
        record = opened.study(opened.find(name))
        if record.spec.workload.startswith(LIVE_PREFIX):
            raise UsageError(
                f"The workload of study {record.name} was a Python object, which the store does not hold; go on with "
                "`batchlab.study(workload, ...)` as you first called it, and the same store."
            )
        source = WorkloadSource(record.spec.workload, record.spec.data_dir)
        with LocalExecutor(source, workers=_workers(workers, record.spec.device)) as executor:
            return _run(record.spec, executor.inspect(record.spec.device), record.name, opened, executor, progress)


def load_study(name: str = "latest", *, store: str | os.PathLike[str] | None = None) -> Study:
    """Return a study as far as it has come, by its name, the start of its id, or "latest"; nothing is trained."""
    with _opened(store, create=False) as opened:
        return _analyzed(opened.study(opened.find(name)))


@contextmanager
def _opened(store: str | os.PathLike[str] | None, *, create: bool = True) -> Iterator[Store]:
    opened = open_store(os.fspath(store) if store is not None else DEFAULT_STORE, create=create)
    try:
        yield opened
    finally:
        opened.close()


def _options(
    batch_sizes: Sequence[int] | None, optimizer_settings: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> StudyOptions:
    known = [field.name for field in dataclasses.fields(StudyOptions)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(known)}."
            raise UsageError(f"`study` has no option {name!r}; {hint}")
    data_dir = options.get("data_dir")
    absolute = {"data_dir": os.path.abspath(os.path.expanduser(data_dir))} if data_dir is not None else {}
    return StudyOptions(
        batch_sizes=None if batch_sizes is None else tuple(batch_sizes),
        optimizer_settings=dict(optimizer_settings or {}),
        **{**options, **absolute},
    )


def _source(workload: "str | Workload", data_dir: str | None) -> WorkloadSource:
    """Return how workers come by the workload: a reference is theirs to resolve, a live object is pickled for them."""
    if isinstance(workload, str):
        file, colon, attribute = workload.rpartition(":")
        if colon and file.endswith(".py"):
            # The study can then be resumed from any folder.
            workload = f"{os.path.abspath(os.path.expanduser(file))}:{attribute}"
        return WorkloadSource(workload, data_dir)
    try:
        pickled = cloudpickle.dumps(workload)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise UsageError(
            f"The workload {workload.name!r} must reach the worker processes, but it cannot be pickled ({error}); "
            "put it into a file and give it as 'file.py:attribute'."
        ) from error
    return WorkloadSource(LIVE_PREFIX + workload.name, data_dir, pickled)


def _workers(workers: int | None, device: str) -> int | None:
    """Return how many trials run at a time; on a GPU one, unless more were asked for."""
    return 1 if workers is None and device != "cpu" else workers


def _name_of(store: Store, spec: StudySpec, info: WorkloadInfo) -> str:
    """Return the name the study already has, or one made of the workload's name and the study's id."""
    study_id = identity(spec)
    try:
        return store.study(study_id).name
    except StudyNotFound:
        return f"{info.name}-{study_id[:6]}"


def _run(
    spec: StudySpec, info: WorkloadInfo, name: str, store: Store, executor: LocalExecutor, progress: Progress | None
) -> Study:
    return _analyzed(run_study(spec, info, name=name, store=store, executor=executor, progress=progress or Quiet()))


def _analyzed(record: StudyRecord) -> Study:
    return Study(record, analyze_study(record))
