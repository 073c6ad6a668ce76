"""What each of two processes does to test accumulation under DistributedDataParallel; importable by both."""

import datetime
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from batchlab.adapt.accumulate import accumulate

# Sentences of each worker, by their number of tokens: unlike in number and in length.
LENGTHS = ((1, 4, 2), (5, 5, 1, 3, 2))


def sentences(rank: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(rank)
    values = torch.randn(len(LENGTHS[rank]), 5, 2, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[position < length for position in range(5)] for length in LENGTHS[rank]])
    return {"values": values, "mask": mask}


def loss_of(model: nn.Module):
    def loss(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        squares = model(batch["values"]).squeeze(-1).square()
        return (squares * batch["mask"]).sum(), batch["mask"].sum()

    return loss


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 1).double()


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(str(Path(folder) / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60))
    model = DistributedDataParallel(network())
    accumulate(model, loss_of(model), sentences(rank), 2)
    torch.save([parameter.grad for parameter in model.parameters()], Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()
