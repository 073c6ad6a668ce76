"""Findings as an analysis might give them, one case a verdict, and the record of the study behind them.

The numbers are made up by plain formulas: nothing here trains, and nothing is taken from the analysis.
"""

import math
from dataclasses import replace

from batchlab.analyze.findings import (
    Answer,
    BatchSizeRow,
    CurrentRow,
    Estimate,
    Exponent,
    MeanCurve,
    MetricInfo,
    Recommended,
    ResponsePoint,
    StudyFindings,
    StudyLabel,
    TrialCounts,
)
from batchlab.analyze.target_findings import CurvePoint, TargetFindings, TargetRun, TradeOffFindings
from batchlab.numerics.tradeoff import Region
from batchlab.records import (
    Budget,
    Current,
    Curve,
    Schedule,
    Settings,
    StepTime,
    StudyRecord,
    StudySpec,
    TrialResult,
    TrialSettings,
    WorkloadInfo,
)

N_TRAIN = 1078
EPOCHS = 20
EXAMPLES = N_TRAIN * EPOCHS
MOMENTUM: Settings = (("lr", 0.1), ("momentum", 0.9))
VERSIONS = {"batchlab": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "numpy": "2.2.0"}
ERROR = MetricInfo("error", False, 0.005)


def resolved() -> StudyFindings:
    """One best batch size, all others worse; the learning rate was tuned."""
    sizes = (8, 16, 32, 64, 128, 256, 512)
    errors = {8: 0.041, 16: 0.0352, 32: 0.0238, 64: 0.0312, 128: 0.0393, 256: 0.0537, 512: 0.0846}
    answer = Answer(
        verdict="resolved",
        sentence="Train with batch size 32 at learning rate 0.11: validation error 2.38%, lower than at every other "
        "batch size tried.",
        confidence="How sure: 5 seeds, all 6 rivals shown worse at the 95% level.",
        best_batch_size=32,
        tied_batch_sizes=(),
        undecided_batch_sizes=(),
        worse_batch_sizes=tuple(size for size in sizes if size != 32),
        recommended=Recommended(32, 0.1104, "the only batch size not shown to be worse"),
        warnings=(),
    )
    return _findings("digits-resolved", answer, errors, other={"steps": 512, "examples": 32, "seconds": 64})


def tied() -> StudyFindings:
    """Three batch sizes equivalent within the margin; the recommendation is the cheapest."""
    errors = {8: 0.0296, 16: 0.0252, 32: 0.0241, 64: 0.0249, 128: 0.0331, 256: 0.0472}
    answer = Answer(
        verdict="tied",
        sentence="Train with batch size 64 at learning rate 0.156: it ties with 32 and 16 and is the fastest of them.",
        confidence="How sure: 5 seeds; 16, 32 and 64 are equivalent within 0.50 percentage points at the 95% level.",
        best_batch_size=32,
        tied_batch_sizes=(16, 64),
        undecided_batch_sizes=(),
        worse_batch_sizes=(8, 128, 256),
        recommended=Recommended(64, 0.1562, "the fastest of the batch sizes that tie"),
        warnings=("Two of 60 tuning trials failed and were left out.",),
    )
    return _findings("digits-tied", answer, errors, other={"steps": 256, "examples": 32, "seconds": 64})


def underpowered() -> StudyFindings:
    """Too few seeds to tell neighbors apart."""
    errors = {16: 0.0283, 32: 0.0241, 64: 0.0252, 128: 0.0279, 256: 0.0512}
    answer = Answer(
        verdict="underpowered",
        sentence="Batch size 32 looks best, but 16, 64 and 128 may be as good: 5 seeds cannot tell.",
        confidence="How sure: not enough; about 17 seeds would settle it.",
        best_batch_size=32,
        tied_batch_sizes=(64,),
        undecided_batch_sizes=(16, 128),
        worse_batch_sizes=(256,),
        recommended=Recommended(128, 0.2208, "the fastest batch size not shown to be worse"),
        warnings=("The intervals are wide beside the margin of 0.50 percentage points: run more seeds.",),
    )
    return _findings("digits-few", answer, errors, other={"steps": 256, "examples": 32}, width=2.2)


