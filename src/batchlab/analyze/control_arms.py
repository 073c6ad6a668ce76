"""What the controls of a study add to it: arms to be held against others, as a function of what the study settled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from batchlab.analyze.arms import results_by_arm
from batchlab.numerics.rules import AUTO_RULES, scale_learning_rate
from batchlab.records import StudySpec, TrialResult, TrialSettings


@dataclass(frozen=True, slots=True)
class Base:
    """What a study has settled before its controls: learning rate and steps of each size that trained to the end.

    `small` and `large` are the ends of its range.
    """

    spec: StudySpec
    rates: Mapping[int, float]
    steps: Mapping[int, int]
    small: int
    large: int


@dataclass(frozen=True, slots=True)
class ControlArm:
    """Trials with the seeds of the comparison; `label` says how they differ from those of their batch size."""

    label: str
    batch_size: int
    learning_rate: float
    n_steps: int


@dataclass(frozen=True, slots=True)
class Pair:
    """An arm, and the one it is held against."""

    arm: ControlArm
    against: ControlArm


def base_of(spec: StudySpec, rates: Mapping[int, float], trials: Iterable[TrialResult]) -> Base | None:
    """Return what the study has settled; None where fewer than two sizes trained to the end.

    Args:
        spec: the question.
        rates: the learning rate chosen for each size.
        trials: of the study, so far.
    """
    confirmed = {
        size: [one for one in found if one.settings.learning_rate == rates.get(size)]
        for size, found in results_by_arm(spec, trials, "confirm").items()
    }
    sound = {size: found for size, found in confirmed.items() if found and all(one.status == "done" for one in found)}
    if len(sound) < 2:
        return None
    steps = {size: found[0].settings.n_steps for size, found in sound.items()}
    return Base(spec, {size: rates[size] for size in sound}, steps, min(sound), max(sound))


def purpose_of(arm: ControlArm, base: Base) -> str:
    """Return the purpose of the arm's trials: those that the study makes anyway are not made twice."""
    own = own_arm(base, arm.batch_size)
    return "confirm" if replace(arm, label=own.label) == own else "control"


def is_trial_of(arm: ControlArm, base: Base, settings: TrialSettings) -> bool:
    """Return whether a trial is one of the arm."""
    is_plain = not (settings.replica or settings.permute_labels or settings.noise_batch_size)
    same = ("batch_size", "learning_rate", "n_steps")
    return (
        is_plain
        and settings.purpose == purpose_of(arm, base)
        and all(getattr(settings, name) == getattr(arm, name) for name in same)
    )


def own_arm(base: Base, size: int) -> ControlArm:
    """Return an arm of the study itself."""
    return ControlArm("as in the study", size, base.rates[size], base.steps[size])


def learning_rate_pairs(base: Base) -> tuple[Pair, ...]:
    """Return every larger size at the rate of the smallest, at this one scaled and at its own, against the smallest."""
    small, rule = base.small, AUTO_RULES.get(base.spec.optimizer, "linear")
    pairs = []
    for size in sorted(set(base.rates) - {small}):
        scaled = float(f"{scale_learning_rate(base.rates[small], small, size, rule):.3g}")
        rates = {f"at the learning rate of {small}": base.rates[small], f"at that rate scaled ({rule})": scaled}
        arms = [ControlArm(label, size, rate, base.steps[size]) for label, rate in rates.items()]
        pairs += [Pair(arm, own_arm(base, small)) for arm in (*arms, own_arm(base, size))]
    return tuple(pairs)


def equal_updates_pairs(base: Base) -> tuple[Pair, ...]:
    """Return the largest size, as it is and with as many updates as the smallest, against the smallest."""
    return tuple(Pair(arm, own_arm(base, base.small)) for arm in (own_arm(base, base.large), _with_equal_updates(base)))


def extra_training_pairs(base: Base) -> tuple[Pair, ...]:
    """Return the smallest size that goes on unchanged for the examples equal updates take, and those against it."""
    n_steps = round(base.steps[base.small] * base.large / base.small)
    longer = ControlArm("goes on unchanged", base.small, base.rates[base.small], n_steps)
    return Pair(longer, own_arm(base, base.small)), Pair(_with_equal_updates(base), longer)


def _with_equal_updates(base: Base) -> ControlArm:
    return replace(own_arm(base, base.large), label=f"as many updates as {base.small}", n_steps=base.steps[base.small])


def noise_question(spec: StudySpec) -> StudySpec:
    """Return the study of the largest size alone with the gradient noise of the smallest, tuned like any other arm."""
    return replace(_alone(spec), batch_sizes=(max(spec.batch_sizes),), noise_batch_size=min(spec.batch_sizes))


def equal_arms_question(spec: StudySpec) -> StudySpec:
    """Return the study of two equal arms at the middle size, each tuned for itself."""
    middle = spec.batch_sizes[len(spec.batch_sizes) // 2]
    return replace(_alone(spec), batch_sizes=(1, 2), same_batch_size=middle)


def permuted_labels_question(spec: StudySpec) -> StudySpec:
    """Return the same study on permuted labels."""
    return replace(_alone(spec), permute_labels=True)


def _alone(spec: StudySpec) -> StudySpec:
    """Return the question without what is beside it: controls, a target, today's setting, more seeds as needed."""
    return replace(spec, controls=(), target=None, current=None, max_seeds=None)
