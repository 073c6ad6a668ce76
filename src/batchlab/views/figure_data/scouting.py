"""The scouting trials of a race at their learning rates, and the best rate that was fitted to them."""

from dataclasses import dataclass

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.target_findings import ScoutingRun
from batchlab.views.figure_data.learning_rates import LearningRateOptimum, learning_rate_title

# Upper limits of the classes of cost, over the least that was seen at a batch size; the last has none.
EDGES = (1.1, 1.25, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class ScoutingMark:
    """One scouting trial; `ratio` is its examples to the target over the fewest seen at its batch size.

    Where it was not `reached` that is what it had trained on, a lower limit; None where nothing reached it there, or
    training diverged.
    """

    batch_size: int
    learning_rate: float
    ratio: float | None
    reached: bool
    diverged: bool


@dataclass(frozen=True, slots=True)
class ScoutingMap:
    """Every scouting trial, and the fitted best learning rates with their intervals."""

    title: str
    caption: str
    marks: tuple[ScoutingMark, ...]
    optima: tuple[LearningRateOptimum, ...]
    edges: tuple[float, ...] = EDGES


def scouting_map(findings: StudyFindings) -> ScoutingMap | None:
    """Return the learning rates that a race tried, None where the study is none or nothing was scouted."""
    race = findings.race
    if race is None or not race.scouting:
        return None
    least: dict[int, float] = {}
    for run in race.scouting:
        if run.reached:
            least[run.batch_size] = min(run.examples, least.get(run.batch_size, run.examples))
    sentences = [
        f"A mark for each of {len(race.scouting)} scouting trials. Filled: it reached the target, the color by its "
        "examples over the fewest at the same batch size. Open: it was ended before, as it could not win any more or "
        "the budget was over",
        f"Line: the best rate of one surface fitted to all of them, with its {100 * findings.level:g}% interval",
    ]
    if any(run.diverged for run in race.scouting):
        sentences.append("Crosses diverged")
    return ScoutingMap(
        title=learning_rate_title(findings),
        caption=". ".join(sentences) + ".",
        marks=tuple(_mark(run, least) for run in race.scouting),
        optima=tuple(
            LearningRateOptimum(one.batch_size, one.learning_rate, one.low, one.high) for one in race.fitted_rates
        ),
    )


def _mark(run: ScoutingRun, least: dict[int, float]) -> ScoutingMark:
    fewest = least.get(run.batch_size)
    ratio = None if fewest is None or run.diverged else run.examples / max(1.0, fewest)
    return ScoutingMark(run.batch_size, run.learning_rate, ratio, run.reached, run.diverged)
