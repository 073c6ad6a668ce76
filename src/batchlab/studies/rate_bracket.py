"""The first search for a learning rate, and the way up to larger batches."""

from batchlab.analyze.setting_choice import by_size
from batchlab.studies.racing import Race, Racer, end_level

# Runs of the search train on this share of the horizon, or on so many steps.
SHARE = 1 / 16
FEWEST_STEPS = 16
FARTHEST_OCTAVES = 16
CLIMB_FACTOR = 4
CLIMB_STEPS = 12
# A larger batch is tried while it may save this share of an example's cost, for no more than this share of the horizon.
LEAST_GAIN = 0.05
MOST_CLIMB_SHARE = 0.4


def bracket_rate(race: Race) -> None:
    """Try rates at the base batch size, first a factor 4 apart until the best is inside, then those beside it.

    The same start and the same order of data for all. On the hot side the search goes on until a run is clearly worse:
    those that diverge cost little. A short run likes hotter rates than a long one: the result is
    where the race begins, not where it ends.
    """
    tried: dict[int, Racer] = {}
    for octave in (0, -2, 2):
        _try(race, octave, tried)
    while not race.is_over():
        best, hottest = _best(race, tried), max(tried)
        if hottest < FARTHEST_OCTAVES and not _clearly_worse(race, tried[hottest], tried[best]):
            next_octave = hottest + 2
        elif best == min(tried) > -FARTHEST_OCTAVES:
            next_octave = best - 2
        else:
            break
        if not _try(race, next_octave, tried):
            break
    best = _best(race, tried)
    for octave in (best - 1, best + 1):
        if not race.is_over():
            _try(race, octave, tried)


def climb(race: Race) -> None:
    """Try four times the batch size at the rate of the rule, and again, while larger ones may be faster."""
    plan, best = race.plan, race.leader()
    if best is None:
        return
    size, rate = best.batch_size, best.learning_rate
    while CLIMB_FACTOR * size in plan.costs and not race.is_over():
        per_example = plan.costs[size].value / size
        size, rate = CLIMB_FACTOR * size, rate * CLIMB_FACTOR**plan.rule_exponent
        length = max(plan.horizon * SHARE, CLIMB_STEPS * size)
        saves = 1 - plan.costs[size].value / size / per_example
        if saves < LEAST_GAIN or length > min(MOST_CLIMB_SHARE * plan.horizon, race.room):
            return
        racer = race.launch(size, rate, length)
        if race.place(racer) > race.place(best):
            cooler = race.launch(size, rate / 2, length)
            rate = min(racer, cooler, key=race.place).learning_rate
        found = by_size(race.outlook())
        if min(found, key=lambda one: one.expected_regret).batch_size < size:
            return


def try_setting(race: Race, batch_size: int, learning_rate: float) -> None:
    """Run one setting for its own sake, twice as far as a run of the search, where there is room for it."""
    length = max(2 * SHARE * race.plan.horizon, CLIMB_STEPS * batch_size)
    if length <= min(MOST_CLIMB_SHARE * race.plan.horizon, race.room):
        race.launch(batch_size, learning_rate, length)


def _try(race: Race, octave: int, tried: dict[int, Racer]) -> bool:
    """Run an octave that was not tried yet, and return whether there was room for it."""
    if octave in tried:
        return True
    plan = race.plan
    length = max(plan.horizon * SHARE, FEWEST_STEPS * plan.base_batch_size)
    if tried and length > race.room:
        return False
    tried[octave] = race.launch(plan.base_batch_size, plan.base_learning_rate * 2.0**octave, length)
    return True


def _clearly_worse(race: Race, racer: Racer, best: Racer) -> bool:
    """Return whether a run made less than half the progress of the best: a hot one may just be slow to begin."""
    return race.place(racer)[0] > 0 and end_level(racer) > (race.plan.start_level + end_level(best)) / 2


def _best(race: Race, tried: dict[int, Racer]) -> int:
    """Return the octave of the run in the lead; of equal ones, as where all diverged, the coolest."""
    return min(tried, key=lambda octave: (race.place(tried[octave]), octave))
