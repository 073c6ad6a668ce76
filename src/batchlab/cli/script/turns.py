"""What one turn of the training loop does with a batch."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeGuard

from batchlab.cli.script.constants import constant
from batchlab.cli.script.loop import Training, loop_source, loss_statements
from batchlab.cli.script.names import base_name, bound_names, called, dotted, free_names
from batchlab.cli.script.slicing import Flow


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the loop.

    Args:
        target: what holds the batch: a name, or a tuple of names.
        statements: from the batch to the loss.
        loss: the expression that goes backward.
        data: what the batch is cut from, where no loader gives it.
    """

    target: ast.expr
    statements: tuple[ast.stmt, ...]
    loss: ast.expr
    data: ast.expr | None = None


def read_turn(flow: Flow, training: Training, model: str) -> Turn | None:
    """Return what one turn of the loop does with a batch, None where the loss was not found."""
    found = loss_statements(training)
    if found is None:
        return None
    statements, loss = found
    _, target = loop_source(training)
    if target is None or _cuts(flow, statements, target):
        return _turn_without_loader(flow, training, Turn(ast.Tuple([], ast.Store()), (*statements,), loss), model)
    rest = [node for node in statements if called(getattr(node, "value", node)) != "next"]
    unpacked = _unpacking(rest, target)
    others = [node for node in rest if node not in unpacked]
    still_read = set().union(free_names(loss), *map(free_names, others))
    if unpacked and not bound_names(target) & still_read:
        parts = [node.targets[0] for node in unpacked]
        return Turn(parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Store()), (*others,), loss)
    return Turn(target, (*rest,), loss)


def _unpacking(statements: Iterable[ast.stmt], target: ast.expr) -> list[ast.Assign]:
    """Return the statements that take a batch apart: `inputs, targets = batch`, or one for each of its two items."""
    assigned = [node for node in statements if isinstance(node, ast.Assign)]
    whole = [node for node in assigned if ast.unparse(node.value) == ast.unparse(target)]
    if len(whole) == 1 and isinstance(whole[0].targets[0], ast.Tuple | ast.List):
        return whole
    items = {ast.unparse(node.value): node for node in assigned if isinstance(node.targets[0], ast.Name)}
    pair = [items.get(f"{ast.unparse(target)}[{index}]") for index in range(2)]
    return [node for node in pair if node is not None] if None not in pair else []


def _cuts(flow: Flow, statements: Iterable[ast.stmt], target: ast.expr) -> bool:
    """Return whether what the loop goes over only says which examples to cut from tensors."""
    items = [node for part in statements for node in ast.walk(part) if isinstance(node, ast.Subscript)]
    bound = set().union(*flow.bound)
    return any(base_name(item) in bound and free_names(item.slice) & bound_names(target) for item in items)


def _turn_without_loader(flow: Flow, training: Training, turn: Turn, model: str) -> Turn | None:
    """Return the turn of a loop that cuts its batches itself, as `x[i : i + 64]`, or takes all of a pair at once.

    Where a function of the script gives the batch, what it is given from is not known.
    """
    source = next((node for node in turn.statements if _draws(node, model)), None)
    if source is not None:
        rest = tuple(node for node in turn.statements if node is not source)
        return replace(turn, target=source.targets[0], statements=rest)
    cuts = [node for node in turn.statements if _is_cut(node, flow)]
    cut = {dotted(node.targets[0]): _uncut(node.value) for node in cuts}
    rest = tuple(node for node in turn.statements if node not in cuts and not bound_names(node) & _indices(cuts))
    first = _model_inputs([*rest, ast.Expr(turn.loss)], model)
    names = sorted(cut or _whole(flow, training, rest, turn.loss, model), key=lambda name: name not in first)
    if len(names) < 2 or (not cut and len(names) > 2):
        return None
    target = ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())
    data = ast.Tuple([cut.get(name, ast.Name(name, ast.Load())) for name in names], ast.Load())
    return Turn(target, rest, turn.loss, data)


def _draws(node: ast.stmt, model: str) -> TypeGuard[ast.Assign]:
    """Return whether a statement gets a batch from a function of the script, as `x, y = get_batch("train")`."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Tuple):
        return False
    return isinstance(node.value, ast.Call) and dotted(node.value.func) not in ("", model)


def _is_cut(node: ast.stmt, flow: Flow) -> TypeGuard[ast.Assign]:
    """Return whether a statement takes some examples of a tensor from outside of the loop."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return False
    inside = node.value.args[0] if _makes_tensor(node.value) else node.value
    is_part = isinstance(inside, ast.Subscript) or (inside is not node.value and isinstance(inside, ast.Name))
    return is_part and base_name(inside) in set().union(*flow.bound)


def _makes_tensor(node: ast.expr) -> TypeGuard[ast.Call]:
    makers = ("from_numpy", "tensor", "as_tensor", "FloatTensor", "LongTensor", "Tensor")
    return isinstance(node, ast.Call) and called(node) in makers and len(node.args) > 0


def _uncut(node: ast.expr) -> ast.expr:
    """Return all of what an expression takes a part of."""
    if _makes_tensor(node):
        return ast.Call(node.func, [_uncut(node.args[0]), *node.args[1:]], node.keywords)
    return node.value if isinstance(node, ast.Subscript) else node


def _indices(cuts: Iterable[ast.Assign]) -> set[str]:
    """Return the names that say which examples to cut."""
    parts = [part for node in cuts for part in ast.walk(node.value) if isinstance(part, ast.Subscript)]
    return set().union(*(free_names(part.slice) for part in parts), set())


def _whole(flow: Flow, training: Training, statements: Iterable[ast.stmt], loss: ast.expr, model: str) -> list[str]:
    """Return the tensors from outside of the loop that a turn takes whole."""
    nodes = [*statements, ast.Expr(loss)]
    used = set().union(*map(free_names, nodes)) - bound_names(nodes)
    return sorted(name for name in used if _is_data(flow, training, name, model))


def _is_data(flow: Flow, training: Training, name: str, model: str) -> bool:
    """Return whether a name from outside of the loop holds tensors, as far as one can tell."""
    index = flow.last_binding(name, training.index)
    if index is None or name == model or not isinstance(flow.statements[index], ast.Assign | ast.AnnAssign | ast.If):
        return False
    if constant(ast.Name(name, ast.Load()), flow.statements[: training.index]) is not None:
        return False
    calls = [node for part in training.body for node in ast.walk(part) if isinstance(node, ast.Call)]
    return name not in {dotted(call.func) for call in calls}


def _model_inputs(statements: Iterable[ast.AST], model: str) -> set[str]:
    nodes = [node for part in statements for node in ast.walk(part) if isinstance(node, ast.Call)]
    return set().union(*(free_names(part) for call in nodes if called(call) == model for part in call.args), set())
