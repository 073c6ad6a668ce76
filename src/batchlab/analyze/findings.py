"""What an analysis of a study says, as plain data; `to_json(findings)` is what `batchlab study --json` prints."""

from dataclasses import dataclass

from batchlab.analyze.target_findings import RaceFindings, TargetFindings, TradeOffFindings
from batchlab.records import Budget, Settings


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its interval at the study's level; the limits are None with fewer than 3 seeds."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Exponent:
    """p in best learning rate ∝ (batch size)^p, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Recommended:
    """The setting to use, and why this one among those that tie.

    `settings` are what was tuned beside the learning rate, by the names of the option `tune`.
    """

    batch_size: int
    learning_rate: float
    why: str
    settings: Settings = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer under one budget.

    `verdict` is no-signal, edge-of-range, resolved, tied or underpowered. `tied_batch_sizes` are the sizes equivalent
    to the best within the margin (the best itself not among them), `undecided_batch_sizes` those neither shown worse
    nor equivalent, `worse_batch_sizes` the rest. `confidence` is the second sentence: how sure. `best_batch_size` and
    `recommended` are None where there is nothing to recommend.
    """

    verdict: str
    sentence: str
    confidence: str
    best_batch_size: int | None
    tied_batch_sizes: tuple[int, ...]
    undecided_batch_sizes: tuple[int, ...]
    worse_batch_sizes: tuple[int, ...]
    recommended: Recommended | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchSizeRow:
    """What the study found at one batch size.

    `tied` is True for the best size and those equivalent to it. Flags: best, worse, within_margin (worse, but shown to
    be so by less than the margin), undecided, diverged, at_edge (learning rate at the edge of the search),
    too_few_seeds, failed; under a target also target_not_reached (by no more than half of the seeds: there are no
    estimates), censored (some seeds ran out of budget) and plateaued (some level off short of it).

    Steps, examples, quiet seconds and, where something counts them, joules to the target are geometric means over seeds
    with intervals on the log scale; `n_reached` is None without a target. `settings` are what was tuned beside the
    learning rate.
    """

    batch_size: int
    learning_rate: float
    learning_rate_low: float | None
    learning_rate_high: float | None
    n_seeds: int
    n_steps: int
    micro_batch_size: int
    gradient_accumulation_steps: int
    valid_metric: Estimate
    test_metric: Estimate | None
    train_metric: Estimate | None
    step_time_s: float | None
    seconds: float | None
    steps_to_target: Estimate | None
    seconds_to_target: Estimate | None
    tied: bool
    flags: tuple[str, ...]
    examples_to_target: Estimate | None = None
    n_reached: int | None = None
    settings: Settings = ()
    joules_to_target: Estimate | None = None


@dataclass(frozen=True, slots=True)
class CurrentRow:
    """What today's setting found with the same seeds, and how it compares with what is recommended.

    It is compared with the recommended setting, or where none is with the one of the best mean (`against_batch_size`
    and `against_learning_rate`; None where no arm was trained to the end). `loses` is how much worse its validation
    metric is, positive where it is worse whatever the metric's direction: its interval is paired over seeds, contains
    the noise of choosing the other's learning rate, and allows for that one having been picked as the best of several.
    None where either diverged. `time_ratio` is its quiet seconds over those of the other. Flags: same (it is that
    setting), worse, better, within_margin (the difference is shown to be smaller than the margin), undecided,
    diverged, too_few_seeds, failed.
    """

    batch_size: int
    learning_rate: float
    n_seeds: int
    n_steps: int
    micro_batch_size: int
    gradient_accumulation_steps: int
    valid_metric: Estimate
    test_metric: Estimate | None
    train_metric: Estimate | None
    step_time_s: float | None
    seconds: float | None
    against_batch_size: int | None
    against_learning_rate: float | None
    loses: Estimate | None
    time_ratio: float | None
    sentence: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResponsePoint:
    """One learning rate tried at one batch size: mean over the tuning seeds (None where every seed diverged)."""

    batch_size: int
    learning_rate: float
    valid_loss: float | None
    valid_metric: float | None
    n_seeds: int
    n_diverged: int


@dataclass(frozen=True, slots=True)
class MeanCurve:
    """The confirmed trials of one batch size, averaged over seeds at each evaluation; None where one had diverged."""

    batch_size: int
    examples: tuple[int, ...]
    steps: tuple[int, ...]
    train_loss: tuple[float | None, ...]
    valid_loss: tuple[float | None, ...]
    valid_metric: tuple[float | None, ...]
    valid_metric_low: tuple[float | None, ...]
    valid_metric_high: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class BestOf:
    """The validation metric that the best of n learning rates is expected to have at one batch size, by n.

    Unbiased, over all choices of n of the rates that were tried, each the mean of its tuning seeds; one at which a seed
    diverged counts as a constant guess. It is what less searching would have found: comparisons are fair at equal n.
    """

    batch_size: int
    n_rates: tuple[int, ...]
    valid_metric: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One arm of a control, held against another one.

    `label` says how its trials differ from those of its batch size in the study, `against_label` those of the other
    arm. `loses` is how much worse its validation metric is, positive where it is worse whatever the metric's direction,
    over the seeds both have, with an interval that is paired over seeds and contains the noise of choosing learning
    rates; None where it cannot be told. Flags: missing (trials are), diverged, too_few_seeds.
    """

    label: str
    batch_size: int
    learning_rate: float
    n_steps: int
    n_seeds: int
    valid_metric: Estimate
    against_label: str | None
    against_batch_size: int | None
    loses: Estimate | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControlFindings:
    """What a control shows; `as_expected` is whether it came out as it must, None where nothing is known beforehand."""

    name: str
    sentence: str
    as_expected: bool | None
    rows: tuple[ControlRow, ...]


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """The metric decisions rest on; the margin is in its unit."""

    name: str
    higher_is_better: bool
    margin: float


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """How many trials ended in each way."""

    done: int
    stopped: int
    diverged: int
    failed: int


@dataclass(frozen=True, slots=True)
class StudyLabel:
    """The study's identity and its name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class StudyFindings:
    """All that a study found, in the shape `batchlab study --json` prints.

    `under_other_budgets` has an Answer under steps, examples and seconds (None where it cannot be given; `notes` says
    why). `baseline_metric` is the validation metric of the best constant predictor. `current` is today's setting, where
    the study was asked to compare with one, and `controls` what those that were asked for show. `tradeoff` and
    `to_target` are None without a target, and the former also where too few batch sizes reached it. Where the study is
    a race to the target `race` says how it was run, and the answer, its places among them, is about the time to it.
    """

    study: StudyLabel
    workload: str
    device: str
    versions: dict[str, str]
    metric: MetricInfo
    level: float
    budget: Budget
    target: float | None
    learning_rate_mode: str
    optimizer: str
    optimizer_settings: Settings
    answer: Answer
    under_other_budgets: dict[str, Answer | None]
    baseline_metric: Estimate
    batch_sizes: tuple[BatchSizeRow, ...]
    learning_rate_exponent: Exponent | None
    tradeoff: TradeOffFindings | None
    learning_rate_response: tuple[ResponsePoint, ...]
    curves: tuple[MeanCurve, ...]
    trials: TrialCounts
    notes: tuple[str, ...]
    seconds: float
    current: CurrentRow | None = None
    to_target: TargetFindings | None = None
    controls: tuple[ControlFindings, ...] = ()
    expected_best: tuple[BestOf, ...] = ()
    race: RaceFindings | None = None
    format: str = "batchlab.study/1"
