import pytest
import torch

from batchlab.measure.squared_norms import squared_norms


def squared_norm(gradient):
    return squared_norms([gradient])[0]


@pytest.mark.parametrize("n", [0, 1, 1000, 32768, 32769, 1_000_003])
def test_squared_norms_are_as_exact_as_float64_sums(n):
    gradient = torch.randn(n, generator=torch.Generator().manual_seed(n))
    assert squared_norm(gradient).item() == pytest.approx(gradient.double().square().sum().item(), rel=1e-6)


def test_a_transposed_gradient_has_the_same_norm():
    gradient = torch.randn(200, 300, generator=torch.Generator().manual_seed(0))
    assert squared_norm(gradient.T).item() == pytest.approx(squared_norm(gradient).item(), rel=1e-6)


def test_repeated_entries_of_a_sparse_gradient_are_added_before_squaring():
    sparse = torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (4,), check_invariants=True)
    assert squared_norm(sparse).item() == 25


def test_low_precision_is_summed_in_float64():
    assert squared_norm(torch.full((100_000,), 0.5, dtype=torch.bfloat16)).item() == pytest.approx(25_000, rel=1e-12)


def test_norms_of_several_gradients_come_in_their_order():
    gradients = [torch.tensor([1.0]), torch.ones(300, 400), torch.tensor([[2.0]], dtype=torch.bfloat16)]
    assert squared_norms(gradients).tolist() == pytest.approx([1, 120_000, 4], rel=1e-6)
