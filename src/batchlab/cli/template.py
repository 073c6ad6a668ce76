"""The workload file that `batchlab init` writes: an example, or what a script trains."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchlab.cli.script.drafting import Argument, Draft, make_draft
from batchlab.cli.script.reading import read_script
from batchlab.cli.script.rendering import render
from batchlab.cli.script.source import read_source

TEMPLATE = '''"""A workload for batchlab: what to train, and on what. Replace the parts with your own."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from batchlab.workload import Workload, cross_entropy, error

# Data: a pair of tensors or arrays as here, a dictionary of tensors, or any map-style dataset.
pixels, labels = load_digits(return_X_y=True)
inputs = torch.tensor(pixels / 16, dtype=torch.float32)
targets = torch.tensor(labels)
order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
train, valid, test = order[:1200], order[1200:1500], order[1500:]


def model():
    """Return a fresh model: called for every trial, under the seed of the trial."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


workload = Workload(
    "digits",
    model,
    train=(inputs[train], targets[train]),
    valid=(inputs[valid], targets[valid]),  # decides which batch size is best
    test=(inputs[test], targets[test]),  # looked at once, in the end; may be left out
    loss=cross_entropy,  # (outputs, targets) -> the mean over the batch
    metric=error,  # or accuracy, or Metric("mse", nn.functional.mse_loss)
    optimizer="sgd",  # or adam, adamw, rmsprop, adagrad; a torch class; (params, settings) -> an optimizer
    optimizer_settings={"lr": 0.1, "momentum": 0.9},  # torch's names; the search for learning rates starts at lr
    default_batch_size=32,
    default_epochs=10,
    # step=step,  # instead of loss, for batches that are dictionaries: (model, batch) -> (sum of losses, how many)
    # collate=collate,  # makes a batch of a list of a dataset's items, as for padding
    # num_workers=2,  # processes that read a dataset, in every trial
    # cache=True,  # read a dataset once and keep it in memory
    # autocast="bfloat16",  # mixed precision
    # clip_norm=1.0,  # clip gradients to this norm
    # evaluation_batch_size=256,  # examples at a time in evaluations, which only memory limits
)
'''


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to write.

    Args:
        text: of the file.
        attribute: the name of the workload in it.
        found: what was recognized in a script, a line each.
        doubts: what somebody has to look at, a line each.
    """

    text: str
    attribute: str = "workload"
    found: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def from_template() -> NewFile:
    """Return the example: scikit-learn's digits, which come with the package."""
    return NewFile(TEMPLATE)


def from_script(script: Path, output: Path) -> NewFile:
    """Return the workload of a training script or notebook, for a file at `output`."""
    draft = make_draft(read_script(read_source(script)))
    found = tuple(_told(argument) for argument in draft.arguments if not argument.missing)
    text = render(draft)
    return NewFile(text, draft.names["workload"], found, tuple(_doubts(draft, text, output)))


def _told(argument: Argument) -> str:
    place = f"  ({argument.place})" if argument.place else ""
    return f"{argument.keyword:<18} {argument.shown or argument.text}{place}"


def _doubts(draft: Draft, text: str, output: Path) -> Iterator[str]:
    source = draft.reading.source
    for argument in draft.arguments:
        if argument.missing:
            yield f"{f'{argument.place}: ' if argument.place else ''}TODO: {argument.missing}"
    # Stand-ins inside of the script's own statements, as for options without a default.
    inside = dict.fromkeys(re.findall(r"todo\('([^']*)'\)", text))
    yield from (f"TODO: {what}" for what in inside)
    if draft.hold_out:
        yield "no validation data were found: a tenth of the training data is held out"
    for function in draft.functions:
        for name in function.carried:
            yield f"TODO: `{name}` in `{function.role}`, which the loop carries from one batch to the next"
    yield from draft.reading.doubts
    beside = _modules_beside(draft)
    if beside and source.path.resolve().parent != output.resolve().parent:
        verb = "is" if len(beside) == 1 else "are"
        yield f"{' and '.join(beside)} {verb} beside {source.path}: write the file there too"


def _modules_beside(draft: Draft) -> list[str]:
    """Return the modules in the script's folder that its workload imports."""
    folder = draft.reading.source.path.parent
    nodes = [draft.reading.flow.statements[index] for index in draft.places.imports]
    names = []
    for node in (inner for part in nodes for inner in ast.walk(part)):
        if isinstance(node, ast.ImportFrom):
            names += [node.module] if node.module else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    roots = dict.fromkeys(name.split(".")[0] for name in names)
    return [name for name in roots if (folder / f"{name}.py").is_file() or (folder / name).is_dir()]
