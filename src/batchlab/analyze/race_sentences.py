"""The two sentences of a race's answer: which batch size is soonest at the target, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.findings import Recommended
from batchlab.analyze.sentences import edge_words, remedy_words
from batchlab.analyze.wording import say_list, say_seconds


@dataclass(frozen=True, slots=True)
class Said:
    """What the sentences speak of: the goal, as in "error 5%", on a device, by quiet seconds or by examples."""

    goal: str
    device: str
    objective: str
    margin: float
    level: float

    @property
    def soonest(self) -> str:
        """Return how the best size gets there."""
        return "soonest" if self.objective == "seconds" else "with the fewest examples"

    def cost(self, log_cost: float) -> str:
        """Return a cost with its unit."""
        value = math.exp(log_cost)
        return say_seconds(value) if self.objective == "seconds" else f"{float(f'{value:.3g}'):,.0f} examples"


def race_sentence(outcome: Outcome, recommended: Recommended | None, said: Said) -> str:
    """Return the answer in one sentence."""
    if recommended is None or outcome.best_value is None:
        if outcome.verdict == "no-signal":
            return (
                f"No batch size can be recommended: none reached {said.goal} within the budget in most of its seeds; "
                "choose an easier target or a longer budget."
            )
        return "No answer yet: no batch size has been confirmed at its learning rate."
    use = f"Use batch size {recommended.batch_size} with learning rate {recommended.learning_rate:g}"
    if outcome.verdict == "edge-of-range":
        return f"{use} for now: {edge_words(outcome)}, so a better setting may lie beyond what was tried."
    there = f"it reaches {said.goal} {said.soonest}, in {said.cost(outcome.best_value.mean)}"
    if said.objective == "seconds":
        there += f" of training alone on this {said.device.partition(':')[0]}"
    if outcome.n_seeds < FEWEST_SEEDS:
        return f"{use} for now: {there}, on too few seeds to compare."
    rest = [f"{say_list(outcome.tied)} {'is' if len(outcome.tied) == 1 else 'are'} as fast"] if outcome.tied else []
    if outcome.undecided:
        rest.append(f"{say_list(outcome.undecided)} cannot be told from it yet")
    return "; ".join([f"{use}: {there}", *rest]) + "."


def race_confidence(outcome: Outcome, said: Said, slow: Sequence[int], late: Sequence[int]) -> str:
    """Return how sure the answer is: seeds, interval, who ties, who is slower, and what would settle the rest.

    `slow` and `late` are the sizes that scouting left behind: as they cost too much, or do not get there in time.
    """
    unconfirmed = {*slow, *late}
    if outcome.best_value is None:
        return "How sure: nothing could be compared."
    parts = [f"{outcome.n_seeds} paired seeds a size" if outcome.n_seeds > 1 else "1 seed a size"]
    early = [size for size in outcome.dropped if size not in unconfirmed]
    if early:
        parts[0] += f" (fewer at {say_list(early)}, dropped early)"
    low, high = outcome.best_value.low, outcome.best_value.high
    if low is not None and high is not None:
        parts[0] += f", {100 * said.level:g}% interval of the best {said.cost(low)} to {said.cost(high)}"
    else:
        parts[0] += ", too few for an interval"
    margin = f"{100 * said.margin:g}%"
    if outcome.tied:
        verb = "equals" if len(outcome.tied) == 1 else "equal"
        parts.append(f"{say_list(outcome.tied)} {verb} the best, {outcome.best}, within {margin}")
    slower = [size for size in outcome.worse if size not in unconfirmed]
    if slower:
        parts.append(f"{say_list(slower)} {'is' if len(slower) == 1 else 'are'} slower")
    if outcome.undecided:
        parts.append(f"{say_list(outcome.undecided)} undecided{remedy_words(outcome, margin)}")
    for sizes, shown in ((slow, f"slower by more than {margin}"), (late, "short of the target within the budget")):
        if sizes:
            verb, them = ("was", "it") if len(sizes) == 1 else ("were", "them")
            parts.append(f"{say_list(sizes)} {verb} not confirmed, as scouting shows {them} {shown}")
    return f"How sure: {'; '.join(parts)}."
