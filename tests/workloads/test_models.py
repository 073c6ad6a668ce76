import torch

from batchlab.workloads.models import cnn, mlp


def test_an_mlp_has_the_parameters_of_its_widths():
    model = mlp(64, 32, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == 64 * 32 + 32 + 32 * 10 + 10
    assert model(torch.zeros(5, 1, 8, 8)).shape == (5, 10)


def test_a_cnn_gives_one_output_a_class():
    assert cnn(1, 4, 6, side=8, n_classes=3)(torch.zeros(5, 1, 8, 8)).shape == (5, 3)


def test_examples_do_not_see_each_other():
    model = cnn(1, 4, side=8, n_classes=3)
    inputs = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(inputs)[2:3], model(inputs[2:3]))