def edge_of_range() -> StudyFindings:
    """The best batch size is the largest tried; its learning rate sits at the edge of the search."""
    errors = {64: 0.0512, 128: 0.0431, 256: 0.0352, 512: 0.0297}
    answer = Answer(
        verdict="edge-of-range",
        sentence="Batch size 512 is the best tried, and the largest: the best one may be larger still.",
        confidence="How sure: all 3 smaller sizes are shown worse at the 95% level; beyond 512 nothing is known.",
        best_batch_size=512,
        tied_batch_sizes=(),
        undecided_batch_sizes=(),
        worse_batch_sizes=(64, 128, 256),
        recommended=Recommended(512, 0.4416, "the best of those tried"),
        warnings=("The best batch size is the largest tried: add larger ones, for example --batch-sizes 64:2048.",),
    )
    findings = _findings("edge", answer, errors, other={"steps": 512, "examples": 512, "seconds": 512})
    rows = tuple(
        replace(row, flags=(*row.flags, "at_edge")) if row.batch_size == 512 else row for row in findings.batch_sizes
    )
    return replace(findings, batch_sizes=rows)


def no_signal() -> StudyFindings:
    """No batch size beats a constant guess."""
    errors = {8: 0.503, 16: 0.497, 32: 0.501, 64: 0.499, 128: 0.502}
    answer = Answer(
        verdict="no-signal",
        sentence="No batch size to recommend: none predicts the validation data better than a constant guess.",
        confidence="How sure: the best mean error is 49.70%, a constant guess has 49.10%.",
        best_batch_size=None,
        tied_batch_sizes=(),
        undecided_batch_sizes=(),
        worse_batch_sizes=(),
        recommended=None,
        warnings=("Check that the labels belong to the inputs, and that the model can learn them at all.",),
    )
    findings = _findings("coin-flips", answer, errors, other={}, width=6.0)
    nothing = {name: answer for name in ("steps", "examples", "seconds")}
    return replace(findings, under_other_budgets=nothing, baseline_metric=Estimate(0.491, 0.47, 0.512))


def single() -> StudyFindings:
    """One batch size, one seed: no interval, no test set, no step time, fixed learning rate."""
    answer = Answer(
        verdict="edge-of-range",
        sentence="Only batch size 48 was tried; nothing can be said about others.",
        confidence="How sure: not at all, with 1 seed.",
        best_batch_size=48,
        tied_batch_sizes=(),
        undecided_batch_sizes=(),
        worse_batch_sizes=(),
        recommended=Recommended(48, 0.05, "the only one tried"),
        warnings=("One seed gives no interval: run at least 3.",),
    )
    findings = _findings("single", answer, {48: 0.0312}, other={})
    row = replace(
        findings.batch_sizes[0],
        learning_rate=0.05,
        learning_rate_low=None,
        learning_rate_high=None,
        n_seeds=1,
        valid_metric=Estimate(0.0312, None, None),
        test_metric=None,
        train_metric=None,
        step_time_s=None,
        seconds=None,
        flags=("best", "too_few_seeds"),
    )
    return replace(
        findings,
        batch_sizes=(row,),
        learning_rate_mode="fixed",
        learning_rate_exponent=None,
        learning_rate_response=(),
        under_other_budgets={"steps": None, "examples": None, "seconds": None},
        curves=tuple(replace(c, valid_metric_low=(None,) * 9, valid_metric_high=(None,) * 9) for c in findings.curves),
        notes=("Other budgets need at least two batch sizes.", "No step time was measured."),
    )


