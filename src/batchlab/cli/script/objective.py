"""What a turn of the loop minimizes, as the loss or the step of a workload."""

import ast
import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass

from batchlab.cli.script.constants import constant
from batchlab.cli.script.names import called, dotted
from batchlab.cli.script.renaming import Renamed, Replaced
from batchlab.cli.script.slicing import Flow
from batchlab.cli.script.turns import Turn

CLASSES, BINARY = "classes", "binary"
# By class and by function: what the targets are, or the name of the metric that the loss itself makes.
KINDS = {
    "CrossEntropyLoss": CLASSES,
    "NLLLoss": CLASSES,
    "MSELoss": "mse",
    "L1Loss": "mae",
    "SmoothL1Loss": "smooth L1",
    "HuberLoss": "Huber",
    "BCEWithLogitsLoss": BINARY,
    "BCELoss": BINARY,
    "cross_entropy": CLASSES,
    "nll_loss": CLASSES,
    "mse_loss": "mse",
    "l1_loss": "mae",
    "smooth_l1_loss": "smooth L1",
    "huber_loss": "Huber",
    "binary_cross_entropy_with_logits": BINARY,
    "binary_cross_entropy": BINARY,
}
PROBABILITIES = {"BCELoss", "binary_cross_entropy"}


@dataclass(frozen=True, slots=True)
class Objective:
    """What is minimized, in one of three forms.

    Args:
        loss: an expression that is the loss function.
        loss_body: else the body of `loss(outputs, targets)`.
        step_body: else the body of `step(model, batch)`.
        errors_body: beside a step that classifies, the body of a metric.
        kind: one of KINDS, "" where it is not known.
        maker: the name of the loss's class or function, as far as it is known.
    """

    loss: ast.expr | None = None
    loss_body: tuple[ast.stmt, ...] = ()
    step_body: tuple[ast.stmt, ...] = ()
    errors_body: tuple[ast.stmt, ...] = ()
    kind: str = ""
    maker: str = ""


def loss_objective(flow: Flow, turn: Turn, model: str, before: int) -> Objective | None:
    """Return the loss as a function of outputs and targets, in the simplest form that it has.

    None where the model is given anything but the inputs as they come, or gives the loss itself, and where the loss is
    a sum over the batch.
    """
    pair = None if sums([*turn.statements, turn.loss], flow, before) else _as_function_of_outputs(turn, model)
    if pair is None:
        return None
    found = _loss(flow, before, *pair)
    # The share of wrong classes is counted on outputs and targets as they come.
    return found if found.kind != CLASSES or _compares(found, flow, before) else None


def _compares(objective: Objective, flow: Flow, before: int) -> bool:
    """Return whether a loss of classes takes outputs and targets without reshaping them."""
    calls = [node for part in objective.loss_body for node in ast.walk(part) if isinstance(node, ast.Call)]
    known = [call for call in calls if kind_of([ast.Call(call.func, [], [])], flow, before)[0] == CLASSES]
    plain = (["outputs", "targets"], ["outputs", "targets.long()"])
    return all([ast.unparse(argument) for argument in call.args] in plain for call in known)


def _as_function_of_outputs(turn: Turn, model: str) -> tuple[list[ast.stmt], ast.expr] | None:
    """Return the turn with `outputs` for what the model makes of the inputs, and `targets`.

    None where the model is given anything but the inputs as they come.
    """
    parts = turn.target.elts if isinstance(turn.target, ast.Tuple | ast.List) else []
    if len(parts) != 2 or not all(isinstance(part, ast.Name) for part in parts):
        return None
    inputs, targets = (dotted(part) for part in parts)
    body: list[ast.stmt] = copy.deepcopy([*turn.statements, ast.Expr(turn.loss)])
    calls = [node for part in body for node in ast.walk(part) if called(node) == model]
    reads = [node for part in body for node in ast.walk(part) if isinstance(node, ast.Name) and node.id == inputs]
    if len(calls) != 1 or len(reads) != 1 or sum(_reads(part, model) for part in body) != 1:
        return None
    call = calls[0]
    assert isinstance(call, ast.Call)
    if call.keywords or len(call.args) != 1 or call.args[0] is not reads[0]:
        return None
    body = [Replaced(call, ast.Name("outputs ", ast.Load())).visit(part) for part in body]
    renamed = {"outputs ": "outputs", targets: "targets"}
    for part in body:
        if isinstance(part, ast.Assign) and dotted(part.value) == "outputs " and isinstance(part.targets[0], ast.Name):
            renamed[part.targets[0].id] = "outputs"
    if any(isinstance(part, ast.Assign) and _takes_apart(part, "outputs ") for part in body):
        return None
    body = [Renamed(renamed).visit(part) for part in body]
    kept = [part for part in body if not (isinstance(part, ast.Assign) and _assigns_itself(part))]
    last = kept.pop()
    assert isinstance(last, ast.Expr)
    return kept, last.value


