import pytest

from batchlab.workloads.images import make_cnn, make_mlp
from roofline import flops_of_step


@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_the_operations_of_a_dense_network_are_those_counted_by_hand(batch_size: int) -> None:
    """Forward and the gradient of the weights in both layers; the gradient of the inputs in the second only."""
    first, second = 2 * 784 * 256, 2 * 256 * 10
    assert flops_of_step(make_mlp, batch_size) == batch_size * (2 * first + 3 * second)


def test_the_operations_of_a_convolutional_network_are_those_counted_by_hand() -> None:
    first, second, last = 2 * 28 * 28 * 8 * 9, 2 * 14 * 14 * 16 * 8 * 9, 2 * 16 * 7 * 7 * 10
    assert flops_of_step(make_cnn, 4) == 4 * (2 * first + 3 * second + 3 * last)
