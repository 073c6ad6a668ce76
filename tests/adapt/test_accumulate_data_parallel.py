import torch
from torch import multiprocessing

from accumulate_cases import loss_of, network, sentences, worker


def test_two_workers_get_the_gradient_of_the_batch_over_both(tmp_path):
    multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    model = network()
    parts = [loss_of(model)(sentences(rank)) for rank in (0, 1)]
    (sum(loss for loss, _ in parts) / sum(count for _, count in parts)).backward()
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        for parameter, gradient in zip(model.parameters(), found, strict=True):
            assert torch.allclose(gradient, parameter.grad, rtol=1e-12, atol=1e-12)
