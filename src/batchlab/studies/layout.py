"""How trials are laid out on a machine: how many run at a time, and how many threads serve each.

Small models run one a core with one thread, or one a GPU. For others it is measured, all workers at work at once:
fewer trials with more threads may be faster where memory or caches do not serve one a core, and several on one GPU
where one leaves it idle. Threads move the last digits of sums: they are chosen once a study and are part of what a
trial is. How many trials run beside it, and on which of several GPUs, is not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from batchlab.records import TrialSettings
from batchlab.train.threads import thread_counts

# Of parameters: a step of a smaller one is all in the cache of one core.
SMALL_MODEL = 100_000
# Seconds of a study below which measuring costs more than it may save.
WORTH_S = 120.0
CLEARLY = 1.1
ROUNDS = 2
SHARE_OF_MEMORY = 0.8
PLACES_ON_A_GPU = (1, 2, 4)
# Seconds for which a layout makes steps at each batch size that is tried.
PACE_S = 0.3


@dataclass(frozen=True, slots=True)
class Layout:
    """So many trials at a time, each with so many threads."""

    workers: int
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on: cores, GPUs (0 is none: on the cores), and the number of workers, if one was asked."""

    cores: int
    gpus: int = 0
    workers: int | None = None

    def plain(self, threads: int = 1) -> Layout:
        """Return the layout where nothing is known of the trials: one a core, or one a GPU."""
        return Layout(self.workers or self.gpus or max(1, self.cores // threads), threads)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a few steps in one worker showed: seconds of one, by sample; bytes that a trial takes, and that are free."""

    step_s: tuple[float, ...]
    memory: int
    free: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The settings of a trial, and the steps that a study makes at its batch size and at those it stands for."""

    settings: TrialSettings
    steps: int


class Bench(Protocol):
    """Where layouts are tried."""

    def rehearse(self, samples: Sequence[Sample]) -> Rehearsal:
        """Return what one worker with one thread finds."""

    def steps_per_s(self, layout: Layout, samples: Sequence[Sample]) -> Sequence[float]:
        """Return the steps a second of all workers together, all at work at once, by sample."""


def choose_layout(
    trials: Sequence[TrialSettings], machine: Machine, n_parameters: int, threads: int | None, bench: Bench
) -> Layout:
    """Return how to lay out trials like these.

    Args:
        trials: what is to be run, as far as it is known.
        machine: what there is.
        n_parameters: of the model.
        threads: those that each trial has, None where that is open.
        bench: where it is tried.
    """
    if n_parameters < SMALL_MODEL and threads in (None, 1):
        return machine.plain()
    samples = samples_of(trials)
    rehearsal = bench.rehearse(samples)
    layouts = possible_layouts(machine, rehearsal, threads)
    alone_s = sum(sample.steps * step_s for sample, step_s in zip(samples, rehearsal.step_s, strict=True))
    if len(layouts) == 1 or alone_s < WORTH_S * layouts[0].workers:
        return layouts[0]

    def seconds(layout: Layout) -> float:
        rates = bench.steps_per_s(layout, samples)
        return sum(sample.steps / rate for sample, rate in zip(samples, rates, strict=True))

    return fastest_layout(layouts, seconds)


def samples_of(trials: Sequence[TrialSettings]) -> tuple[Sample, ...]:
    """Return a trial of the largest, a middle and the smallest batch size, with the steps that each stands for."""
    by_size = {one.batch_size: one for one in trials}
    sizes = sorted(by_size, reverse=True)
    chosen = list(dict.fromkeys((sizes[0], sizes[len(sizes) // 2], sizes[-1])))
    steps = dict.fromkeys(chosen, 0)
    for one in trials:
        steps[min(chosen, key=lambda size: abs(math.log(size / one.batch_size)))] += one.n_steps
    return tuple(Sample(by_size[size], steps[size]) for size in chosen)


def possible_layouts(machine: Machine, rehearsal: Rehearsal, threads: int | None) -> tuple[Layout, ...]:
    """Return the layouts that fit into memory, the plainest first; a number of workers that was asked for is kept."""
    fitting = max(1, int(SHARE_OF_MEMORY * rehearsal.free / max(1, rehearsal.memory)))
    if machine.gpus:
        if machine.workers:
            return (machine.plain(),)
        places = [place for place in PLACES_ON_A_GPU if place == 1 or place <= min(fitting, machine.cores)]
        return tuple(Layout(place * machine.gpus) for place in places)
    most = machine.workers or min(machine.cores, fitting)
    if threads is not None:
        return (Layout(min(most, max(1, machine.cores // threads)), threads),)
    counts = {*thread_counts(machine.cores), max(1, machine.cores // most)}
    return tuple(Layout(min(most, machine.cores // count), count) for count in sorted(counts))


def fastest_layout(layouts: Sequence[Layout], seconds: Callable[[Layout], float]) -> Layout:
    """Return the first layout, or a later one that takes clearly fewer seconds each time the two are compared."""
    best = layouts[0]
    for other in layouts[1:]:
        if not all(seconds(best) > CLEARLY * seconds(other) for _ in range(ROUNDS)):
            break
        best = other
    return best
