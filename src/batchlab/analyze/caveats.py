"""What a reader must know before believing an answer: confounded designs first, then what went wrong."""

from collections.abc import Mapping, Sequence

from batchlab.analyze.contest import FEWEST_SEEDS
from batchlab.analyze.learning_rates import ChosenLearningRate
from batchlab.analyze.wording import say_list
from batchlab.records import StudySpec, TrialResult


def warnings_of(
    spec: StudySpec,
    rates: Mapping[int, ChosenLearningRate],
    confirmed: Mapping[int, Sequence[TrialResult]],
    diverged: Sequence[int],
) -> tuple[str, ...]:
    """Return the warnings of the study's own answer, the gravest first."""
    found = [*_unfinished(spec, confirmed, diverged), *_confounded_with_learning_rate(spec)]
    found += _confounded_with_updates(spec, confirmed)
    if diverged:
        counts = [
            f"{size} ({sum(one.status == 'diverged' for one in confirmed[size])} of {len(confirmed[size])} seeds)"
            if confirmed[size]
            else f"{size} (at every learning rate tried)"
            for size in diverged
        ]
        found.append(f"Training diverged at batch size {say_list(counts)}; these count as worse.")
    edges = [size for size, rate in rates.items() if rate.at_edge]
    if edges:
        found.append(f"The best learning rate stayed at the edge of the search at batch size {say_list(edges)}.")
    if spec.seeds < FEWEST_SEEDS:
        found.append(f"Fewer than {FEWEST_SEEDS} seeds a size: there are no intervals, and no difference can be shown.")
    if spec.same_batch_size is not None:
        found.append(
            f"A/A control: every arm trained at batch size {spec.same_batch_size}, whatever its name; any difference "
            "claimed here is false."
        )
    return tuple(found)


def _unfinished(spec: StudySpec, confirmed: Mapping[int, Sequence[TrialResult]], diverged: Sequence[int]) -> list[str]:
    missing = [size for size in spec.batch_sizes if size not in diverged and len(confirmed[size]) < spec.seeds]
    if not missing:
        return []
    return [f"Not finished: trials are missing at batch size {say_list(missing)}; `batchlab resume` goes on."]


def _confounded_with_learning_rate(spec: StudySpec) -> list[str]:
    if len(spec.batch_sizes) < 2 or spec.lr_mode == "tune" or spec.same_batch_size is not None:
        return []
    if spec.lr_mode == "fixed":
        return [
            f"One learning rate ({spec.base_lr:g}) for every batch size: batch size is confounded with lr/B, the "
            "distance moved and the noise per example. `--lr tune` takes the two apart."
        ]
    return [
        f"Learning rates follow the {spec.lr_mode} rule from {spec.base_lr:g} at {spec.base_batch_size}: batch size is "
        "confounded with how well that rule holds here. `--lr tune` takes the two apart."
    ]


def _confounded_with_updates(spec: StudySpec, confirmed: Mapping[int, Sequence[TrialResult]]) -> list[str]:
    if spec.budget.kind == "steps" or spec.same_batch_size is not None:
        return []
    steps = {size: found[0].settings.n_steps for size, found in confirmed.items() if found}
    if len(steps) < 2:
        return []
    small, large = min(steps), max(steps)
    return [
        f"Equal {spec.budget.kind}: batch size is confounded with the number of updates, {steps[small]:,} at {small} "
        f"against {steps[large]:,} at {large}. See the comparison under equal steps."
    ]
