"""Results that are imagined, so that a plan can be followed without training: every batch size does alike."""

import math

import numpy

from batchlab.numerics.rate_excess import rate_excess
from batchlab.records import Curve, StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.trials import trial_id
from batchlab.train.stopping import may_end

# In a race the target is reached after this share of the budget, at the best learning rate.
SHARE, RIGHT, TAU = 0.3, 3.0, 1.2
SCATTER = 0.05


def imagined(spec: StudySpec, info: WorkloadInfo, settings: TrialSettings, octaves: float) -> TrialResult:
    """Return the result of a trial if the best learning rate lies so many octaves above where the search begins."""
    start = spec.base_lr * math.sqrt(settings.batch_size / spec.base_batch_size)
    off = math.log2(settings.learning_rate / start) - octaves
    # Some scatter: statistics want it.
    scatter = float(numpy.random.default_rng(int(trial_id(settings), 16)).normal())
    if settings.stop is not None and settings.stop.target is not None:
        return _raced(settings, off * math.log(2.0), scatter)
    loss = 0.1 + 0.01 * off**2 + 1e-4 * scatter
    metric, baseline = (1 - loss, 0.0) if info.higher_is_better else (loss, 1.0)
    steps = (0, settings.n_steps)
    return _result(settings, steps, (baseline, metric), "done", loss)


def _raced(settings: TrialSettings, distance: float, scatter: float) -> TrialResult:
    """Return a trial whose metric goes to the target along a line in its examples."""
    stop, size = settings.stop, settings.batch_size
    assert stop is not None and stop.target is not None
    excess = float(rate_excess(distance, RIGHT, TAU).value) + SCATTER * scatter
    needed = SHARE * settings.n_steps * size * math.exp(excess)
    gap = -1.0 if stop.higher_is_better else 1.0
    steps, metric = [0], [stop.target + gap]
    for step in sorted({*(math.ceil(point / size) for point in settings.evaluate_at), settings.n_steps}):
        steps.append(step)
        metric.append(stop.target + gap * (1 - step * size / needed))
        if step == settings.n_steps or may_end(stop, step * size, metric):
            break
    status = "done" if steps[-1] == settings.n_steps else "stopped"
    return _result(settings, tuple(steps), tuple(metric), status, metric[-1])


def _result(
    settings: TrialSettings, steps: tuple[int, ...], metric: tuple[float, ...], status: str, loss: float
) -> TrialResult:
    nothing = (0.0,) * len(steps)
    return TrialResult(
        settings=settings,
        status=status,
        curve=Curve(tuple(step * settings.batch_size for step in steps), steps, nothing, metric, metric, metric),
        examples=steps[-1] * settings.batch_size,
        steps=steps[-1],
        valid_loss=loss,
        valid_metric=metric[-1],
        baseline_metric=metric[0],
        train_loss=None,
        train_metric=None,
        test_loss=None,
        test_metric=None,
        seconds=0.0,
        host="",
        versions=(),
    )
