"""What the controls of a study show, a sentence each."""

from collections.abc import Sequence

from batchlab.analyze.contest import Outcome
from batchlab.analyze.control_arms import Base
from batchlab.analyze.findings import ControlRow, MetricInfo
from batchlab.analyze.wording import say_difference, say_list, say_unit

BY_CHANCE = (
    "which is false; it happens by chance in one study of {chance:.0f}, and if it happens again with another `--seed`, "
    "differences of that size are not to be trusted here"
)


def learning_rate_sentence(base: Base, rows: Sequence[ControlRow], metric: MetricInfo) -> str:
    """Return how much of the largest size's loss is its learning rate; `rows` end with those of the largest."""
    small, large = base.small, base.large
    borrowed, scaled, own = rows[-3:]
    return (
        f"Learning rate: against batch size {small}, {large} {_loss(borrowed, metric)} at the learning rate of {small} "
        f"({borrowed.learning_rate:g}), {_loss(scaled, metric)} {scaled.label} ({scaled.learning_rate:g}), and "
        f"{_loss(own, metric)} at its own ({own.learning_rate:g})."
    )


def equal_updates_sentence(base: Base, rows: Sequence[ControlRow], metric: MetricInfo) -> str:
    """Return how much of the largest size's loss is left once it makes as many updates."""
    own, equal = rows
    if equal.n_steps == own.n_steps:
        return (
            f"Equal updates: {base.large} makes as many updates as batch size {base.small} in the study itself, and "
            f"{_loss(own, metric)} against it."
        )
    times = equal.n_steps / own.n_steps
    return (
        f"Equal updates: against batch size {base.small}, {base.large} {_loss(own, metric)} with its {own.n_steps:,} "
        f"updates, and {_loss(equal, metric)} with {equal.n_steps:,}, as many as {base.small} makes (on {times:.3g} "
        "times the examples, at the learning rate of the short run)."
    )


def extra_training_sentence(base: Base, rows: Sequence[ControlRow], metric: MetricInfo) -> str:
    """Return what the extra examples of equal updates bring by themselves."""
    longer, equal = rows
    times = longer.n_steps / base.steps[base.small]
    return (
        f"Extra training: batch size {base.small} {_loss(longer, metric)} by going on unchanged for {times:.3g} times "
        f"the examples; against that, {base.large} {_loss(equal, metric)} on as many examples, with as many updates "
        f"as {base.small} had made before."
    )


def noise_sentence(rows: Sequence[ControlRow], metric: MetricInfo) -> str:
    """Return what the gradient noise of the smallest size does to the largest."""
    own, noisy, alone = rows
    small, large = own.against_batch_size, own.batch_size
    return (
        f"Injected noise: against batch size {small}, {large} {_loss(own, metric)}, and {_loss(noisy, metric)} with "
        f"the gradient noise of {small} in its {noisy.n_steps:,} updates, tuned for it (learning rate "
        f"{noisy.learning_rate:g}); by that noise it {_loss(alone, metric)}."
    )


def equal_arms_sentence(rows: Sequence[ControlRow], outcome: Outcome, metric: MetricInfo, level: float) -> str:
    """Return whether two equal arms were told apart."""
    second = rows[1]
    first = (
        f"A/A: of two arms at batch size {second.batch_size}, each tuned for itself, the second {_loss(second, metric)}"
    )
    if not outcome.worse:
        return f"{first}: they are not told apart, as it must be."
    return f"{first}: they are told apart, {BY_CHANCE.format(chance=1 / (1 - level))}."


def permuted_labels_sentence(rows: Sequence[ControlRow], outcome: Outcome, metric: MetricInfo, level: float) -> str:
    """Return whether a difference was found where there is nothing to learn."""
    if not outcome.worse:
        signal = ", nor any from a constant guess" if outcome.verdict == "no-signal" else ""
        return (
            f"Random labels: the same study on permuted labels tells none of its {len(rows)} batch sizes from "
            f"another{signal}, as it must be."
        )
    verb = "is" if len(outcome.worse) == 1 else "are"
    return (
        f"Random labels: on permuted labels {say_list(outcome.worse)} {verb} said to be worse, "
        f"{BY_CHANCE.format(chance=1 / (1 - level))}."
    )


def _loss(row: ControlRow, metric: MetricInfo) -> str:
    """Return what the arm loses, or gains, as a verb with its object and interval."""
    if row.loses is None:
        return "diverges" if "diverged" in row.flags else "has not finished"
    worse = row.loses.mean >= 0
    values = [row.loses.mean, row.loses.low, row.loses.high]
    mean, low, high = (None if value is None else value if worse else -value for value in values)
    assert mean is not None
    said = f"{'loses' if worse else 'gains'} {say_difference(metric.name, mean)}{say_unit(metric.name)}"
    if low is None or high is None:
        return said
    limits = " to ".join(say_difference(metric.name, limit) for limit in sorted((low, high)))
    return f"{said} ({limits.replace('-', '−')})"
