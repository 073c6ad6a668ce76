"""The data loaders of a flow: what each reads, with which options, and what it is for."""

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass

from batchlab.cli.script.names import called, dotted, walk_scope
from batchlab.cli.script.slicing import Flow

POSITIONAL = ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler", "num_workers", "collate_fn")
# Read at the beginning of a word, in this order.
ROLES = (("train", r"train|trn|tr$"), ("valid", r"val(?!ue)|dev(?!ice)|eval"), ("test", r"test"))


@dataclass(frozen=True, slots=True)
class Loader:
    """A `DataLoader` as the script makes it.

    Args:
        name: as it is written where it is used: "loader", "loaders['train']".
        call: that makes it.
        index: of the statement in the flow.
        options: its arguments by name, the dataset among them.
    """

    name: str
    call: ast.Call
    index: int
    options: dict[str, ast.expr]

    @property
    def dataset(self) -> ast.expr | None:
        """Return what is read."""
        return self.options.get("dataset")

    @property
    def role(self) -> str:
        """Return "train", "valid" or "test" as its name tells, else as that of its data tells, else ""."""
        return role_of(self.name) or (role_of(ast.unparse(self.dataset)) if self.dataset else "")


def role_of(text: str) -> str:
    """Return what data are for, as far as a name tells.

    >>> role_of("valloader"), role_of("mnistTest"), role_of("images")
    ('valid', 'test', '')
    """
    words = re.split(r"[^a-z]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text).lower())
    found = (role for word in words for role, pattern in ROLES if re.match(pattern, word))
    return next(found, "")


def find_loaders(flow: Flow) -> list[Loader]:
    """Return the loaders, in the order in which they are made."""
    found = []
    for index, node in enumerate(flow.statements):
        for name, call in _named_calls(node):
            found.append(Loader(name, call, index, _options(flow, call, index)))
    return found


def resolve_loader(flow: Flow, loaders: list[Loader], over: ast.expr | None, before: int) -> Loader | None:
    """Return the loader that an expression means, through `iter`, `tqdm` and other names for it."""
    for _ in range(10):
        if over is None:
            return None
        match = next((loader for loader in loaders if loader.name == ast.unparse(over) or loader.call is over), None)
        if match is not None:
            return match
        if isinstance(over, ast.Call):
            over = over.args[0] if over.args else None
        elif isinstance(over, ast.Name):
            over = flow.value_of(over.id, before)
        else:
            return _by_variable_key(loaders, over)
    return None


def _by_variable_key(loaders: list[Loader], over: ast.expr) -> Loader | None:
    """Return the training loader for `loaders[phase]`."""
    if not isinstance(over, ast.Subscript):
        return None
    inside = [loader for loader in loaders if loader.name.startswith(f"{ast.unparse(over.value)}[")]
    return next((loader for loader in inside if loader.role == "train"), None)


def _named_calls(node: ast.stmt) -> Iterator[tuple[str, ast.Call]]:
    named: set[int] = set()
    for inner in walk_scope(node):
        if isinstance(inner, ast.Assign | ast.AnnAssign) and inner.value is not None:
            target = inner.targets[0] if isinstance(inner, ast.Assign) else inner.target
            named |= {id(part) for part in ast.walk(inner.value) if isinstance(inner.value, ast.DictComp)}
            for suffix, call in _inside(inner.value):
                named.add(id(call))
                yield f"{ast.unparse(target)}{suffix}", call
        elif isinstance(inner, ast.Call) and _makes_loader(inner) and id(inner) not in named:
            yield ast.unparse(inner), inner


def _makes_loader(node: ast.AST) -> bool:
    return called(node).endswith("DataLoader")


def _inside(value: ast.expr) -> Iterator[tuple[str, ast.Call]]:
    """Yield loaders with what follows the name they are assigned to: nothing, or a key of a dictionary."""
    if isinstance(value, ast.Call) and _makes_loader(value):
        yield "", value
    elif isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(item, ast.Call) and _makes_loader(item):
                yield f"[{key.value!r}]", item
    elif isinstance(value, ast.DictComp) and _makes_loader(value.value):
        generator = value.generators[0]
        keys = generator.iter.elts if isinstance(generator.iter, ast.List | ast.Tuple | ast.Set) else []
        for key in keys:
            if isinstance(key, ast.Constant) and isinstance(generator.target, ast.Name):
                filled = _Filled(generator.target.id, key).visit(copy.deepcopy(value.value))
                yield f"[{key.value!r}]", filled


class _Filled(ast.NodeTransformer):
    """A name replaced by a constant."""

    def __init__(self, name: str, value: ast.Constant) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(copy.copy(self.value), node) if node.id == self.name else node


def _options(flow: Flow, call: ast.Call, index: int) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = dict(zip(POSITIONAL, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            found |= _entries(flow, keyword.value, index)
        else:
            found[keyword.arg] = keyword.value
    return {name: value for name, value in found.items() if not _is_none(value)}


def _entries(flow: Flow, value: ast.expr, before: int) -> dict[str, ast.expr]:
    """Return the entries of a dictionary as far as statements that always run put them there."""
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        return {key.value: item for key, item in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    if isinstance(value, ast.Call) and dotted(value.func) == "dict":
        return {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    start = flow.last_binding(dotted(value), before)
    made = flow.value_of(dotted(value), before)
    if start is None or made is None:
        return {}
    found = _entries(flow, made, start)
    for index in range(start + 1, before):
        node = flow.statements[index]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and node.value.args:
            if dotted(node.value.func) == f"{dotted(value)}.update":
                found |= _entries(flow, node.value.args[0], index)
    return found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
