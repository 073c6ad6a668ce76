"""The two sentences of an answer: what to use, and how sure that is."""

from collections.abc import Mapping

from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.findings import MetricInfo, Recommended
from batchlab.analyze.wording import say_list, say_margin, say_metric, say_setting, within_range

LEAST_GAIN = 0.05


def recommend(outcome: Outcome, rates: Mapping[int, float], seconds: Mapping[int, float | None]) -> Recommended | None:
    """Return the cheapest, by quiet seconds, of the best size and those that tie with it.

    Sizes that are merely undecided are not recommended: nothing shows that they are as good. Where a step time is
    missing, or the gain is below 5%, which step times cannot show, the best size is recommended.
    """
    if outcome.best is None or outcome.verdict == "no-signal":
        return None
    equals = (outcome.best, *outcome.tied)
    cost = {size: seconds.get(size) for size in equals}
    known = {size: second for size, second in cost.items() if second is not None}
    cheapest = min(known, key=known.__getitem__) if len(known) == len(equals) else outcome.best
    if cheapest != outcome.best and known[cheapest] < (1 - LEAST_GAIN) * known[outcome.best]:
        why = f"it ties with the best, {outcome.best}, and trains faster"
    else:
        cheapest = outcome.best
        why = "it has the best validation metric" + (", and none that ties is faster" if outcome.tied else "")
    return Recommended(cheapest, rates[cheapest], why)


def answer_sentence(outcome: Outcome, recommended: Recommended | None, metric: MetricInfo) -> str:
    """Return the answer in one sentence."""
    if recommended is None or outcome.best_value is None:
        return _nothing_recommended(outcome, metric)
    value = say_metric(metric.name, outcome.best_value.mean)
    use = f"Use batch size {recommended.batch_size} with {setting_words(recommended)}"
    if outcome.verdict == "edge-of-range":
        return f"{use} for now: {edge_words(outcome)}, so a better setting may lie beyond what was tried."
    if outcome.verdict == "resolved":
        return f"{use}: its validation {metric.name} of {value} is better than at every other size compared."
    rest = f"; {say_list(outcome.undecided)} cannot be told from it yet" if outcome.undecided else ""
    if recommended.batch_size != outcome.best:
        return f"{use}: {recommended.why} (validation {metric.name} {value} at {outcome.best}){rest}."
    if outcome.verdict == "underpowered":
        measured = f"its validation {metric.name} of {value} is the best measured"
        if outcome.n_seeds < FEWEST_SEEDS:
            use, rest = f"{use} for now", ", on too few seeds to compare"
        return f"{use}: {measured}{rest}."
    return f"{use}: validation {metric.name} {value}; {say_list(outcome.tied)} {_do(outcome.tied)} as well."


def setting_words(setting: Recommended) -> str:
    """Return learning rate and whatever else was tuned, in a sentence.

    >>> setting_words(Recommended(64, 0.1, "", (("momentum", 0.9), ("warmup", 0.05), ("schedule", "cosine"))))
    'learning rate 0.1, momentum 0.9, warm-up over 5% and a cosine schedule'
    """
    return say_list([f"learning rate {setting.learning_rate:g}", *(say_setting(*one) for one in setting.settings)])


def confidence_sentence(outcome: Outcome, metric: MetricInfo, level: float) -> str:
    """Return how sure the answer is: seeds, interval, who ties, who is worse, and what would settle the rest."""
    if outcome.best_value is None:
        return "How sure: nothing could be compared."
    parts = [f"{outcome.n_seeds} paired seeds a size" if outcome.n_seeds > 1 else "1 seed a size"]
    if outcome.dropped:
        parts[0] += f" (fewer at {say_list(outcome.dropped)}, dropped early)"
    interval = within_range(metric.name, outcome.best_value)
    if interval.low is not None and interval.high is not None:
        low, high = (say_metric(metric.name, value) for value in (interval.low, interval.high))
        parts[0] += f", {100 * level:g}% interval of the best {low} to {high}"
    else:
        parts[0] += ", too few for an interval"
    if outcome.verdict == "no-signal":
        return f"How sure: {parts[0]}; more seeds, more data or another model may show one."
    margin = say_margin(metric.name, metric.margin)
    if outcome.tied:
        verb = "equals" if len(outcome.tied) == 1 else "equal"
        parts.append(f"{say_list(outcome.tied)} {verb} the best, {outcome.best}, within {margin}")
    if outcome.worse:
        parts.append(_worse(outcome, margin))
    if outcome.undecided:
        parts.append(f"{say_list(outcome.undecided)} undecided{remedy_words(outcome, margin)}")
    return f"How sure: {'; '.join(parts)}."


def _nothing_recommended(outcome: Outcome, metric: MetricInfo) -> str:
    if outcome.verdict != "no-signal":
        return "No answer yet: no batch size has been confirmed at its learning rate."
    if outcome.best_value is None or outcome.baseline is None:
        return "No batch size can be recommended: training diverged at all of them; try smaller learning rates."
    value, baseline = (say_metric(metric.name, x) for x in (outcome.best_value.mean, outcome.baseline))
    return (
        f"No batch size can be recommended: at none is the validation {metric.name} ({value} at best) shown to be "
        f"better than that of always predicting the same ({baseline})."
    )


def edge_words(outcome: Outcome) -> str:
    """Return in what way the best lies at the edge of what was tried."""
    if "learning rate" in outcome.reasons:
        return f"the learning rate of the best size, {outcome.best}, lies at the edge of its search"
    if {"smallest", "largest"} <= set(outcome.reasons):
        return "it is the only size tried"
    return f"the only best size, {outcome.best}, is the {outcome.reasons[0]} tried"


def _worse(outcome: Outcome, margin: str) -> str:
    words = f"{say_list(outcome.worse)} {'is' if len(outcome.worse) == 1 else 'are'} worse"
    slightly = outcome.worse_within_margin
    if not slightly:
        return words
    which = "" if slightly == outcome.worse else f"{say_list(slightly)} "
    return f"{words} ({which}by less than {margin})"


def remedy_words(outcome: Outcome, margin: str) -> str:
    """Return what would settle who is undecided, as the rest of a clause."""
    if outcome.n_seeds < FEWEST_SEEDS:
        return f"; with {FEWEST_SEEDS} seeds or more they can be compared"
    if outcome.seeds_needed is None:
        return f" within {margin}; more tuning would settle it, not more seeds"
    return f"; about {outcome.seeds_needed} seeds would settle it within {margin}"


def _do(sizes: tuple[int, ...]) -> str:
    return "does" if len(sizes) == 1 else "do"
