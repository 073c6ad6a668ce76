"""A small transformer on sequences of different lengths: padding, mixed precision, clipping, two parameter groups.

The task: which of the tokens 1 and 2 is there more often? The others say nothing.

batchlab study examples/sequence_classification.py:workload --batch-sizes 8:128
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from batchlab import Metric, Workload

N_TOKENS, SHORTEST, LONGEST, WIDTH, PADDING = 20, 6, 16, 32, 0


class Sequences(Dataset[tuple[Tensor, int]]):
    """Sequences of 6 to 16 tokens, each with its label; the same ones for the same seed."""

    def __init__(self, n_sequences: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(SHORTEST, LONGEST + 1, (n_sequences,), generator=generator)
        self.items = [self._draw(int(length), generator) for length in lengths]

    def _draw(self, length: int, generator: torch.Generator) -> tuple[Tensor, int]:
        label = int(torch.randint(2, (), generator=generator))
        tokens = torch.randint(3, N_TOKENS, (length,), generator=generator)
        places = torch.randperm(length, generator=generator)
        tokens[places[:3]], tokens[places[3:5]] = 1 + label, 2 - label
        return tokens, label

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.items[index]


def collate(items: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """Return one batch: sequences padded to the longest of them, and which tokens are real."""
    tokens = pad_sequence([item for item, _ in items], batch_first=True, padding_value=PADDING)
    return {"tokens": tokens, "mask": tokens != PADDING, "labels": torch.tensor([label for _, label in items])}


class Classifier(nn.Module):
    """One transformer layer; the mean over the real tokens decides."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, WIDTH)
        self.positions = nn.Parameter(0.1 * torch.randn(LONGEST, WIDTH))
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, 2)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the logits of each sequence; `mask` is true where a token is real."""
        hidden = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        hidden = self.norm(self.layer(hidden, src_key_padding_mask=~mask))
        real = mask.unsqueeze(-1)
        return self.output((hidden * real).sum(dim=1) / real.sum(dim=1))


def step(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """Return the sum of the losses of a batch, and how many there are."""
    logits = model(batch["tokens"], batch["mask"])
    return nn.functional.cross_entropy(logits, batch["labels"], reduction="sum"), len(logits)


def count_correct(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """Return how many sequences are classified correctly, and how many there are."""
    logits = model(batch["tokens"], batch["mask"])
    return (logits.argmax(dim=1) == batch["labels"]).sum(), len(logits)


def optimizer(model: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Return AdamW that leaves biases and norms without decay; `settings` holds the learning rate of the trial."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    kept = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, **settings)


workload = Workload(
    "more-often",
    Classifier,
    Sequences(800, seed=1),
    Sequences(200, seed=2),
    Sequences(200, seed=3),
    collate=collate,
    step=step,
    metric=Metric("accuracy", count_correct, higher_is_better=True, margin=0.01),
    optimizer=optimizer,
    optimizer_settings={"lr": 3e-3},
    autocast="bfloat16",
    clip_norm=1.0,
    unit="sequence",
)
