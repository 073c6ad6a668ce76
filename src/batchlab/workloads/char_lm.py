"""A language model of characters: a small transformer on a text file the user names."""

import functools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from batchlab.errors import DataCorrupt
from batchlab.workload import Workload
from batchlab.workloads.text_files import TEST_SHARE, cut, find_text, read_text
from batchlab.workloads.transformer import CausalTransformer

CONTEXT, WIDTH, N_LAYERS, N_HEADS = 64, 64, 2, 4
WINDOW = CONTEXT + 1
# Fewer would say nothing: the least that validation and test must have.
FEWEST_WINDOWS = 16


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The characters a model knows, in order; every other one is the unknown symbol, whose id comes after theirs.

    >>> Vocabulary("abc").ids("cat").tolist()
    [2, 0, 3]
    """

    characters: str

    def __len__(self) -> int:
        """Return the number of ids, that of the unknown symbol among them."""
        return len(self.characters) + 1

    def ids(self, text: str) -> Tensor:
        """Return the id of each character, int64, shape (length of the text,)."""
        id_of_code = np.full(sys.maxunicode + 1, len(self.characters), dtype=np.int64)
        id_of_code[_codes(self.characters)] = np.arange(len(self.characters))
        return torch.from_numpy(id_of_code[_codes(text)])


def char_lm(data_dir: Path | None = None) -> Workload:
    """Return a transformer with 2 layers of width 64 that predicts each character from up to 64 before it.

    An example is a window of 65 characters; windows do not overlap. The vocabulary is that of the training part.
    """
    path = find_text(data_dir)
    text = read_text(path)
    _check_long_enough(text, path)
    parts = cut(text)
    vocabulary = Vocabulary("".join(sorted(set(parts.train))))
    return Workload(
        "char-lm",
        functools.partial(
            CausalTransformer, len(vocabulary), context=CONTEXT, width=WIDTH, n_layers=N_LAYERS, n_heads=N_HEADS
        ),
        *(windows(vocabulary.ids(part)) for part in (parts.train, parts.valid, parts.test)),
        step=next_character_loss,
        optimizer="adamw",
        optimizer_settings={"lr": 3e-3, "betas": (0.9, 0.99), "weight_decay": 0.1},
        unit="sequence",
        default_epochs=3,
    )


def windows(ids: Tensor) -> Tensor:
    """Return whole windows that follow each other, shape (n, 65); what is left at the end is dropped."""
    n_windows = len(ids) // WINDOW
    return ids[: n_windows * WINDOW].view(n_windows, WINDOW)


def next_character_loss(model: nn.Module, batch: Tensor) -> tuple[Tensor, int]:
    """Return the sum of the cross entropies in nats, and the number of characters predicted.

    Args:
        model: from ids (n, 64) to logits (n, 64, ids).
        batch: windows, shape (n, 65); each character but the first is predicted from those before it.
    """
    targets = batch[:, 1:]
    logits = model(batch[:, :-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"), targets.numel()


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _check_long_enough(text: str, path: Path) -> None:
    least = round(FEWEST_WINDOWS * WINDOW / TEST_SHARE)
    if len(text) < least:
        raise DataCorrupt(
            f"{path} should hold at least {least} characters, so that validation and test have {FEWEST_WINDOWS} "
            f"windows of {WINDOW} each, but holds {len(text)}; give a longer text."
        )
