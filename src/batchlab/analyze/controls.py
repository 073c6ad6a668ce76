"""The controls of a study: one table of what each adds, and what their results say."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.control_arms import (
    Base,
    ControlArm,
    Pair,
    base_of,
    equal_arms_question,
    equal_updates_pairs,
    extra_training_pairs,
    is_trial_of,
    learning_rate_pairs,
    noise_question,
    permuted_labels_question,
)
from batchlab.analyze.control_sentences import (
    equal_arms_sentence,
    equal_updates_sentence,
    extra_training_sentence,
    learning_rate_sentence,
    noise_sentence,
    permuted_labels_sentence,
)
from batchlab.analyze.findings import ControlFindings, ControlRow, Estimate, MetricInfo
from batchlab.analyze.prepared import Prepared, prepare
from batchlab.analyze.rows import estimate
from batchlab.numerics.intervals import t_interval
from batchlab.records import StudySpec, TrialResult

Judge = Callable[[Prepared], Outcome]
UNFINISHED = "The control {} has not finished; `batchlab resume` goes on."
UNTRAINED = "The control {} cannot be judged: fewer than two batch sizes trained to the end."


@dataclass(frozen=True, slots=True)
class ArmsControl:
    """A control that adds arms to the study: which are held against which, and the sentence of what that shows."""

    pairs: Callable[[Base], tuple[Pair, ...]]
    sentence: Callable[[Base, Sequence[ControlRow], MetricInfo], str]


@dataclass(frozen=True, slots=True)
class StudyControl:
    """A control that asks a question of its own: the study that answers it, and what is to be found there."""

    question: Callable[[StudySpec], StudySpec]
    find: Callable[[str, Prepared, Prepared, Judge], ControlFindings]


@dataclass(frozen=True, slots=True)
class Trained:
    """An arm with its trials so far, and what choosing its learning rate adds to the variance of its mean."""

    arm: ControlArm
    trials: Sequence[TrialResult]
    choosing: float


def arms_of_controls(base: Base) -> tuple[ControlArm, ...]:
    """Return every arm that the controls of the study hold against another, each once."""
    controls = [CONTROLS[name] for name in base.spec.controls]
    pairs = [pair for one in controls if isinstance(one, ArmsControl) for pair in one.pairs(base)]
    return tuple(dict.fromkeys(arm for pair in pairs for arm in (pair.arm, pair.against)))


def questions_of_controls(spec: StudySpec) -> tuple[StudySpec, ...]:
    """Return the questions of their own that the controls of the study ask."""
    controls = [CONTROLS[name] for name in spec.controls]
    return tuple(one.question(spec) for one in controls if isinstance(one, StudyControl))


def control_findings(study: Prepared, judge: Judge) -> tuple[ControlFindings, ...]:
    """Return what the controls of the study show; `judge` decides a study as this one is decided."""
    return tuple(_findings(name, study, judge) for name in study.record.spec.controls)


def control_warnings(controls: Sequence[ControlFindings]) -> tuple[str, ...]:
    """Return the sentences of the controls that did not come out as they must."""
    return tuple(one.sentence for one in controls if one.as_expected is False)


def _findings(name: str, study: Prepared, judge: Judge) -> ControlFindings:
    control, spec = CONTROLS[name], study.record.spec
    if isinstance(control, StudyControl):
        return control.find(name, study, prepare(replace(study.record, spec=control.question(spec))), judge)
    base = _base(study)
    if base is None:
        return ControlFindings(name, UNTRAINED.format(name), None, ())
    rows = tuple(
        _row(study, _trained(study, base, pair.arm), _trained(study, base, pair.against))
        for pair in control.pairs(base)
    )
    return ControlFindings(name, _said(name, rows, lambda: control.sentence(base, rows, study.metric)), None, rows)


def _find_noise(name: str, study: Prepared, noisy: Prepared, judge: Judge) -> ControlFindings:
    """Return what the noise of the smallest size does to the largest, beside what the two are without it."""
    sizes = study.record.spec.batch_sizes
    small, large = (_arm_of_study(study, size, "as in the study") for size in (min(sizes), max(sizes)))
    with_noise = _arm_of_study(noisy, max(sizes), f"gradient noise of {min(sizes)}")
    if with_noise is None and noisy.diverged:
        return ControlFindings(name, f"Injected noise: with that of {min(sizes)}, {max(sizes)} cannot train.", None, ())
    if small is None or large is None:
        return ControlFindings(name, UNTRAINED.format(name), None, ())
    if with_noise is None:
        return ControlFindings(name, UNFINISHED.format(name), None, ())
    rows = _row(study, large, small), _row(study, with_noise, small), _row(study, with_noise, large)
    return ControlFindings(name, _said(name, rows, lambda: noise_sentence(rows, study.metric)), None, rows)


def _find_no_difference(label: str, sentence: Callable[..., str]) -> Callable[..., ControlFindings]:
    """Return what finds, in a study where there is no difference between batch sizes, that none is claimed.

    Args:
        label: of the arms.
        sentence: what is said of rows, outcome, metric and level.
    """

    def find(name: str, study: Prepared, own: Prepared, judge: Judge) -> ControlFindings:
        spec = own.record.spec
        arms = [arm for size in spec.batch_sizes if (arm := _arm_of_study(own, size, label)) is not None]
        if len(arms) < len(own.rates) or not arms:
            return ControlFindings(name, UNFINISHED.format(name), None, ())
        rows = tuple(_row(own, arm, arms[0]) for arm in arms)
        outcome = judge(own)
        said = _said(name, rows, lambda: sentence(rows, outcome, study.metric, spec.level))
        missing = any("missing" in row.flags for row in rows)
        return ControlFindings(name, said, None if missing else not outcome.worse, rows)

    return find


CONTROLS: Mapping[str, ArmsControl | StudyControl] = {
    "lr": ArmsControl(learning_rate_pairs, learning_rate_sentence),
    "equal-updates": ArmsControl(equal_updates_pairs, equal_updates_sentence),
    "extra-training": ArmsControl(extra_training_pairs, extra_training_sentence),
    "noise": StudyControl(noise_question, _find_noise),
    "aa": StudyControl(equal_arms_question, _find_no_difference("one of two equal arms", equal_arms_sentence)),
    "random-labels": StudyControl(
        permuted_labels_question, _find_no_difference("permuted labels", permuted_labels_sentence)
    ),
}


def _said(name: str, rows: Sequence[ControlRow], sentence: Callable[[], str]) -> str:
    return UNFINISHED.format(name) if any("missing" in row.flags for row in rows) else sentence()


def _base(study: Prepared) -> Base | None:
    rates = {size: rate.value for size, rate in study.rates.items()}
    return base_of(study.record.spec, rates, study.record.trials)


def _trained(study: Prepared, base: Base, arm: ControlArm) -> Trained:
    trials = [one for one in study.record.trials if is_trial_of(arm, base, one.settings)]
    rate = study.rates[arm.batch_size]
    return Trained(arm, trials, rate.metric_variance if rate.value == arm.learning_rate else 0.0)


def _arm_of_study(study: Prepared, size: int, label: str) -> Trained | None:
    """Return an arm as its own study has it, None where it has no trial yet."""
    found = study.confirmed[size]
    if not found:
        return None
    settings = found[0].settings
    arm = ControlArm(label, settings.batch_size, settings.learning_rate, settings.n_steps)
    return Trained(arm, found, study.rates[size].metric_variance)


def _row(study: Prepared, one: Trained, other: Trained) -> ControlRow:
    done = [trial for trial in one.trials if trial.status == "done"]
    arm, against = one.arm, other.arm
    return ControlRow(
        label=arm.label,
        batch_size=arm.batch_size,
        learning_rate=arm.learning_rate,
        n_steps=arm.n_steps,
        n_seeds=len(done),
        valid_metric=estimate(study, [trial.valid_metric for trial in done], one.choosing),
        against_label=None if one is other else against.label,
        against_batch_size=None if one is other else against.batch_size,
        loses=_loses(study, one, other),
        flags=_flags(study.record.spec, one, other),
    )


def _loses(study: Prepared, one: Trained, other: Trained) -> Estimate | None:
    """Return how much worse the one is; a learning rate that both share adds no noise of choosing it."""
    if one is other or any(trial.status != "done" for trial in (*one.trials, *other.trials)):
        return None
    scores, others = ({trial.settings.seed: trial.valid_metric for trial in arm.trials} for arm in (one, other))
    sign = -1.0 if study.metric.higher_is_better else 1.0
    differences = [sign * (scores[seed] - others[seed]) for seed in sorted(scores.keys() & others.keys())]
    if not differences or not all(map(math.isfinite, differences)):
        return None
    same = one.arm.batch_size == other.arm.batch_size and one.arm.learning_rate == other.arm.learning_rate
    choosing = 0.0 if same else one.choosing + other.choosing
    interval = t_interval(differences, level=study.record.spec.level, extra_variance=choosing)
    return Estimate(interval.mean, interval.low, interval.high)


def _flags(spec: StudySpec, one: Trained, other: Trained) -> tuple[str, ...]:
    trained = [[trial for trial in arm.trials if trial.status != "failed"] for arm in (one, other)]
    present = {
        "missing": min(map(len, trained)) < spec.seeds,
        "diverged": any(trial.status == "diverged" for trial in (*one.trials, *other.trials)),
        "too_few_seeds": min(map(len, trained)) < FEWEST_SEEDS,
    }
    return tuple(flag for flag, is_present in present.items() if is_present)
