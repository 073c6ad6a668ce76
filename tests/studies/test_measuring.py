import dataclasses
import functools
import json
import re

import numpy as np
import pytest
from torch import nn

import cases
from batchlab.errors import UsageError
from batchlab.records import Budget, to_json
from batchlab.studies import measured_checkpoint
from batchlab.studies.measuring import MeasurementPlan, measure_workload
from batchlab.workloads.quadratic import quadratic

SHORT = MeasurementPlan(batch_size=8, budget=Budget("steps", 12), checkpoints=2, draws=20)


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured_checkpoint, "MOST_BLOCKS", 12)
        patch.setattr(measured_checkpoint, "N_PAIRS", 8)
        patch.setattr(measured_checkpoint, "CURVATURE_BLOCKS", 12)
        yield


@pytest.fixture(scope="module")
def classifier():
    return measure_workload(cases.tiny_classifier(), SHORT)


def test_every_part_is_measured_at_both_ends(classifier):
    assert [point.step for point in classifier.checkpoints] == [1, 12]
    for point in classifier.checkpoints:
        assert point.norms.n_draws == 20 and point.norms.reference_batch_size == 64
        assert point.interference.same_class.n_pairs + point.interference.different_class.n_pairs == 96 * 95 // 2
        assert point.order.n_pairs == 8 and point.order.learning_rate == 0.05
        assert point.curvature_noise_scale.n_blocks == 12
    assert {claim.name for claim in classifier.claims} == {
        *("larger-steps", "larger-steps-sum", "larger-variance", "larger-variance-sum", "larger-variance-rescaled"),
        *("norm-law", "competition", "sequence"),
    }


def test_the_findings_are_json(classifier):
    found = json.loads(json.dumps(to_json(classifier)))
    assert found["format"] == "batchlab.measure/1" and found["n_train"] == 96


def test_the_same_seed_finds_the_same(classifier):
    again = measure_workload(cases.tiny_classifier(), SHORT)
    assert again.checkpoints == classifier.checkpoints


def test_the_quadratic_has_the_noise_scale_it_should():
    # tr(Σ) = Σ c = 5.19 wherever θ is, and |G|² = Σ h²θ² = 1.635 at the start; a rate of 1e-6 stays there. Ten blocks
    # or more, and twice the half-width of a 95 % interval: false alarm rate .003 for the two together.
    seen = []
    plan = MeasurementPlan(batch_size=64, budget=Budget("steps", 1), checkpoints=1, draws=20, learning_rate=1e-6)
    found = measure_workload(quadratic(), plan, seen.append)
    h = 1 / np.arange(1, 101)
    scale = found.checkpoints[0].noise_scale
    for interval, truth in ((scale.trace, h.sum()), (scale.signal, (h**2).sum())):
        assert abs(interval.mean - truth) < 2 * (interval.high - interval.mean)
    assert seen == [
        "training to step 1",
        "step 1 (1 of 1): noise scale",
        "step 1 (1 of 1): noise scale weighted by curvature",
        "step 1 (1 of 1): norms by batch size",
        "step 1 (1 of 1): pairs of examples",
        "step 1 (1 of 1): order of steps",
    ]


def test_without_time_the_least_is_measured_and_the_notes_say_so():
    found = measure_workload(cases.tiny_classifier(), dataclasses.replace(SHORT, draws=30, max_minutes=1e-9))
    for point in found.checkpoints:
        assert point.noise_scale.n_blocks == 2 and point.curvature_noise_scale.n_blocks == 2
        assert point.norms is None and point.order.n_pairs == 2 and point.interference is not None
        assert point.notes == (
            f"Step {point.step}, noise scale: 2 of up to 12 blocks, as its time was over; a higher --max-minutes gives "
            "more.",
            f"Step {point.step}, noise scale weighted by curvature: 2 of up to 12 blocks, as its time was over; a "
            "higher --max-minutes gives more.",
            f"Step {point.step}, norms by batch size: 2 of up to 30 draws, as its time was over; a higher "
            "--max-minutes gives more. Fewer than 20 make no table.",
            f"Step {point.step}, order of steps: 2 of up to 8 pairs, as its time was over; a higher --max-minutes "
            "gives more.",
        )


def test_no_note_speaks_of_time_where_there_was_enough(classifier):
    assert not any("--max-minutes" in note for point in classifier.checkpoints for note in point.notes)


def test_batch_normalization_is_measured_by_micro_batch_and_says_so():
    model = nn.Sequential(nn.Linear(cases.N_INPUTS, 4), nn.BatchNorm1d(4), nn.Linear(4, cases.N_CLASSES))
    found = measure_workload(cases.tiny_classifier(model=model), SHORT)
    last = found.checkpoints[-1]
    assert last.interference is None and last.norms.rows[0].batch_size == 16
    assert last.notes == (
        "Module '1' normalizes over the batch: the noise is that of micro-batches of 16, and single examples have no "
        "gradients to compare.",
    )


def test_a_model_without_a_second_derivative_says_so(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("derivative for aten::fused is not implemented")

    monkeypatch.setattr(measured_checkpoint, "measure_curvature_noise", fail)
    point = measure_workload(cases.tiny_classifier(), SHORT).checkpoints[0]
    assert point.curvature_noise_scale is None
    assert point.notes == (
        "Curvature was not measured, as the model has no second derivative: derivative for aten::fused is not "
        "implemented",
    )


def test_regression_targets_are_no_classes():
    found = measure_workload(cases.tiny_regression(), SHORT)
    assert found.checkpoints[0].interference.same_class is None


def test_a_workload_with_a_step_is_measured():
    def step(model, batch):
        inputs, targets = batch
        return nn.functional.cross_entropy(model(inputs), targets, reduction="sum"), len(targets)

    workload = cases.tiny_classifier(step=step, loss=cases.cross_entropy, model=functools.partial(nn.Linear, 4, 3))
    found = measure_workload(workload, SHORT)
    assert found.checkpoints[0].noise_scale.n_blocks >= 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"batch_size": 97},
            "The batch size must lie between 1 and the 96 training examples, got 97; use one of them.",
        ),
        (
            {"max_minutes": 0},
            "A measurement needs some time, got max_minutes = 0; 3 is the default, and whatever it is two blocks are "
            "measured.",
        ),
        ({"checkpoints": 0}, "A measurement needs 1 checkpoint or more, got 0; 4 show a trend."),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(changes, message):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        measure_workload(cases.tiny_classifier(), MeasurementPlan(**changes))
