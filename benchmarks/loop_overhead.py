"""What does the reference loop add to a plain PyTorch script? Whole runs, pair by pair, one thread.

A run makes the model, trains it for some steps and evaluates one example; the script is what a user would write, with
torch's own defaults. The two alternate, so that a slow spell of the machine meets both. A ratio below 1 means that the
loop is faster.

    python benchmarks/loop_overhead.py [--pairs N] [--steps N] [--write]
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from batchlab.records import Schedule, TrialSettings
from batchlab.train.trial import run_trial
from batchlab.workload import Workload
from evidence import write_evidence

N_TRAIN, BATCH = 2048, 32


@dataclass(frozen=True, slots=True)
class Case:
    """A workload, and the script that does the same for so many steps; slow ones make a share of the steps."""

    name: str
    workload: Workload
    script: Callable[[int], None]
    micro_batch: int | None = None
    share: float = 1.0


def images(side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N_TRAIN, side * side, generator=generator), torch.randint(0, 10, (N_TRAIN,), generator=generator)


def mlp(side: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(side * side, width), nn.ReLU(), nn.Linear(width, 10))


def tensors(side: int, width: int, micro: int | None = None) -> Case:
    """Return a network on tensors in memory, without or with accumulation."""
    inputs, targets = images(side)

    def script(steps: int) -> None:
        model = mlp(side, width)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        for rows in itertools.islice(index_batches(), steps):
            optimizer.zero_grad()
            for part in rows.split(micro or BATCH):
                loss = functional.cross_entropy(model(inputs[part]), targets[part])
                (loss * (len(part) / BATCH)).backward()
            optimizer.step()

    accumulated = f", micro-batches of {micro}" if micro else ""
    workload = Workload("w", lambda: mlp(side, width), (inputs, targets), (inputs[:1], targets[:1]), baseline="initial")
    return Case(f"MLP {side * side}-{width}-10{accumulated}", workload, script, micro)


class Texts(Dataset[dict[str, Any]]):
    """Lists of 4 to 24 tokens, with a class."""

    def __init__(self) -> None:
        generator = numpy.random.default_rng(0)
        self.items = [generator.integers(1, 50, generator.integers(4, 24)).tolist() for _ in range(N_TRAIN)]

    def __len__(self) -> int:
        return N_TRAIN

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"tokens": self.items[index], "label": self.items[index][0] % 2}


def padded(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    longest = max(len(item["tokens"]) for item in items)
    tokens = torch.tensor([item["tokens"] + [0] * (longest - len(item["tokens"])) for item in items])
    return {"tokens": tokens, "mask": tokens == 0, "label": torch.tensor([item["label"] for item in items])}


class Encoder(nn.Module):
    """An embedding, a transformer layer, and a linear layer on the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 64, padding_idx=0)
        self.layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the logits."""
        x = self.layer(self.embed(tokens), src_key_padding_mask=mask)
        return self.head(x.mean(1))  # type: ignore[no-any-return]


def step(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    outputs = model(batch["tokens"], batch["mask"])
    return functional.cross_entropy(outputs, batch["label"], reduction="sum"), len(batch["label"])


def transformer() -> Case:
    """Return dictionaries with padding, read by a DataLoader, under autocast and clipping."""
    texts = Texts()
    loader = DataLoader(texts, BATCH, shuffle=True, collate_fn=padded, drop_last=True)

    def script(steps: int) -> None:
        model = Encoder()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for batch in itertools.islice(itertools.chain.from_iterable(itertools.repeat(loader)), steps):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss_sum, count = step(model, batch)
            (loss_sum / count).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    workload = Workload(
        "w",
        Encoder,
        texts,
        torch.utils.data.Subset(texts, [0]),
        step=step,
        collate=padded,
        optimizer="adamw",
        autocast="bfloat16",
        clip_norm=1.0,
    )
    return Case("transformer, dictionaries, bfloat16, clipping", workload, script, share=0.04)


class Augmented(Dataset[tuple[Tensor, int]]):
    """Images with a random shift."""

    def __init__(self) -> None:
        self.inputs, self.targets = images(28)

    def __len__(self) -> int:
        return N_TRAIN

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.inputs[index].roll(int(torch.randint(-2, 3, ()))), int(self.targets[index])


def augmented(num_workers: int) -> Case:
    """Return a dataset with random items, read by so many loader processes."""
    data = Augmented()

    def script(steps: int) -> None:
        loader = DataLoader(data, BATCH, shuffle=True, num_workers=num_workers, drop_last=True)
        model = mlp(28, 256)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        for inputs, targets in itertools.islice(itertools.chain.from_iterable(itertools.repeat(loader)), steps):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()

    valid = torch.utils.data.Subset(data, [0])
    workload = Workload("w", lambda: mlp(28, 256), data, valid, num_workers=num_workers, baseline="initial")
    return Case(f"MLP 784-256-10, augmented, {num_workers} loader processes", workload, script, share=0.2)


def index_batches() -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(N_TRAIN).split(BATCH)


def settings(case: Case, steps: int) -> TrialSettings:
    workload = case.workload
    optional = tuple((key, value) for key, value in (workload.optimizer_settings or {}).items() if key != "lr")
    return TrialSettings(
        workload="w",
        fingerprint="",
        batch_size=BATCH,
        learning_rate=0.01,
        n_steps=steps,
        optimizer=workload.optimizer_name,
        optimizer_settings=optional,
        schedule=Schedule(),
        last_batch="carry",
        evaluate_at=(),
        base_seed=0,
        seed=0,
        replica=0,
        purpose="tune",
        device="cpu",
        micro_batch_size=case.micro_batch,
    )


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(case: Case, pairs: int, steps: int) -> dict[str, Any]:
    """Return the step time of both, in microseconds, and the ratio of each pair."""
    steps = round(case.share * steps)
    trial = settings(case, steps)
    for run in (lambda: case.script(20), lambda: run_trial(case.workload, settings(case, 20))):
        run()
    times = [
        (seconds(lambda: case.script(steps)), seconds(lambda: run_trial(case.workload, trial))) for _ in range(pairs)
    ]
    ratios = sorted(loop / script for script, loop in times)
    return {
        "case": case.name,
        "steps": steps,
        "script_us": 1e6 * statistics.median(script for script, _ in times) / steps,
        "loop_us": 1e6 * statistics.median(loop for _, loop in times) / steps,
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[0],
        "ratio_high": ratios[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cases = [
        tensors(8, 64),
        tensors(28, 256),
        tensors(28, 256, micro=8),
        transformer(),
        augmented(0),
        augmented(2),
    ]
    shares = "a share of them where steps are slow"
    print(f"{asked.pairs} pairs of {asked.steps} steps ({shares}), batch size {BATCH}, one thread")
    print(f"{'microseconds a step':<52}{'script':>9}{'loop':>9}{'ratio':>8}   range")
    figures = []
    for case in cases:
        row = measure(case, asked.pairs, asked.steps)
        figures.append(row)
        print(f"{row['case']:<52}{row['script_us']:>9.0f}{row['loop_us']:>9.0f}{row['ratio']:>8.3f}", end="")
        print(f"   {row['ratio_low']:.3f} to {row['ratio_high']:.3f}", flush=True)
    if asked.write:
        write_evidence("loop-overhead", {"pairs": asked.pairs, "steps": asked.steps, "batch_size": BATCH}, figures)


if __name__ == "__main__":
    main()
