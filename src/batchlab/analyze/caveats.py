"""What a reader must know before believing an answer: confounded designs first, then what went wrong."""

from collections.abc import Mapping, Sequence

from batchlab.analyze.contest import FEWEST_SEEDS
from batchlab.analyze.findings import CurrentRow, Recommended
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.rows import micro_batch_size_of
from batchlab.analyze.wording import say_list
from batchlab.records import StudySpec, TrialResult


def warnings_of(study: Prepared) -> tuple[str, ...]:
    """Return the warnings of the study's own answer, the gravest first."""
    spec, confirmed, diverged = study.record.spec, study.confirmed, study.diverged
    found = [*_unfinished(study), *_confounded_with_learning_rate(spec)]
    found += [] if study.is_race else _confounded_with_updates(spec, confirmed)
    if diverged:
        counts = [
            f"{size} ({sum(one.status == 'diverged' for one in confirmed[size])} of {len(confirmed[size])} seeds)"
            if confirmed[size]
            else f"{size} (at every learning rate tried)"
            for size in diverged
        ]
        found.append(f"Training diverged at batch size {say_list(counts)}; these count as worse.")
    edges = [size for size, rate in study.rates.items() if rate.at_edge]
    if edges:
        move = " `--base-lr` moves the search." if spec.tune else ""
        found.append(f"The best learning rate stayed at the edge of the search at batch size {say_list(edges)}.{move}")
    found += _micro_batches_seen(study)
    if spec.seeds < FEWEST_SEEDS:
        found.append(f"Fewer than {FEWEST_SEEDS} seeds a size: there are no intervals, and no difference can be shown.")
    if spec.same_batch_size is not None:
        found.append(
            f"A/A control: every arm trained at batch size {spec.same_batch_size}, whatever its name; any difference "
            "claimed here is false."
        )
    return tuple(found)


def warning_of_current(current: CurrentRow | None, recommended: Recommended | None) -> tuple[str, ...]:
    """Return the warning where today's setting is shown to be better than the recommended one."""
    if current is None or recommended is None or "better" not in current.flags or "within_margin" in current.flags:
        return ()
    return (
        "Today's setting is shown to be better than the recommended one: keep it, and have the study search around it "
        "(`--batch-sizes`, `--base-lr`).",
    )


def _unfinished(study: Prepared) -> list[str]:
    spec = study.record.spec
    needed = {} if study.course is None else study.course.n_seeds
    # A race confirms only what is still in, and nothing where no trial has reached the target.
    arms = tuple(study.rates) if study.is_race else spec.batch_sizes
    short = [
        size
        for size in arms
        if size not in study.diverged and len(study.confirmed[size]) < needed.get(size, spec.seeds)
    ]
    places = [f"at batch size {say_list(short)}"] if short else []
    if spec.current is not None and sum(one.status != "failed" for one in study.current) < spec.seeds:
        places.append("of today's setting")
    if not places:
        return []
    return [f"Not finished: trials are missing {say_list(places)}; `batchlab resume` goes on."]


def _micro_batches_seen(study: Prepared) -> list[str]:
    """Return the warning where batch norm saw parts of a batch: its noise is then that of the part.

    One micro-batch size for all ("ghost batch", Hoffer et al. 2017) makes that noise the same at every batch size.
    """
    layer = study.record.info.batch_norm
    trained = [found for found in (*study.confirmed.values(), study.current) if found]
    micro = {found[0].settings.batch_size: micro_batch_size_of(found) for found in trained}
    split = [f"{part} examples at batch size {size}" for size, part in sorted(micro.items()) if part < size]
    if layer is None or not split:
        return []
    alike = min(micro.values())
    advice = "" if set(micro.values()) == {alike} else f" `--micro-batch-size {alike}` normalizes alike at every size."
    return [
        f"Batch norm (module {layer}) saw micro-batches of {say_list(split)}: sizes that were split are not what they "
        f"would be in one pass.{advice}"
    ]


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
