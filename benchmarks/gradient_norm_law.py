"""Does the norm of a mini-batch gradient follow E|g_B|² = |G|² + tr(Σ)/B on real data, early and late in training?

A network with one hidden layer is trained on the digits that come with scikit-learn, and on MNIST where that is found
in $BATCHLAB_DATA/mnist. At each checkpoint |G|² and tr(Σ) of the training set are computed exactly, from every
example's own gradient, and batches of each size are drawn with replacement, of the smaller sizes sixteen times as
many: late in training few examples have most of the gradient, and 1,000 batches of 16 would leave an error of 9 %.
"ratio" is the mean of |g_B|² over the law, with its standard error; "blocks" is the noise scale that `measure_noise`
finds from fresh micro-batches, with its interval, "exact" the true one.

    python benchmarks/gradient_norm_law.py [--draws N] [--write]
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from batchlab.measure.batches import in_chunks
from batchlab.measure.gradient_norms import draw_streams, measure_gradient_norms
from batchlab.measure.gradients import MeanLoss, batch_gradient, mean_loss_of, trained_parameters
from batchlab.measure.noise import measure_noise
from batchlab.measure.per_example import per_example_sq_norms
from batchlab.measure.squared_norms import squared_norms
from batchlab.workload import cross_entropy
from batchlab.workloads.loading import load_workload
from evidence import write_evidence

SMALL, LARGE, MORE = (16, 32, 64), (128, 256, 512, 1024), 16
BATCH_SIZES = (*SMALL, *LARGE)
EPOCHS = (1, 10)
MEAN_LOSS = mean_loss_of(cross_entropy)
AT_ONCE = 1000


def workloads() -> tuple[str, ...]:
    """Return the names of those whose data are there."""
    folder = os.environ.get("BATCHLAB_DATA", "")
    return ("digits-mlp", "mnist-mlp") if folder and (Path(folder) / "mnist").is_dir() else ("digits-mlp",)


def opened(name: str) -> tuple[nn.Module, Tensor, Tensor, float]:
    """Return model, inputs, targets and learning rate."""
    workload = load_workload(name)
    inputs, targets = workload.splits(0).train
    torch.manual_seed(0)
    settings = workload.optimizer_settings or {}
    return workload.make_model(), torch.as_tensor(inputs), torch.as_tensor(targets), float(settings["lr"])


def train(model: nn.Module, inputs: Tensor, targets: Tensor, rate: float, epochs: int) -> None:
    """Train for so many epochs of batches of 64."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()


def exact(model: nn.Module, inputs: Tensor, targets: Tensor, mean_loss: MeanLoss = MEAN_LOSS) -> tuple[float, float]:
    """Return |G|² and tr(Σ) of the data set."""
    parameters = tuple(trained_parameters(model).values())
    total = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in parameters]
    squares = 0.0
    for part in in_chunks((inputs, targets), AT_ONCE):
        gradient = batch_gradient(model, mean_loss, parameters, part)
        for sum_, own in zip(total, gradient, strict=True):
            sum_.add_(own.double(), alpha=len(part[0]) / len(inputs))
        squares += float(per_example_sq_norms(model, mean_loss, part, chunk_size=AT_ONCE).sum())
    signal = float(squared_norms(total).sum())
    return signal, squares / len(inputs) - signal


def measure(model: nn.Module, inputs: Tensor, targets: Tensor, epochs: int, draws: int) -> dict[str, Any]:
    """Return the ratios at one checkpoint, and both noise scales."""
    signal, trace = exact(model, inputs, targets)
    ratios, errors = [], []
    for sizes, n in ((SMALL, MORE * draws), (LARGE, draws)):
        drawn = measure_gradient_norms(
            model,
            MEAN_LOSS,
            lambda rows: (inputs[rows], targets[rows]),
            draw_streams(len(inputs), sizes[-1], n, seed=epochs),
            batch_sizes=sizes,
        )
        relative = drawn.sq_norms / (signal + trace / numpy.array(sizes))
        ratios += relative.mean(axis=0).tolist()
        errors += (relative.std(axis=0, ddof=1) / n**0.5).tolist()
    generator = torch.Generator().manual_seed(epochs)
    rows = (torch.randint(len(inputs), (16,), generator=generator) for _ in range(16 * 100))
    blocks = measure_noise(model, MEAN_LOSS, ((inputs[row], targets[row]) for row in rows))
    return {
        "epochs": epochs,
        "ratios": ratios,
        "standard_errors": errors,
        "exact": trace / signal,
        "blocks": blocks.noise_scale.value,
        "low": blocks.noise_scale.low,
        "high": blocks.noise_scale.high,
        "n_blocks": blocks.noise_scale.n_blocks,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    figures = [row for name in workloads() for row in checkpoints(name, asked.draws)]
    if asked.write:
        write_evidence("gradient-norm-law", {"batch_sizes": BATCH_SIZES, "draws": asked.draws}, figures)


def checkpoints(name: str, draws: int) -> Iterator[dict[str, Any]]:
    """Yield what holds of a workload at each checkpoint, printed as it comes."""
    model, inputs, targets, rate = opened(name)
    print(f"{name}, {len(inputs):,} examples, {draws:,} draws of each size")
    print(f"{'epochs':>6}" + "".join(f"{f'B = {size}':>15}" for size in BATCH_SIZES) + "   noise scale: exact, blocks")
    done = 0
    for epochs in EPOCHS:
        train(model, inputs, targets, rate, epochs - done)
        done = epochs
        row = measure(model, inputs, targets, epochs, draws)
        cells = (f"{r:.3f} ± {e:.3f}" for r, e in zip(row["ratios"], row["standard_errors"], strict=True))
        found = " ".join(f"{row[key]:.4g}" for key in ("exact", "blocks", "low", "high") if row[key] is not None)
        print(f"{epochs:>6}" + "".join(f"{cell:>15}" for cell in cells) + f"   {found}", flush=True)
        yield {"workload": name, **row}


if __name__ == "__main__":
    main()
