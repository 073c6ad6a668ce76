"""Which data train, which decide, which test."""

import ast
from dataclasses import dataclass

from batchlab.cli.script.loaders import Loader, find_loaders, resolve_loader, role_of
from batchlab.cli.script.loop import Training, loop_source
from batchlab.cli.script.names import called, dotted
from batchlab.cli.script.slicing import Flow
from batchlab.cli.script.turns import Turn


@dataclass(frozen=True, slots=True)
class Split:
    """Data as an expression, and the index of the statement where it has its value."""

    value: ast.expr
    index: int
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Data:
    """The data of a script.

    Args:
        train, valid, test: None where the script has none.
        loader: that the training data come from.
        sampler: the call that makes the order of the training data.
        others: loaders that were not used.
    """

    train: Split | None
    valid: Split | None
    test: Split | None
    loader: Loader | None = None
    sampler: ast.expr | None = None
    others: tuple[Loader, ...] = ()


def find_data(flow: Flow, training: Training, turn: Turn | None) -> Data:
    """Return the data of the training loop, and those that the script keeps for validation and test."""
    if turn is not None and turn.data is not None:
        return _arrays(flow, training, turn.data)
    loaders = [loader for loader in find_loaders(flow) if loader.dataset is not None]
    over, _ = loop_source(training)
    chosen = resolve_loader(flow, loaders, over, training.index)
    train = chosen or next((loader for loader in loaders if loader.role == "train"), None)
    rest = [loader for loader in loaders if loader is not train]
    valid = next((loader for loader in rest if loader.role == "valid"), None)
    test = next((loader for loader in rest if loader.role == "test"), None)
    if valid is None:
        # What has no telling name and is no training data is what the script looks at while it trains.
        valid = next((loader for loader in rest if loader.role == "" and loader is not test), None)
    others = tuple(loader for loader in rest if loader not in (valid, test) and loader.role != "train")
    order = None if train is None else _order(flow, train)
    return Data(_split(flow, train), _split(flow, valid), _split(flow, test), train, order, others)


def _split(flow: Flow, loader: Loader | None) -> Split | None:
    if loader is None or loader.dataset is None:
        return None
    value = loader.dataset
    sampler = _sampler(flow, loader)
    if called(sampler or value) == "SubsetRandomSampler" and isinstance(sampler, ast.Call) and sampler.args:
        chosen = ast.parse("torch.utils.data.Subset", mode="eval").body
        value = ast.Call(chosen, [value, sampler.args[0]], [])
    return Split(value, loader.index, loader.call)


def _sampler(flow: Flow, loader: Loader) -> ast.expr | None:
    given = loader.options.get("sampler")
    return (flow.value_of(given.id, loader.index) or given) if isinstance(given, ast.Name) else given


def _order(flow: Flow, loader: Loader) -> ast.expr | None:
    """Return the sampler of the training data, where it does more than to shuffle."""
    sampler = _sampler(flow, loader)
    plain = ("SubsetRandomSampler", "RandomSampler", "DistributedSampler", "SequentialSampler")
    if sampler is None or called(sampler) in plain or not isinstance(sampler, ast.Call):
        return None
    return sampler


def _arrays(flow: Flow, training: Training, data: ast.expr) -> Data:
    """Return the splits of a script without loaders: those of the loop, and those named like them."""
    assert isinstance(data, ast.Tuple)
    bound = set().union(*flow.bound, set())
    names = [dotted(part) for part in data.elts]
    node = training.loop or data
    end = len(flow.statements)
    found: dict[str, Split] = {}
    for role, words in (("valid", ("valid", "val", "dev", "validation")), ("test", ("test",))):
        for word in words:
            alike = [_renamed(name, word) for name in names]
            if all(name in bound and role_of(name) == role for name in alike):
                parts: list[ast.expr] = [ast.Name(name, ast.Load()) for name in alike]
                found.setdefault(role, Split(ast.Tuple(parts, ast.Load()), end, node))
    return Data(Split(data, training.index, node), found.get("valid"), found.get("test"))


def _renamed(name: str, word: str) -> str:
    """Return what validation or test data are called like the training data `name`: x_train, x_test."""
    for old in ("training", "train", "trn", "tr"):
        for before, after in ((old, word), (old.capitalize(), word.capitalize()), (old.upper(), word.upper())):
            if before in name:
                return name.replace(before, after)
    return ""
