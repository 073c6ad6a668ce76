import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import measure_cases
from batchlab.measure.closed_forms import ClosedFormMissing, closed_sq_norms, has_closed_forms


def squares(model, batch):
    return (model(batch).flatten(1) ** 2).sum(dim=1).mean()


def expected_norms(model, batch):
    return measure_cases.plain_gradients(model, lambda m, b: squares(m, b[0]), (batch,)).square().sum(dim=1)


@settings(deadline=None, max_examples=20)
@given(length=st.integers(1, 12), n_in=st.integers(1, 6), n_out=st.integers(1, 6), bias=st.booleans())
def test_a_linear_layer_over_a_sequence_of_any_shape(length, n_in, n_out, bias):
    torch.manual_seed(length)
    model, batch = nn.Linear(n_in, n_out, bias=bias), torch.randn(3, length, n_in)
    assert closed_sq_norms(model, squares, batch).tolist() == pytest.approx(
        expected_norms(model, batch).tolist(), rel=1e-4
    )


@settings(deadline=None, max_examples=20)
@given(kernel=st.integers(1, 3), stride=st.integers(1, 2), padding=st.integers(0, 2), groups=st.sampled_from([1, 2]))
def test_a_convolution_of_any_geometry(kernel, stride, padding, groups):
    torch.manual_seed(kernel)
    model = nn.Conv2d(2, 4, kernel, stride, padding, groups=groups)
    batch = torch.randn(3, 2, 5, 6)
    assert closed_sq_norms(model, squares, batch).tolist() == pytest.approx(
        expected_norms(model, batch).tolist(), rel=1e-4
    )


@pytest.mark.parametrize(
    "model", [nn.LayerNorm(6), nn.LayerNorm((4, 6)), nn.GroupNorm(2, 4), nn.LayerNorm(6, bias=False)]
)
def test_normalizations(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    batch = torch.randn(3, 4, 6)
    assert closed_sq_norms(model, squares, batch).tolist() == pytest.approx(
        expected_norms(model, batch).tolist(), rel=1e-4
    )


def test_a_layer_called_twice_has_none():
    layer = nn.Linear(3, 3)
    with pytest.raises(ClosedFormMissing):
        closed_sq_norms(nn.Sequential(layer, layer), squares, torch.randn(2, 3))


def test_examples_in_another_dimension_have_none():
    class Transposed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, inputs):
            return self.layer(inputs.transpose(0, 1)).transpose(0, 1)

    with pytest.raises(ClosedFormMissing):
        closed_sq_norms(Transposed(), squares, torch.randn(2, 5, 3))


@pytest.mark.parametrize("layer", [nn.Conv1d(2, 2, 1), nn.MultiheadAttention(4, 2), nn.PReLU(), nn.Bilinear(2, 2, 2)])
def test_unknown_layers_have_none(layer):
    assert not has_closed_forms(nn.Sequential(nn.Linear(2, 2), layer))


def test_frozen_unknown_layers_are_no_hindrance():
    assert has_closed_forms(nn.Sequential(nn.Linear(2, 2), nn.PReLU().requires_grad_(False)))