def wide() -> StudyFindings:
    """Fourteen batch sizes up to 65536; the two largest diverged; the metric is a loss with a target."""
    sizes = tuple(2**power for power in range(3, 17))
    losses = {size: 1.05 + 0.04 * abs(math.log2(size / 256)) ** 1.6 for size in sizes}
    losses[32768] = losses[65536] = math.nan
    answer = Answer(
        verdict="tied",
        sentence="Train with batch size 512 at learning rate 0.442: it ties with 128 and 256 and is the fastest.",
        confidence="How sure: 3 seeds; equivalent within 0.05 at the 95% level.",
        best_batch_size=256,
        tied_batch_sizes=(128, 512),
        undecided_batch_sizes=(64,),
        worse_batch_sizes=tuple(size for size in sizes if size not in (64, 128, 256, 512)),
        recommended=Recommended(512, 0.4416, "the fastest of those that tie"),
        warnings=("Batch sizes 32768 and 65536 diverged in all seeds.", "A <b>name</b> & its \"quotes\" are 'text'."),
    )
    findings = _findings("wide <i>range</i>", answer, losses, other={"steps": 65536, "examples": 256, "seconds": 512})
    rows = tuple(
        replace(row, steps_to_target=_around(900.0 + 40000 / row.batch_size), seconds_to_target=_around(12.0))
        if math.isfinite(row.valid_metric.mean)
        else replace(row, flags=("worse", "diverged"), test_metric=None, train_metric=None)
        for row in findings.batch_sizes
    )
    return replace(
        findings,
        workload="char-lm <script>alert(1)</script>",
        metric=MetricInfo("loss", False, 0.05),
        target=1.2,
        batch_sizes=rows,
        trials=TrialCounts(done=150, stopped=0, diverged=31, failed=2),
        baseline_metric=Estimate(3.2, 3.2, 3.2),
    )


def accuracy() -> StudyFindings:
    """The tied case with accuracy, where higher is better."""
    findings = tied()
    rows = tuple(
        replace(
            row,
            valid_metric=_flip(row.valid_metric),
            test_metric=_flip(row.test_metric) if row.test_metric else None,
            train_metric=_flip(row.train_metric) if row.train_metric else None,
        )
        for row in findings.batch_sizes
    )
    curves = tuple(
        replace(
            curve,
            valid_metric=_flip_all(curve.valid_metric),
            valid_metric_low=_flip_all(curve.valid_metric_high),
            valid_metric_high=_flip_all(curve.valid_metric_low),
        )
        for curve in findings.curves
    )
    metric = MetricInfo("accuracy", True, 0.005)
    return replace(findings, metric=metric, batch_sizes=rows, curves=curves, baseline_metric=Estimate(0.1, 0.09, 0.11))


