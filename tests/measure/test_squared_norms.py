import pytest
import torch

from batchlab.measure.squared_norms import squared_norm, squared_norms


@pytest.mark.parametrize("n", [1, 1000, 16384, 16385, 1_000_003])
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
    assert squared_norms([torch.tensor([1.0]), torch.tensor([[2.0]])]).tolist() == [1, 4]
