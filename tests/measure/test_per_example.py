import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import measure_cases
from batchlab.errors import WorkloadError
from batchlab.measure import per_example as subject
from batchlab.measure.closed_forms import ClosedFormMissing
from batchlab.measure.gradients import mean_loss_of
from batchlab.measure.per_example import per_example_gradients, per_example_sq_norms


@pytest.mark.parametrize("name", measure_cases.ALL)
def test_norms_agree_with_one_backward_pass_an_example(name):
    model, mean_loss, batch = measure_cases.case(name)
    expected = measure_cases.plain_gradients(model, mean_loss, batch).square().sum(dim=1)
    found = per_example_sq_norms(model, mean_loss, batch)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


@pytest.mark.parametrize("method", ["closed", "vmap", "loop"])
@pytest.mark.parametrize("name", measure_cases.CLOSED)
def test_every_way_agrees(name, method):
    model, mean_loss, batch = measure_cases.case(name)
    expected = measure_cases.plain_gradients(model, mean_loss, batch).square().sum(dim=1)
    found = per_example_sq_norms(model, mean_loss, batch, method=method, chunk_size=4)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


@pytest.mark.parametrize("name", measure_cases.ALL)
def test_gradients_agree_with_one_backward_pass_an_example(name):
    model, mean_loss, batch = measure_cases.case(name)
    found = per_example_gradients(model, mean_loss, batch, chunk_size=4)
    flat = torch.cat([gradient.flatten(1) for gradient in found.values()], dim=1)
    assert torch.allclose(flat.double(), measure_cases.plain_gradients(model, mean_loss, batch), atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
def test_norms_agree_with_opacus(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opacus = pytest.importorskip("opacus", reason="a second implementation, not needed otherwise")
        model, mean_loss, batch = measure_cases.case(name)
        found = per_example_sq_norms(model, mean_loss, batch)
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        wrapped = opacus.GradSampleModule(model)
        mean_loss(wrapped, batch).backward()
        expected = sum(p.grad_sample.flatten(1).double().square().sum(dim=1) for p in model.parameters())
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_closed_forms_are_what_is_used_where_they_apply(monkeypatch):
    model, mean_loss, batch = measure_cases.case("transformer")
    monkeypatch.setattr(subject, "_by_vmap", None)
    assert per_example_sq_norms(model, mean_loss, batch).shape == (measure_cases.N,)


def test_a_weighted_loss_goes_another_way():
    weights = torch.tensor([1.0, 5.0, 2.0, 1.0, 3.0])
    model, _, batch = measure_cases.case("mlp")
    mean_loss = mean_loss_of(lambda outputs, targets: functional.cross_entropy(outputs, targets, weights))
    expected = measure_cases.plain_gradients(model, mean_loss, batch).square().sum(dim=1)
    assert per_example_sq_norms(model, mean_loss, batch).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_half_frozen_models_count_what_is_trained():
    model, mean_loss, batch = measure_cases.case("transformer")
    model.embedding.requires_grad_(False)
    model.block.attention.requires_grad_(False)
    model.norm.bias.requires_grad_(False)
    expected = measure_cases.plain_gradients(model, mean_loss, batch).square().sum(dim=1)
    for method in ("closed", "vmap", "auto"):
        found = per_example_sq_norms(model, mean_loss, batch, method=method)
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_padded_token_has_no_gradient():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 3, padding_idx=0), nn.Flatten(), nn.Linear(12, 5))
    batch = torch.tensor([[0, 1, 1, 2], [0, 0, 3, 4]]), torch.tensor([0, 3])
    expected = measure_cases.plain_gradients(model, measure_cases.CLASSIFICATION, batch).square().sum(dim=1)
    found = per_example_sq_norms(model, measure_cases.CLASSIFICATION, batch, method="closed")
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_dropout_is_drawn_for_each_example():
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(200))

        def forward(self, inputs):
            return functional.dropout(inputs, 0.5) @ self.w

    found = per_example_gradients(Dropped(), measure_cases.mean_output, torch.ones(2, 200))["w"]
    assert set(found.unique().tolist()) == {0, 2} and not torch.equal(found[0], found[1])


def test_batch_normalization_in_training_mode_is_refused_by_name():
    model = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5))
    expected = (
        "Gradients of single examples exist only where examples do not see one another, but module '1' normalizes over "
        "the batch; measure micro-batches (`measure_noise`), or put the model into evaluation mode."
    )
    for measure in (per_example_sq_norms, per_example_gradients):
        with pytest.raises(WorkloadError, match=f"^{re.escape(expected)}$"):
            measure(model, measure_cases.CLASSIFICATION, measure_cases.vectors())


def test_batch_normalization_in_evaluation_mode_is_fine():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5)).eval()
    batch = measure_cases.vectors()
    expected = measure_cases.plain_gradients(model, measure_cases.CLASSIFICATION, batch).square().sum(dim=1)
    found = per_example_sq_norms(model, measure_cases.CLASSIFICATION, batch)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_batch_normalization_without_running_statistics_is_refused_in_evaluation_mode_too():
    model = nn.Sequential(nn.BatchNorm1d(7, track_running_stats=False), nn.Linear(7, 5)).eval()
    with pytest.raises(WorkloadError, match="module '0' normalizes over the batch"):
        per_example_sq_norms(model, measure_cases.CLASSIFICATION, measure_cases.vectors())


def test_a_method_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"^`method` must be one of auto, closed, vmap, loop, got 'x'; use 'auto'\.$"):
        per_example_sq_norms(*measure_cases.case("mlp"), method="x")


def test_closed_forms_that_do_not_exist_say_so():
    with pytest.raises(ClosedFormMissing):
        per_example_sq_norms(*measure_cases.case("lstm"), method="closed")


def test_a_large_model_on_a_cpu_is_looped_over(monkeypatch):
    model, mean_loss, batch = measure_cases.case("tied")
    monkeypatch.setattr(subject, "LOOP_FROM", 10)
    monkeypatch.setattr(subject, "_by_vmap", None)
    assert per_example_sq_norms(model, mean_loss, batch).shape == (measure_cases.N,)
    assert per_example_gradients(model, mean_loss, batch)["norm.weight"].shape == (measure_cases.N, 8)
