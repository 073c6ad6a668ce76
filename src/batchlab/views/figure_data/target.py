"""What a target takes: steps by batch size with the fitted trade-off, and time against examples."""

from dataclasses import dataclass

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.target_findings import CurvePoint, TradeOffFindings
from batchlab.analyze.target_sentences import say_size, say_target
from batchlab.analyze.wording import say_list
from batchlab.views.wording import interval_words, seeds_words, sentence_case

# What is drawn of a run, by its status; the others have no place on an axis of steps.
MARKS = {"reached": "one seed", "not_reached": "out of budget", "plateaued": "levels off"}


@dataclass(frozen=True, slots=True)
class StepsPoint:
    """One batch size: the geometric mean of its steps to the target, with the interval where there is one."""

    batch_size: int
    steps: float
    low: float | None
    high: float | None
    n_reached: int
    n_seeds: int


@dataclass(frozen=True, slots=True)
class RunMark:
    """One trial: its steps to the target, or where it ended without; `kind` says which."""

    batch_size: int
    steps: float
    kind: str


@dataclass(frozen=True, slots=True)
class StepsToTarget:
    """Steps to the target by batch size; `curve` is empty where no trade-off was fitted.

    `regions` are the named ranges of batch sizes, cut to those tried; `critical` is the critical batch size where it
    lies among these.
    """

    title: str
    caption: str
    label: str
    batch_sizes: tuple[int, ...]
    points: tuple[StepsPoint, ...]
    runs: tuple[RunMark, ...]
    curve: tuple[CurvePoint, ...]
    regions: tuple[tuple[str, float, float], ...]
    critical: float | None


@dataclass(frozen=True, slots=True)
class CostPoint:
    """One batch size: examples and quiet seconds to the target, with intervals where there are any."""

    batch_size: int
    examples: float
    seconds: float
    seconds_low: float | None
    seconds_high: float | None
    thrifty: bool


@dataclass(frozen=True, slots=True)
class TimeAndExamples:
    """What the target costs at each batch size; the `thrifty` ones are beaten by no other in both."""

    title: str
    caption: str
    points: tuple[CostPoint, ...]
    fastest: int


def steps_to_target(findings: StudyFindings) -> StepsToTarget | None:
    """Return the steps to the target by batch size, None without a target or where no trial reached it."""
    found, tradeoff = findings.to_target, findings.tradeoff
    if found is None or findings.target is None or not any(run.status == "reached" for run in found.runs):
        return None
    goal = say_target(findings.metric, findings.target)
    points = tuple(
        StepsPoint(
            row.batch_size,
            row.steps_to_target.mean,
            row.steps_to_target.low,
            row.steps_to_target.high,
            row.n_reached or 0,
            sum(run.batch_size == row.batch_size for run in found.runs),
        )
        for row in findings.batch_sizes
        if row.steps_to_target is not None
    )
    runs = tuple(
        RunMark(run.batch_size, run.low if run.steps is None else run.steps, MARKS[run.status])
        for run in found.runs
        if run.status in MARKS
    )
    sizes = tuple(row.batch_size for row in findings.batch_sizes)
    return StepsToTarget(
        title=_steps_title(tradeoff, goal, sizes),
        caption=_steps_caption(findings, runs),
        label=f"Steps to {goal}",
        batch_sizes=sizes,
        points=points,
        runs=runs,
        curve=() if tradeoff is None else tradeoff.curve,
        regions=_regions(tradeoff, sizes),
        critical=_critical(tradeoff, sizes),
    )


