"""A probe: what fits, what is fast, how noisy gradients are, and a race of short runs, into one piece of advice."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from batchlab.analyze.probe_findings import ProbeFindings, ProbeNoise
from batchlab.analyze.setting_choice import outlook
from batchlab.analyze.wording import say_seconds
from batchlab.errors import BatchlabError, WorkloadError
from batchlab.measure.noise import NoiseMeasurement, measure_noise
from batchlab.measure.random_states import kept_randomness
from batchlab.numerics.progress_model import Comparison, NoiseHint
from batchlab.records import Budget, Current, StepTime
from batchlab.studies.branching import Branches, run_branches
from batchlab.studies.live_run import LiveRun, Subject, open_subject, start_run
from batchlab.studies.option_values import read_target
from batchlab.studies.probe_advice import findings_of
from batchlab.studies.probe_costs import SizeCost, check_energy, size_costs, step_settings
from batchlab.studies.probe_evidence import Evidence
from batchlab.studies.probe_memory import probe_memory
from batchlab.studies.probe_options import (
    ALLOWANCE,
    FEWEST_STEPS,
    ProbeOptions,
    base_size,
    checked_current,
    rule_exponent,
    sizes_to_consider,
)
from batchlab.studies.racing import FINAL_DRAWS, Race, RacePlan, run_to_the_end
from batchlab.studies.rate_bracket import bracket_rate, climb, try_setting
from batchlab.train.budgets import steps_in_budget
from batchlab.train.devices import check_device
from batchlab.train.forward import forward_of
from batchlab.train.inspection import inspect_workload
from batchlab.train.reading import read_batch
from batchlab.train.seeding import derive_seed
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in

Tell = Callable[[str], None]

LOG_CRITICAL, LOG_CRITICAL_SD = math.log(128), 1.7
# How far a noise scale may be off the critical batch size: a factor 4, one standard deviation.
HINT_SD = 1.4
NOT_MEASURED = ProbeNoise(None, None, None, ("not_measured",), 0)
MICRO_BATCH, MICRO_BATCHES = 8, 8
# Gradients for the noise scale may cost this share of the horizon, branches that; the trunk is this long.
NOISE_SHARE, BRANCH_SHARE, TRUNK_SHARE = 0.05, 0.35, 1 / 8
BRANCH_FACTORS, BRANCH_STEPS, BRANCH_SEEDS, BRANCH_SD = (4, 16), 8, 3, 0.25


@dataclass
class _Probe:
    """A probe under way."""

    workload: Workload
    reference: str
    options: ProbeOptions
    tell: Tell
    started: float = field(default_factory=time.perf_counter)
    noise: ProbeNoise = NOT_MEASURED
    branches: Branches | None = None
    measured_examples: int = 0

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the time is up."""
        minutes = self.options.max_minutes
        return math.inf if minutes is None else 60 * minutes - (time.perf_counter() - self.started)

    def is_over(self) -> bool:
        """Return whether the time is up."""
        return self.seconds_left <= 0

    def reach(self, horizon: int, step: StepTime) -> int:
        """Return the examples of the longest run, `horizon` or what the time that is left suffices for."""
        in_time = self.seconds_left / ALLOWANCE / step.median_s * step.batch_size
        return int(min(horizon, max(FEWEST_STEPS * step.batch_size, in_time)))


def probe_workload(workload: Workload, reference: str, options: ProbeOptions, tell: Tell = print) -> ProbeFindings:
    """Return which batch size and learning rate to train with, by measuring; the workload is left as it was found.

    Test data are not looked at. Whatever the user's code raises becomes one error.

    Args:
        workload: what is to be trained.
        reference: how another process finds it, or its name.
        options: what was asked.
        tell: told how it gets on, in words.

    Raises:
        UsageError: the options cannot be followed.
        WorkloadError: the workload cannot be trained.
    """
    check_device(options.device)
    with kept_randomness([torch.device(options.device)] if options.device.startswith("cuda") else []):
        try:
            return _probe(_Probe(workload, reference, options, tell))
        except BatchlabError:
            raise
        except Exception as cause:
            raise WorkloadError(
                f"Workload {workload.name!r} must train, but raised {type(cause).__name__}: "
                f"{' '.join(str(cause).split())}; mend it, a study of one short trial shows where."
            ) from cause


