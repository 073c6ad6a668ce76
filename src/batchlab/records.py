"""The records: frozen dataclasses that are stored and passed on, as JSON both ways (`records_json`).

Records that are stored on their own carry a `format`.
"""

from dataclasses import dataclass, field

from batchlab.records_json import LATER
from batchlab.records_json import Record as Record
from batchlab.records_json import from_json as from_json
from batchlab.records_json import identity as identity
from batchlab.records_json import to_json as to_json

Setting = bool | int | float | str | tuple[float, ...]
Settings = tuple[tuple[str, Setting], ...]

ENGINE = "reference/2"
LIVE_PREFIX = "object:"


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one trial trains: `value` epochs, examples, steps or seconds."""

    kind: str
    value: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate as a function of the share of the trial's examples that have been seen.

    `kind` is constant, cosine or step. After a linear warm-up over the first `warmup` share, cosine falls to zero
    and step multiplies by `factor` at each of `milestones` (shares of all examples).
    """

    kind: str = "constant"
    warmup: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1


@dataclass(frozen=True, slots=True)
class WorkloadInfo:
    """What a study must know of a workload without loading it; `reference` is how a worker finds it.

    `n_train` counts the examples of an epoch. `notes` are sentences that whoever reads an answer should know, and
    `batch_norm` is the name of a module that looks at the whole batch, if there is one. `inspected_on` is the host, and
    `threads` serve each of its trials, as was best on the machine that the study began on; 0 is not decided yet.
    `has_pairs` says that batches are (inputs, targets), and `takes_weights` that the loss is a mean over examples.
    """

    name: str
    reference: str
    fingerprint: str
    n_train: int
    n_valid: int
    n_test: int
    n_parameters: int
    metric: str
    higher_is_better: bool
    margin: float
    margin_is_relative: bool
    unit: str
    optimizer: str
    optimizer_settings: Settings
    default_batch_size: int
    default_epochs: float
    redraws: bool
    notes: tuple[str, ...] = ()
    batch_norm: str | None = None
    inspected_on: str = ""
    threads: int = 1
    has_pairs: bool = True
    takes_weights: bool = True
    format: str = "batchlab.workload/1"


@dataclass(frozen=True, slots=True)
class Current:
    """The setting in use today, which a study compares with the best it finds."""

    batch_size: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class StudySpec:
    """The question a study asks, resolved: nothing is left to defaults that may change.

    `lr_mode` is tune, fixed, linear or sqrt; `base_lr` at `base_batch_size` is the fixed value, the rule's base point
    or the middle of the first search grid. `same_batch_size` makes an A/A control: all arms train at it, `batch_sizes`
    only name them. `target` is a metric to reach; `max_seeds` lets seeds be added where the answer is open. `controls`
    name the controls that are run beside it; with `permute_labels` every trial learns from permuted labels, with
    `noise_batch_size` every update has the gradient noise of that batch size. `search` is grid, which tunes every batch
    size for the end of the budget, or model, a race to the target that scouts with few and short trials; `confirm`
    says which sizes a race confirms, contenders or all. `tune` names what is tuned beside the learning rate, with
    `tuning_trials` settings at every batch size, which `sampler` picks.
    """

    workload: str
    batch_sizes: tuple[int, ...]
    budget: Budget
    lr_mode: str
    base_lr: float
    base_batch_size: int
    optimizer: str
    optimizer_settings: Settings
    schedule: Schedule = Schedule()
    last_batch: str = "carry"
    seeds: int = 5
    tuning_seeds: int = 2
    seed: int = 0
    margin: float | None = None
    level: float = 0.95
    device: str = "cpu"
    data_dir: str | None = None
    same_batch_size: int | None = None
    micro_batch_size: int | None = None
    current: Current | None = None
    target: float | None = None
    max_seeds: int | None = None
    controls: tuple[str, ...] = field(default=(), metadata=LATER)
    permute_labels: bool = field(default=False, metadata=LATER)
    noise_batch_size: int | None = field(default=None, metadata=LATER)
    search: str = field(default="grid", metadata=LATER)
    confirm: str = field(default="contenders", metadata=LATER)
    tune: tuple[str, ...] = field(default=(), metadata=LATER)
    tuning_trials: int | None = field(default=None, metadata=LATER)
    sampler: str = field(default="quasi-random", metadata=LATER)
    format: str = "batchlab.spec/1"