def with_current() -> StudyFindings:
    """The resolved case, asked what today's setting loses; 256 and 512 were split."""
    findings = resolved()
    rows = tuple(
        replace(row, micro_batch_size=128, gradient_accumulation_steps=row.batch_size // 128)
        if row.batch_size > 128
        else row
        for row in findings.batch_sizes
    )
    current = CurrentRow(
        batch_size=64,
        learning_rate=0.001,
        n_seeds=5,
        n_steps=337,
        micro_batch_size=64,
        gradient_accumulation_steps=1,
        valid_metric=Estimate(0.0359, 0.0341, 0.0377),
        test_metric=Estimate(0.0371, 0.0352, 0.039),
        train_metric=Estimate(0.0203, 0.0195, 0.0211),
        step_time_s=0.000976,
        seconds=0.329,
        against_batch_size=32,
        against_learning_rate=0.1104,
        loses=Estimate(0.0121, 0.0095, 0.0147),
        time_ratio=0.71,
        sentence="Today's 64 at lr 0.001 loses 1.21 points (0.95 to 1.47) of validation error against 32 at 0.1104, "
        "but takes 71% of its time.",
        flags=("worse",),
    )
    return replace(findings, batch_sizes=rows, current=current)


def with_target() -> StudyFindings:
    """The resolved case under a target: 256 reached it in part, and 512 levels off short of it."""
    findings = resolved()
    least, critical = 50.0, 60.0
    middle = {row.batch_size: least * (1 + critical / row.batch_size) for row in findings.batch_sizes}
    runs = tuple(
        _target_run(size, seed, steps * (0.94 + 0.03 * seed)) for size, steps in middle.items() for seed in range(5)
    )
    rows = tuple(
        replace(row, n_reached=0, flags=(*row.flags, "target_not_reached", "plateaued"))
        if row.batch_size == 512
        else replace(
            row,
            steps_to_target=_around(middle[row.batch_size]),
            examples_to_target=_around(middle[row.batch_size] * row.batch_size),
            seconds_to_target=_around(middle[row.batch_size] * (row.step_time_s or 0.0)),
            n_reached=3 if row.batch_size == 256 else 5,
            flags=(*row.flags, "censored") if row.batch_size == 256 else row.flags,
        )
        for row in findings.batch_sizes
    )
    curve = tuple(
        CurvePoint(size, steps, 0.9 * steps, 1.1 * steps)
        for size in (8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
        for steps in [least * (1 + critical / size)]
    )
    tradeoff = TradeOffFindings(
        critical_batch_size=critical,
        low=49.0,
        high=73.0,
        level=0.95,
        definition="Critical batch size: examples and steps to the target are both twice their least.",
        steps_min=least,
        examples_min=least * critical,
        overhead=0.2,
        overhead_batch_size=critical / 5,
        sd=0.05,
        shape_p_value=0.41,
        n=30,
        n_censored=2,
        left_out=(512,),
        regions=(
            Region("perfect scaling", 0.0, 15.0, 0.0, 0.25),
            Region("diminishing returns", 15.0, 240.0, 0.25, 4.0),
            Region("maximal parallelism", 240.0, math.inf, 4.0, math.inf),
        ),
        curve=curve,
        flags=("censored",),
    )
    sentences = (
        "To reach error 5%, twice the batch nearly halves the steps up to about 15; beyond about 240 it saves a tenth.",
        "Critical batch size 60 (95% interval 49 to 73).",
        "Fastest to error 5% on this cpu: batch size 128, 115 ms of training alone.",
    )
    found = TargetFindings(sentences, 128, (64,), (8, 16, 32, 64, 128), runs)
    return replace(findings, target=0.05, batch_sizes=rows, tradeoff=tradeoff, to_target=found)


def _target_run(size: int, seed: int, steps: float) -> TargetRun:
    if size == 512:
        return TargetRun(size, seed, "plateaued", 43.0, math.inf, None)
    if size == 256 and seed > 2:
        return TargetRun(size, seed, "not_reached", 85.0, math.inf, None)
    return TargetRun(size, seed, "reached", 0.9 * steps, 1.1 * steps, steps)


CASES = {
    "resolved": resolved,
    "tied": tied,
    "underpowered": underpowered,
    "edge-of-range": edge_of_range,
    "no-signal": no_signal,
    "single": single,
    "wide": wide,
    "accuracy": accuracy,
    "current": with_current,
    "target": with_target,
}


def record_of(findings: StudyFindings) -> StudyRecord:
    """Return the record of the study behind `findings`: a few trials at each batch size, one of them failed."""
    sizes = tuple(row.batch_size for row in findings.batch_sizes)
    trials = tuple(_trial(findings, row, seed) for row in findings.batch_sizes for seed in range(2))
    if len(trials) > 2:
        trials = (*trials[:-1], replace(trials[-1], status="failed", message="RuntimeError: <boom> & gone"))
    return StudyRecord(
        id=findings.study.id,
        name=findings.study.name,
        spec=_spec(findings, sizes),
        info=_info(findings),
        trials=trials,
        step_times=tuple(StepTime(size, 0.001, 0.0009, 0.0012, 7, 2, "cpu") for size in sizes),
        created="2026-03-02T10:15:00+00:00",
        seconds=findings.seconds,
    )


def _findings(
    name: str, answer: Answer, means: dict[int, float], *, other: dict[str, int], width: float = 1.0
) -> StudyFindings:
    return StudyFindings(
        study=StudyLabel("3f9a1c0e5b7d2468", name),
        workload="digits-mlp",
        device="cpu",
        versions=dict(VERSIONS),
        metric=ERROR,
        level=0.95,
        budget=Budget("epochs", EPOCHS),
        target=None,
        learning_rate_mode="tune",
        optimizer="sgd",
        optimizer_settings=MOMENTUM,
        answer=answer,
        under_other_budgets={key: _other(answer, other.get(key), means) for key in ("examples", "steps", "seconds")},
        baseline_metric=Estimate(0.9, 0.895, 0.905),
        batch_sizes=tuple(_row(size, mean, answer, width) for size, mean in means.items()),
        learning_rate_exponent=Exponent(0.5, 0.41, 0.6),
        tradeoff=None,
        learning_rate_response=tuple(point for size in means for point in _response(size)),
        curves=tuple(_curve(size, mean, width) for size, mean in means.items()),
        trials=TrialCounts(done=86, stopped=0, diverged=12, failed=0),
        notes=() if len(other) == 3 else ("Equal time needs a step time at every batch size.",),
        seconds=412.7,
    )


def _other(answer: Answer, best: int | None, means: dict[int, float]) -> Answer | None:
    if best is None:
        return None
    if best == answer.best_batch_size:
        return answer
    finite = tuple(size for size in means if math.isfinite(means[size]))
    neighbor = (best // 2,) if best // 2 in finite else ()
    worse = tuple(size for size in means if size not in (best, *neighbor))
    return replace(
        answer, best_batch_size=best, tied_batch_sizes=neighbor, undecided_batch_sizes=(), worse_batch_sizes=worse
    )


def _row(size: int, mean: float, answer: Answer, width: float) -> BatchSizeRow:
    half = width * (0.0011 + 0.025 * mean)
    flags = [flag for flag, sizes in _flagged(answer).items() if size in sizes]
    rate = _best_rate(size)
    return BatchSizeRow(
        batch_size=size,
        learning_rate=rate,
        learning_rate_low=rate / 1.3,
        learning_rate_high=rate * 1.3,
        n_seeds=5,
        n_steps=math.ceil(EXAMPLES / size),
        micro_batch_size=min(size, 4096),
        gradient_accumulation_steps=max(1, size // 4096),
        valid_metric=Estimate(mean, mean - half, mean + half),
        test_metric=Estimate(1.05 * mean, 1.05 * mean - half, 1.05 * mean + half),
        train_metric=Estimate(0.4 * mean, 0.4 * mean - half / 3, 0.4 * mean + half / 3),
        step_time_s=0.0004 + 0.000009 * size,
        seconds=math.ceil(EXAMPLES / size) * (0.0004 + 0.000009 * size),
        steps_to_target=None,
        seconds_to_target=None,
        tied=size == answer.best_batch_size or size in answer.tied_batch_sizes,
        flags=tuple(flags),
    )


def _flagged(answer: Answer) -> dict[str, tuple[int, ...]]:
    best = () if answer.best_batch_size is None else (answer.best_batch_size,)
    return {"best": best, "worse": answer.worse_batch_sizes, "undecided": answer.undecided_batch_sizes}


def _best_rate(size: int) -> float:
    return 0.1104 * math.sqrt(size / 32)


def _response(size: int) -> list[ResponsePoint]:
    center = 0.1 * 2 ** round(0.5 * math.log2(size / 32))
    points = []
    for octave in range(-3, 4):
        rate = center * 2**octave
        distance = math.log2(rate / _best_rate(size))
        loss = None if distance > 2.2 else 0.11 + 0.02 * distance**2 + 0.01 * max(distance, 0) ** 3
        points.append(ResponsePoint(size, rate, loss, loss and loss / 4, 2, 2 if loss is None else int(distance > 1.6)))
    return points


def _curve(size: int, mean: float, width: float) -> MeanCurve:
    examples = tuple(round(EXAMPLES * part / 8) for part in range(9))
    final = mean if math.isfinite(mean) else 0.9
    speed = 3.0 + 0.5 * math.log2(65536 / size) / 3
    metric = [final + (0.9 - final) * math.exp(-speed * part / 2) for part in range(9)]
    shown = [value if math.isfinite(mean) or part < 3 else None for part, value in enumerate(metric)]
    return MeanCurve(
        batch_size=size,
        examples=examples,
        steps=tuple(math.ceil(count / size) for count in examples),
        train_loss=(None, *(value and 3 * value for value in shown[1:])),
        valid_loss=tuple(value and 4 * value for value in shown),
        valid_metric=tuple(shown),
        valid_metric_low=tuple(value and value * (1 - 0.05 * width) for value in shown),
        valid_metric_high=tuple(value and value * (1 + 0.05 * width) for value in shown),
    )


def _around(mean: float) -> Estimate:
    return Estimate(mean, 0.9 * mean, 1.1 * mean)


def _flip(estimate: Estimate) -> Estimate:
    assert estimate.low is not None and estimate.high is not None
    return Estimate(1 - estimate.mean, 1 - estimate.high, 1 - estimate.low)


def _flip_all(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
    return tuple(None if value is None else 1 - value for value in values)


def _spec(findings: StudyFindings, sizes: tuple[int, ...]) -> StudySpec:
    return StudySpec(
        workload=findings.workload,
        batch_sizes=sizes,
        budget=findings.budget,
        lr_mode=findings.learning_rate_mode,
        base_lr=0.1,
        base_batch_size=32,
        optimizer=findings.optimizer,
        optimizer_settings=findings.optimizer_settings,
        schedule=Schedule("cosine", warmup=0.05),
        device=findings.device,
        target=findings.target,
        current=None
        if findings.current is None
        else Current(findings.current.batch_size, findings.current.learning_rate),
    )


def _info(findings: StudyFindings) -> WorkloadInfo:
    return WorkloadInfo(
        name=findings.workload,
        reference=findings.workload,
        fingerprint="9f2c77aa01b35d4e",
        n_train=N_TRAIN,
        n_valid=360,
        n_test=359,
        n_parameters=9098,
        metric=findings.metric.name,
        higher_is_better=findings.metric.higher_is_better,
        margin=findings.metric.margin,
        margin_is_relative=False,
        unit="example",
        optimizer=findings.optimizer,
        optimizer_settings=findings.optimizer_settings,
        default_batch_size=32,
        default_epochs=EPOCHS,
        redraws=True,
    )


def _trial(findings: StudyFindings, row: BatchSizeRow, seed: int) -> TrialResult:
    settings = TrialSettings(
        workload=findings.workload,
        fingerprint="9f2c77aa01b35d4e",
        batch_size=row.batch_size,
        learning_rate=row.learning_rate,
        n_steps=row.n_steps,
        optimizer=findings.optimizer,
        optimizer_settings=findings.optimizer_settings,
        schedule=Schedule("cosine", warmup=0.05),
        last_batch="carry",
        evaluate_at=(row.n_steps,),
        base_seed=0,
        seed=seed,
        replica=0,
        purpose="confirm" if seed else "tune",
        device=findings.device,
    )
    metric = row.valid_metric.mean
    finite = math.isfinite(metric)
    return TrialResult(
        settings=settings,
        status="done" if finite else "diverged",
        curve=Curve((0,), (0,), (row.learning_rate,), (math.nan,), (2.3,), (0.9,)),
        examples=row.n_steps * row.batch_size,
        steps=row.n_steps,
        valid_loss=4 * metric,
        valid_metric=metric,
        baseline_metric=findings.baseline_metric.mean,
        train_loss=3 * metric if seed and finite else None,
        train_metric=metric if seed and finite else None,
        test_loss=4 * metric if seed and finite else None,
        test_metric=metric if seed and finite else None,
        seconds=3.2,
        host="bench",
        versions=tuple(VERSIONS.items()),
    )