def _probe(probe: _Probe) -> ProbeFindings:
    workload, options = probe.workload, probe.options
    info = inspect_workload(workload, probe.reference, options.device)
    current = checked_current(options, info.n_train)
    target = read_target(options.target, info.metric)
    if options.objective == "energy":
        check_energy(options.device)
    budget = options.budget or Budget("epochs", workload.default_epochs)
    base = workload.default_batch_size
    horizon = steps_in_budget(budget, base, info.n_train, "carry") * base
    sizes = sizes_to_consider(info.n_train, horizon)
    probe.tell("looking for the largest batch that fits")
    memory, peaks = probe_memory(workload, probe.reference, options, max(sizes), info.n_train)
    timed = tuple(sorted({*sizes, *([current.batch_size] if current else [])}))
    probe.tell(f"timing steps at batch sizes {timed[0]} to {timed[-1]}")
    rate = _own_setting(workload).learning_rate
    settings = [
        step_settings(workload, size, rate, memory.value, seed=options.seed, device=options.device) for size in timed
    ]
    costs, flags = size_costs(workload, settings, with_energy=options.objective == "energy")
    subject = open_subject(workload, options.seed, options.device, target, probe.is_over)
    race = _race(probe, subject, costs, sizes, horizon, current or _own_setting(workload), memory.value)
    _search(probe, race, subject)
    run_to_the_end(race)
    model = race.model(FINAL_DRAWS)
    return findings_of(
        Evidence(
            workload=workload,
            options=options,
            info=info,
            race=race,
            model=model,
            outlook=outlook(model, race.plan.costs, seed=options.seed),
            costs=costs,
            timing_flags=flags,
            memory=memory,
            peaks=peaks,
            noise=probe.noise,
            branches=probe.branches,
            current=current,
            horizon=horizon,
            examples=probe.measured_examples,
            seconds=time.perf_counter() - probe.started,
            timed_out=probe.is_over(),
        )
    )


def _own_setting(workload: Workload) -> Current:
    return Current(workload.default_batch_size, float((workload.optimizer_settings or {})["lr"]))


def _race(
    probe: _Probe,
    subject: Subject,
    costs: Mapping[int, SizeCost],
    sizes: Sequence[int],
    horizon: int,
    known: Current,
    most: int | None,
) -> Race:
    """Return the race, with no run made yet; `known` is the setting that it begins from and is judged by."""
    workload, options = probe.workload, probe.options
    exponent = rule_exponent(workload.optimizer_name)
    base = base_size({size: costs[size].time.median_s for size in sizes}, horizon, LOG_CRITICAL, LOG_CRITICAL_SD)

    def start(size: int, rate: float) -> LiveRun:
        settings = step_settings(workload, size, rate, most, seed=options.seed, device=options.device)
        return start_run(subject, settings)

    reach = probe.reach(horizon, costs[base].time)
    probe.tell(
        f"runs of up to {reach:,} examples, {say_seconds(reach / base * costs[base].time.median_s)} each at batch size "
        f"{base}; together {ALLOWANCE:g} times that, and evaluations"
    )
    plan = RacePlan(
        costs={size: costs[size].of(options.objective) for size in sizes},
        horizon=reach,
        allowance=round(ALLOWANCE * reach),
        base_batch_size=base,
        base_learning_rate=known.learning_rate * (base / known.batch_size) ** exponent,
        rule_exponent=exponent,
        log_critical=LOG_CRITICAL,
        log_critical_sd=LOG_CRITICAL_SD,
        start_level=start(base, known.learning_rate).level_now(),
        seed=options.seed,
        target=subject.target_level,
        reference=(known.batch_size, known.learning_rate),
    )
    return Race(start, plan, probe.is_over)