def _reads(node: ast.AST, name: str) -> int:
    return sum(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def _takes_apart(node: ast.Assign, name: str) -> bool:
    return dotted(node.value) == name and not isinstance(node.targets[0], ast.Name)


def _assigns_itself(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == ast.unparse(node.value)


def _loss(flow: Flow, before: int, statements: list[ast.stmt], loss: ast.expr) -> Objective:
    assigned = statements[0] if len(statements) == 1 else None
    if isinstance(assigned, ast.Assign):
        if ast.unparse(assigned.targets[0]) == ast.unparse(loss):
            statements, loss = [], assigned.value
    kind, maker = kind_of([*statements, ast.Expr(loss)], flow, before)
    body = on_device([*statements, ast.Return(loss)], flow, before)
    whole = Objective(loss_body=body, kind=kind, maker=maker)
    if statements or not isinstance(loss, ast.Call) or loss.keywords:
        return whole
    if [ast.unparse(argument) for argument in loss.args] != ["outputs", "targets"]:
        return whole
    function = criterion_of(loss.func, flow, before)
    if holds_tensors(function, flow):
        return whole
    return Objective(loss=function, kind=kind, maker=maker)


def criterion_of(function: ast.expr, flow: Flow, before: int) -> ast.expr:
    """Return what a name for the loss stands for: the call that made it, or a function's own name."""
    if isinstance(function, ast.Name):
        return flow.value_of(function.id, before) or function
    return function


def holds_tensors(function: ast.expr, flow: Flow) -> bool:
    """Return whether a loss is a module that may hold tensors, such as the weights of classes."""
    if not isinstance(function, ast.Call):
        return False
    values = [*function.args, *(keyword.value for keyword in function.keywords)]
    if called(function) in KINDS:
        return any(constant(value, ()) is None for value in values)
    is_loss = re.search(r"loss|criterion", called(function), re.IGNORECASE) is not None
    definitions = flow.definitions.get(called(function), ())
    return is_loss and any(isinstance(node, ast.ClassDef) for node in definitions)


def on_device(body: Iterable[ast.stmt], flow: Flow, before: int) -> tuple[ast.stmt, ...]:
    """Return statements in which losses that hold tensors are moved to where the outputs are."""
    moved = []
    for statement in copy.deepcopy([*body]):
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                if holds_tensors(criterion_of(node.func, flow, before), flow) and isinstance(node.args[0], ast.Name):
                    there = ast.Attribute(node.args[0], "device", ast.Load())
                    node.func = ast.Call(ast.Attribute(node.func, "to", ast.Load()), [there], [])
        moved.append(statement)
    return tuple(moved)


def sums(statements: Iterable[ast.AST], flow: Flow, before: int) -> bool:
    """Return whether a loss is a sum over the batch, in the statements or in functions of the script they call."""
    calls = [node for part in statements for node in ast.walk(part) if isinstance(node, ast.Call)]
    makers: list[ast.AST] = [criterion_of(node.func, flow, before) for node in calls]
    inside = [node for name in map(called, calls) for node in flow.definitions.get(name, ())]
    given = [one for part in [*calls, *makers, *inside] for one in ast.walk(part) if isinstance(one, ast.keyword)]
    return any(one.arg == "reduction" and getattr(one.value, "value", "") == "sum" for one in given)


def kind_of(statements: Iterable[ast.AST], flow: Flow, before: int) -> tuple[str, str]:
    """Return the kind of loss, and the name of its class or function, of the first that is known; else empty texts."""
    for part in statements:
        for node in ast.walk(part):
            if isinstance(node, ast.Call):
                function = criterion_of(node.func, flow, before)
                name = called(function) or dotted(function).split(".")[-1]
                if name in KINDS:
                    return KINDS[name], name
    return "", ""