# At how many evaluations in a row a trial must be at a target to have reached it. On the noisy quadratic model a second
# one would raise the scatter of ln(steps) from .14 to .21, and every trial would train on to it.
HELD = 1


@dataclass(frozen=True, slots=True)
class Stop:
    """When a trial may end before its steps are done; its status is then stopped: censored, not failed.

    It ends once the validation metric has been at `target` at `held` evaluations in a row, or at the first evaluation
    of `most_examples` or more unless the metric is at the target there. None is no such limit.
    """

    target: float | None = None
    higher_is_better: bool = False
    most_examples: int | None = None
    held: int = HELD


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """All that decides what one trial does; its hash is the trial's identity.

    `workload` is the workload's name: where its file or its data lie has no part in what a trial does. `seed` counts
    the trials of a study; weights, data order and redrawn data follow from (`base_seed`, `seed`), and `replica` changes
    only the data order. Tuning trials (`purpose` tune) never see test data. `micro_batch_size` is the most examples of
    one forward pass; None is all of a batch, or as many as memory holds. `stop` says when it may end early. `threads`
    move the last digits of sums on a CPU; on which of several GPUs it runs has no part in it. `noise_batch_size` is
    that of the gradient noise, where it is injected; `permute_labels` takes the signal away.
    """

    workload: str
    fingerprint: str
    batch_size: int
    learning_rate: float
    n_steps: int
    optimizer: str
    optimizer_settings: Settings
    schedule: Schedule
    last_batch: str
    evaluate_at: tuple[int, ...]
    base_seed: int
    seed: int
    replica: int
    purpose: str
    device: str
    engine: str = ENGINE
    micro_batch_size: int | None = None
    stop: Stop | None = field(default=None, metadata=LATER)
    threads: int = field(default=1, metadata=LATER)
    noise_batch_size: int | None = field(default=None, metadata=LATER)
    permute_labels: bool = field(default=False, metadata=LATER)


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial recorded at each evaluation, as columns of one length; the first entry is the untrained model.

    `train_loss` is the mean since the evaluation before (NaN at the first), `learning_rate` that of the last step.
    """

    examples: tuple[int, ...]
    steps: tuple[int, ...]
    learning_rate: tuple[float, ...]
    train_loss: tuple[float, ...]
    valid_loss: tuple[float, ...]
    valid_metric: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What one trial found.

    `status` is done, stopped (by the rule in its settings), diverged (loss not finite; the curve ends there) or failed
    (`message` says why). `baseline_metric` is that of the best constant predictor. Train and test values exist for
    confirmed trials only. `seconds` is what the trial cost, `loading_s` of them waiting for data and `evaluation_s`
    evaluating on the way. `micro_batch_size` examples went through at once; 0 is unknown. `owner` is the user
    whose study asked for it.
    """

    settings: TrialSettings
    status: str
    curve: Curve
    examples: int
    steps: int
    valid_loss: float
    valid_metric: float
    baseline_metric: float
    train_loss: float | None
    train_metric: float | None
    test_loss: float | None
    test_metric: float | None
    seconds: float
    host: str
    versions: tuple[tuple[str, str], ...]
    message: str = ""
    micro_batch_size: int = 0
    loading_s: float = 0.0
    evaluation_s: float = 0.0
    owner: str = ""
    format: str = "batchlab.trial/1"


# Quartiles of a step time further apart than this factor are those of a busy machine.
QUIET_SPREAD = 1.3


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds an optimizer step takes alone on the machine: median and quartiles over blocks of steps.

    `threads` is the number that was fastest, of the `available_threads` of the machine; 0 of these is unknown.
    `joules` are those of a step, where they were asked for and something counts them.
    """

    batch_size: int
    median_s: float
    low_s: float
    high_s: float
    n_blocks: int
    threads: int
    device: str
    available_threads: int = 0
    joules: float | None = None


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the store holds it: the question, what is known of the workload, and the results so far."""

    id: str
    name: str
    spec: StudySpec
    info: WorkloadInfo
    trials: tuple[TrialResult, ...]
    step_times: tuple[StepTime, ...]
    created: str
    seconds: float
