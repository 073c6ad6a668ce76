import numpy as np
import pytest
import torch

from batchlab.workloads.arrays import as_tensor


def test_a_tensor_is_taken_without_its_gradient():
    values = torch.zeros(3, requires_grad=True)
    assert not as_tensor(values).requires_grad
    assert as_tensor(values).data_ptr() == values.data_ptr()


def test_a_reversed_array_keeps_its_order():
    assert as_tensor(np.arange(3)[::-1]).tolist() == [2, 1, 0]


@pytest.mark.parametrize("values", [[1, 2], None, np.array([1j]), np.array(["a"]), np.array([object()])])
def test_anything_else_is_refused(values):
    with pytest.raises(TypeError):
        as_tensor(values)