def time_and_examples(findings: StudyFindings) -> TimeAndExamples | None:
    """Return time against examples to the target, None where fewer than two batch sizes have both."""
    found = findings.to_target
    if found is None or findings.target is None or found.fastest_batch_size is None:
        return None
    points = tuple(
        CostPoint(
            row.batch_size,
            row.examples_to_target.mean,
            row.seconds_to_target.mean,
            row.seconds_to_target.low,
            row.seconds_to_target.high,
            row.batch_size in found.thrifty_batch_sizes,
        )
        for row in findings.batch_sizes
        if row.seconds_to_target is not None and row.examples_to_target is not None
    )
    if len(points) < 2:
        return None
    goal = say_target(findings.metric, findings.target)
    thriftiest = min(points, key=lambda point: point.examples).batch_size
    soonest = f"Batch size {found.fastest_batch_size} gets to {goal} soonest"
    both = soonest.replace(" soonest", "") + " soonest and with the fewest examples"
    missing = tuple(row.batch_size for row in findings.batch_sizes if row.seconds_to_target is None)
    left_out = f" Without a point: {say_list(missing)}." if missing else ""
    return TimeAndExamples(
        title=both if thriftiest == found.fastest_batch_size else f"{soonest}, {thriftiest} with the fewest examples",
        caption=f"Geometric means over the seeds that reached {goal}; bars: {interval_words(findings)}, of the steps. "
        f"Time is steps times the step time of a quiet run on {findings.device}, taken as known. Line: sizes that no "
        f"other beats in both, by the means.{left_out}",
        points=points,
        fastest=found.fastest_batch_size,
    )


def _steps_title(tradeoff: TradeOffFindings | None, goal: str, sizes: tuple[int, ...]) -> str:
    if tradeoff is None:
        return sentence_case(f"steps to {goal} by batch size")
    perfect = tradeoff.regions[0].high
    if perfect >= sizes[-1]:
        return f"At every size tried, twice the batch nearly halves the steps to {goal}"
    if perfect <= sizes[0]:
        return f"At every size tried, twice the batch saves clearly less than half of the steps to {goal}"
    return f"Twice the batch nearly halves the steps to {goal}, up to about {say_size(perfect)}"


def _steps_caption(findings: StudyFindings, runs: tuple[RunMark, ...]) -> str:
    tradeoff = findings.tradeoff
    sentences = [
        f"Points: geometric mean of {seeds_words(findings)}; bars: {interval_words(findings)}, on the log scale; "
        "rings: each seed, interpolated between two evaluations"
    ]
    kinds = {run.kind for run in runs}
    if "out of budget" in kinds:
        sentences.append(
            "Upward triangles: the budget ended before the target, which counts as longer than that (mean and bar by "
            "maximum likelihood)"
        )
    if "levels off" in kinds:
        sentences.append("Crosses: the curve levels off short of the target, and there is no number of steps")
    if tradeoff is not None:
        sentences.append(
            f"Line: S = {_three_digits(tradeoff.steps_min)} + {_three_digits(tradeoff.examples_min)}/B by maximum "
            f"likelihood from {tradeoff.n} runs, with its {100 * tradeoff.level:g}% band"
        )
        sentences.append("Dashed: examples exceed their least by a quarter, and are five times their least")
        sentences += _doubts(tradeoff)
    return ". ".join(sentences) + "."


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.10g}"


def _doubts(tradeoff: TradeOffFindings) -> list[str]:
    words = {
        "shape_rejected": "The curve's form is rejected: read the points and not the line",
        "poor_fit": "Sizes scatter about the line by more than their seeds do, which the band allows for",
        "few_steps": "The fewest steps are less than 10, where steps are too coarse to tell much",
        "edge_of_range": "The sizes tried do not reach a factor of 4 to both sides of the critical one",
    }
    found = [text for flag, text in words.items() if flag in tradeoff.flags]
    if tradeoff.left_out:
        found.append(f"Not in the fit: {say_list(tradeoff.left_out)}, most of whose seeds never get there")
    return found


def _regions(tradeoff: TradeOffFindings | None, sizes: tuple[int, ...]) -> tuple[tuple[str, float, float], ...]:
    if tradeoff is None:
        return ()
    cut = [(one.name, max(one.low, sizes[0]), min(one.high, sizes[-1])) for one in tradeoff.regions]
    return tuple((name, low, high) for name, low, high in cut if low < high)


def _critical(tradeoff: TradeOffFindings | None, sizes: tuple[int, ...]) -> float | None:
    if tradeoff is None or "shape_rejected" in tradeoff.flags:
        return None
    return tradeoff.critical_batch_size if sizes[0] <= tradeoff.critical_batch_size <= sizes[-1] else None