def _search(probe: _Probe, race: Race, subject: Subject) -> None:
    """Bracket the learning rate, look at gradients, branch off, and try larger batches."""
    plan, workload = race.plan, probe.workload
    probe.tell(f"searching learning rates at batch size {plan.base_batch_size}")
    bracket_rate(race)
    if race.leader() is None:
        raise WorkloadError(
            f"Workload {workload.name!r}: training must lower the validation loss at some learning rate, but diverged "
            f"at every rate tried about {plan.base_learning_rate:.3g}; check the loss, or give a better rate to begin."
        )
    if plan.reference is not None and not race.is_over():
        try_setting(race, *plan.reference)
    if not race.is_over():
        _look_at_gradients(probe, race, subject)
    if not race.is_over():
        _branch_off(probe, race)
    probe.tell("trying larger batches")
    climb(race)
    probe.tell("racing the settings that may be best")


def _look_at_gradients(probe: _Probe, race: Race, subject: Subject) -> None:
    """Measure the noise scale at the run that came deepest."""
    leader, workload, device = race.leader(), probe.workload, probe.options.device
    assert isinstance(leader, LiveRun)
    n_train, block = examples_in(subject.splits.train), MICRO_BATCH * MICRO_BATCHES
    n_blocks = round(NOISE_SHARE * race.plan.horizon / block)
    if n_blocks < 4:
        return
    probe.tell("measuring the noise of gradients")
    generator = torch.Generator().manual_seed(derive_seed(probe.options.seed, "probe noise"))
    draws = (
        read_batch(
            workload, subject.splits.train, torch.randint(n_train, (MICRO_BATCH,), generator=generator).tolist(), device
        )
        for _ in range(n_blocks * MICRO_BATCHES)
    )
    found = measure_noise(
        leader.model,
        lambda model, batch: forward_of(workload, model, device)(batch, MICRO_BATCH)[0],
        draws,
        micro_batches_per_block=MICRO_BATCHES,
        count=lambda _: MICRO_BATCH,
        seed=probe.options.seed,
    )
    _note_noise(probe, race, leader, found)


def _note_noise(probe: _Probe, race: Race, leader: LiveRun, found: NoiseMeasurement) -> None:
    scale = found.noise_scale
    race.other_examples += found.n_examples
    probe.measured_examples += found.n_examples
    high = scale.high if scale.high is not None and math.isfinite(scale.high) else None
    probe.noise = ProbeNoise(scale.value, scale.low, high, tuple(scale.flags), leader.examples)
    if scale.value is not None and scale.value > 0:
        race.hints.append((leader.examples, NoiseHint(math.log(scale.value), 0.0, HINT_SD)))


def _branch_off(probe: _Probe, race: Race) -> None:
    """Compare branches with 4 and 16 times the batch of the run that came deepest, at rates moved by the rule."""
    trunk, plan = race.leader(), race.plan
    assert isinstance(trunk, LiveRun)
    trunk.train_to(round(TRUNK_SHARE * plan.horizon))
    if not trunk.is_alive:
        return
    rates, window = {trunk.batch_size: trunk.learning_rate}, plan.horizon // 32
    for factor in BRANCH_FACTORS:
        size = factor * trunk.batch_size
        wanted = max(window, BRANCH_STEPS * size)
        cost = BRANCH_SEEDS * (len(rates) + 1) * wanted
        if size in plan.costs and cost <= min(BRANCH_SHARE * plan.horizon, race.room):
            rates[size], window = trunk.learning_rate * factor**plan.rule_exponent, wanted
    if len(rates) == 1:
        return
    probe.tell(f"branching off with {', '.join(map(str, rates))} examples a step")
    found = run_branches(trunk, rates, window)
    probe.branches = found
    probe.measured_examples += found.examples
    race.other_examples += found.examples
    for one in found.test.branches[1:]:
        if math.isfinite(one.sd):
            sd = math.hypot(one.sd, BRANCH_SD)
            pair = one.batch_size, rates[one.batch_size], trunk.batch_size, trunk.learning_rate
            found_there = Comparison(*pair, 0.0, one.log_examples_ratio, sd, one.is_bound)
            race.evidence.append((trunk.examples, found_there))
