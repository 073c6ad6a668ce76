"""What else whoever reads an answer should know."""

from collections.abc import Mapping, Sequence

from batchlab.analyze.findings import Answer
from batchlab.analyze.loading import loading_notes
from batchlab.analyze.looks import seed_looks
from batchlab.analyze.power_notices import power_notes
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.race import OPTIMISM
from batchlab.analyze.race_findings import race_findings
from batchlab.analyze.tuned_choice import tuning_words
from batchlab.analyze.wording import say_list
from batchlab.records import QUIET_SPREAD, StepTime, StudySpec


def notes_of(study: Prepared, others: Mapping[str, Answer | None], *, n_left_out: int) -> tuple[str, ...]:
    """Return the notes: how to read the numbers, then of the workload, then what is missing or unsure."""
    info = study.record.info
    notes = race_notes(study) if study.is_race else _budget_notes(study)
    if not info.redraws:
        notes.append(
            f"All seeds share one validation set of {info.n_valid:,} {info.unit}s: intervals are about training again, "
            "not about drawing other validation data."
        )
    notes += looks_notes(study)
    notes += power_notes(study)
    notes += info.notes
    if n_left_out:
        notes.append(f"{n_left_out} trials made before the workload changed are kept in the store and left out here.")
    notes += _time_notes(study, others)
    notes += loading_notes(study.confirmed, info)
    if not info.n_test:
        notes.append("The workload has no test set.")
    return tuple(notes)


def race_notes(study: Prepared) -> list[str]:
    """Return how a race was run: where its trials end, by what learning rates were chosen, and what was dropped."""
    spec = study.record.spec
    notes = [
        "This was a race to the target: trials end there, or when they cannot win any more, so there is nothing to say "
        "of other budgets. Learning rates are those of least expected cost by one surface over learning rate and batch "
        "size, fitted to all scouting trials; intervals contain the noise of choosing them."
    ]
    found = race_findings(study)
    slow = [one for one in found.dropped if one.in_time] if found is not None else []
    late = [one.batch_size for one in found.dropped if not one.in_time] if found is not None else []
    if found is not None and slow:
        words = [
            f"{one.batch_size} (about {one.cost_ratio:.2g} times, at best {one.cost_ratio_low:.2g})" for one in slow
        ]
        notes.append(
            f"Not confirmed, as even an optimistic limit of their {found.objective} to the target exceeds the best by "
            f"more than {100 * found.margin:g}%: {say_list(words)}. The limit is {OPTIMISM:g} standard errors down."
        )
    if late:
        notes.append(
            f"Not confirmed, as even an optimistic limit of the examples to the target exceeds the budget: "
            f"{say_list(late)}. A longer budget would tell."
        )
    if spec.confirm == "all":
        notes.append("Every batch size was scouted alike and confirmed, whatever its chances (`confirm` all).")
    return notes


def _budget_notes(study: Prepared) -> list[str]:
    notes = [
        "Equal steps, examples and seconds are read off the same curves: learning rates fit the study's own budget."
    ]
    spec = study.record.spec
    if spec.tune:
        notes += [tuning_words(spec), _tuning_noise(spec)]
    elif spec.lr_mode == "tune":
        notes.append("Learning rates were tuned on validation loss; intervals contain the noise of choosing them.")
    return notes


def _tuning_noise(spec: StudySpec) -> str:
    if spec.tuning_seeds < 2:
        return (
            "Intervals contain that other settings might have been tried, but not the noise of choosing among those "
            "that were: with one tuning seed nothing shows it."
        )
    return (
        "Intervals contain the noise of that choice, and that other settings might have been tried: `--tuning-trials` "
        "and `--tuning-seeds` make both smaller. Each batch size was tuned for itself, without smoothing."
    )


def looks_notes(study: Prepared) -> list[str]:
    """Return how seeds were added, where they were."""
    course, spec = study.course, study.record.spec
    if course is None or spec.max_seeds is None:
        return []
    looks = seed_looks(spec.seeds, spec.max_seeds)
    said = (
        f"Seeds were added only where the answer was open, with looks at {say_list(looks)} seeds, each at a level of "
        f"its own: the best size stays in at all of them with a probability of {100 * spec.level:g}% or more"
    )
    if course.seen:
        said += f"; the last one was at {course.seen}, at {100 * course.level:.4g}%"
    for look in sorted(set(course.dropped.values())):
        sizes = [size for size, seeds in course.dropped.items() if seeds == look]
        said += f"; {say_list(sizes)} dropped at {look}"
    return [f"{said}."]


def _time_notes(study: Prepared, others: Mapping[str, Answer | None]) -> list[str]:
    notes = []
    if not study.alive and study.diverged:
        notes.append("No comparison under other budgets: training diverged at every batch size.")
    elif study.is_race and not study.step_times:
        notes.append("Step times have not been measured: the race is about examples and steps.")
    elif others["seconds"] is None and not study.is_race:
        notes.append("No comparison under equal time: step times have not been measured.")
    spread = max((one.high_s / one.low_s for one in study.record.step_times), default=1.0)
    if spread > QUIET_SPREAD:
        notes.append(
            f"Step times varied by up to a factor of {spread:.2g} between quartiles: something else used the machine "
            "while they were measured, and seconds are unsure."
        )
    return [*notes, *threads_notes(study.record.step_times)]


def threads_notes(step_times: Sequence[StepTime]) -> list[str]:
    """Return at which batch sizes steps are faster with fewer threads than there are, and were timed so."""
    fewer = [one for one in step_times if one.threads < one.available_threads]
    if not fewer:
        return []
    sizes = {
        count: say_list([one.batch_size for one in fewer if one.threads == count])
        for count in dict.fromkeys(one.threads for one in fewer)
    }
    said = "; ".join(f"{count} at {places}" for count, places in sizes.items())
    return [
        f"Fewer threads than the machine's {fewer[0].available_threads} make faster steps at some batch sizes, and "
        f"seconds are those of the fastest number ({said}): a script of your own is as fast with torch.set_num_threads."
    ]
