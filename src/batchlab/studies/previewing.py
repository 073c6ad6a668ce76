"""What a study would do, found out without training it: its plan is followed with results that are imagined."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from batchlab.analyze.arms import arm_of
from batchlab.analyze.findings import StudyLabel
from batchlab.analyze.power import power_before
from batchlab.analyze.power_notices import power_notice
from batchlab.analyze.preview import Preview, SizePreview, Span, StagePreview
from batchlab.analyze.tuned_choice import tuning_words
from batchlab.analyze.tuning_box import setting_at
from batchlab.records import StudySpec, TrialResult, TrialSettings, WorkloadInfo, identity
from batchlab.studies.controls import plan_with_controls
from batchlab.studies.imagined import imagined
from batchlab.studies.plan import plan
from batchlab.studies.trial_costs import TrialCost
from batchlab.studies.trials import trial_id, trial_settings

STAGES = ("tuning", "comparing", "controls")
# How far above where the search begins the best learning rates are imagined.
FAR_OCTAVES = 3

Known = Callable[[Iterable[str]], Mapping[str, TrialResult]]


@dataclasses.dataclass(frozen=True, slots=True)
class Course:
    """All trials of a study, if the best learning rates lie somewhere; `known` are the results that there are."""

    spec: StudySpec
    trials: tuple[TrialSettings, ...]
    known: Mapping[str, TrialResult]

    def of(self, stage: str) -> list[TrialSettings]:
        """Return the trials of one stage."""
        return [one for one in self.trials if _stage_of(self.spec, one) == stage]

    def waiting(self, stage: str) -> list[TrialSettings]:
        """Return those that would have to be run."""
        return [one for one in self.of(stage) if trial_id(one) not in self.known]


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """A study before it is run: the course with the fewest trials, and one with many."""

    spec: StudySpec
    info: WorkloadInfo
    low: Course
    high: Course

    @property
    def known(self) -> list[TrialResult]:
        """Return the results that the store has."""
        return list({**self.low.known, **self.high.known}.values())


def outlook_of(spec: StudySpec, info: WorkloadInfo, known: Known) -> Outlook:
    """Return how the study would go: its best learning rates where the search begins, or 8 times higher everywhere.

    `known` gives those results of trials, by id, that the store has.
    """
    low = _course(spec, info, known, 0)
    # Where several settings are tuned their number is fixed, wherever the best ones lie.
    return Outlook(spec, info, low, low if spec.tune else _course(spec, info, known, FAR_OCTAVES))


def preview_of(outlook: Outlook, costs: Mapping[int, TrialCost], *, name: str, workers: int, timed_by: str) -> Preview:
    """Return what the study would do.

    Args:
        outlook: how it would go.
        costs: of a trial, by batch size.
        name: the study's.
        workers: trials at a time.
        timed_by: where the costs come from, "trials" or "timing".
    """
    spec, info = outlook.spec, outlook.info
    stages = tuple(_stage(outlook, costs, name) for name in STAGES if outlook.high.of(name))
    power = power_notice(spec, info, outlook.known) or power_before(spec.seeds, len(spec.batch_sizes), spec.level)
    return Preview(
        study=StudyLabel(identity(spec), name),
        workload=info.name,
        device=spec.device,
        budget=spec.budget,
        learning_rate_mode=spec.lr_mode,
        stages=stages,
        batch_sizes=tuple(_size(outlook, arm, costs) for arm in spec.batch_sizes),
        trials=Span(sum(one.trials.low for one in stages), sum(one.trials.high for one in stages)),
        seconds=Span(
            sum(one.trial_seconds.low for one in stages) / workers,
            sum(one.trial_seconds.high for one in stages) / workers,
        ),
        workers=workers,
        timed_by=timed_by,
        power=power,
        notes=tuple(_notes(outlook, timed_by)),
        tune=spec.tune,
    )


def _course(spec: StudySpec, info: WorkloadInfo, known: Known, octaves: float) -> Course:
    results: dict[str, TrialResult] = {}
    stored: dict[str, TrialResult] = {}
    while not (step := plan_with_controls(spec, info, results)).complete:
        unknown = {trial_id(one): one for one in step.trials if trial_id(one) not in results}
        stored |= {key: one for key, one in known(unknown).items() if one.status != "failed"}
        results |= {key: stored.get(key) or imagined(spec, info, one, octaves) for key, one in unknown.items()}
    return Course(spec, step.trials, stored)


def _stage_of(spec: StudySpec, settings: TrialSettings) -> str:
    """Return the stage to which a trial belongs; those of an arm, or of today's setting, are no control's."""
    alike = all(getattr(settings, name) == getattr(spec, name) for name in ("permute_labels", "noise_batch_size"))
    if settings.purpose == "control" or not alike or (settings.replica and spec.same_batch_size is None):
        return "controls"
    return "tuning" if settings.purpose == "tune" else "comparing"


def _stage(outlook: Outlook, costs: Mapping[int, TrialCost], name: str) -> StagePreview:
    spec = outlook.spec
    low, high = outlook.low.waiting(name), outlook.high.waiting(name)
    # Seeds that are added where the answer stays open.
    more = (spec.max_seeds or spec.seeds) - spec.seeds if name == "comparing" else 0
    added = [one for one in outlook.high.of(name) if one.seed == 0] * more
    seconds = [sum(costs[one.batch_size].seconds(one) for one in trials) for trials in (low, [*high, *added])]
    return StagePreview(
        name=name,
        trials=Span(len(low), len(high) + len(added)),
        stored=len(outlook.low.of(name)) - len(low),
        trial_seconds=Span(*seconds),
    )


def _size(outlook: Outlook, arm: int, costs: Mapping[int, TrialCost]) -> SizePreview:
    spec = outlook.spec
    trial = trial_settings(spec, outlook.info, arm, spec.base_lr, 0, "confirm")
    first = [one for one in plan(spec, outlook.info, {}).trials if arm_of(spec, one) == arm]
    rates = tuple(sorted({one.learning_rate for one in first}))
    if spec.tune:
        rates = tuple(setting_at(spec, arm, (end, *(0.5 for _ in spec.tune))).learning_rate for end in (0.0, 1.0))
    return SizePreview(arm, trial.n_steps, rates, costs[trial.batch_size].seconds(trial))


def _notes(outlook: Outlook, timed_by: str) -> list[str]:
    spec, notes = outlook.spec, []
    if len(outlook.high.trials) > len(outlook.low.trials):
        notes.append(
            "Fewest trials: the best learning rates lie where the search begins. Most: they lie "
            f"{2**FAR_OCTAVES} times higher at every batch size"
            + (f", and {spec.max_seeds} seeds are needed everywhere." if spec.max_seeds else ".")
        )
    elif spec.max_seeds:
        notes.append(f"Most trials: {spec.max_seeds} seeds are needed at every batch size.")
    if spec.tune:
        notes.append(tuning_words(spec))
    if spec.search == "model":
        notes.append(
            "Trials of a race end at the target, or when they cannot win any more: the seconds are upper limits."
        )
    words = {"trials": "trials like these in the store", "timing": "short trials just now"}
    notes.append(f"Time: from {words[timed_by]}; other work on the machine makes it longer.")
    return notes
