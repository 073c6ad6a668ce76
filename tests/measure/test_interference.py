import numpy as np
import pytest
import torch

import measure_cases
from batchlab.measure import interference
from batchlab.measure.interference import gradient_gram
from batchlab.numerics.gradient_moments import noise_moments
from batchlab.numerics.interference import pairwise_interference


@pytest.mark.parametrize("name", ["mlp", "transformer", "tied"])
def test_the_matrix_holds_all_dot_products(name):
    model, mean_loss, batch = measure_cases.case(name)
    rows = measure_cases.plain_gradients(model, mean_loss, batch)
    found = gradient_gram(model, mean_loss, batch)
    assert torch.allclose(found, rows @ rows.T, rtol=1e-4, atol=1e-6)
    assert torch.equal(found, found.T)


def test_going_through_the_parameters_in_groups_changes_nothing(monkeypatch):
    model, mean_loss, batch = measure_cases.case("mlp")
    whole = gradient_gram(model, mean_loss, batch)
    monkeypatch.setattr(interference, "MOST_ELEMENTS", 1)
    assert torch.allclose(gradient_gram(model, mean_loss, batch), whole)


def test_the_mean_dot_product_of_pairs_is_the_signal_of_single_examples():
    model, mean_loss, batch = measure_cases.case("mlp")
    gram = gradient_gram(model, mean_loss, batch).numpy()
    _, signal = noise_moments(np.diag(gram), gram.mean(), 1)
    assert pairwise_interference(gram).dot.mean == pytest.approx(signal)
