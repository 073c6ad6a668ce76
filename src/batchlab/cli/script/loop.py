"""Find the loop that trains, and what one of its turns is about."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from batchlab.cli.script.constants import constant
from batchlab.cli.script.inlining import trains
from batchlab.cli.script.names import bound_names, called, changed_names, free_names, walk_scope

Loop = ast.For | ast.While


@dataclass(frozen=True, slots=True)
class Training:
    """The innermost loop that goes backward.

    Args:
        flow: all statements in running order, those around the loop laid out flat.
        index: the place of the loop in `flow`, or of its end where there is none.
        loop: the loop.
        around: the loops around it, the outermost first.
        body: its statements, those that come to the loss laid out flat.
        backward: the call.
    """

    flow: tuple[ast.stmt, ...]
    index: int
    loop: Loop | None = None
    around: tuple[Loop, ...] = ()
    body: tuple[ast.stmt, ...] = ()
    backward: ast.Call | None = None


def find_training(flow: list[ast.stmt]) -> Training:
    """Return the first loop of the flow that goes backward, the innermost of those around the call."""
    before: list[ast.stmt] = []
    around: list[Loop] = []
    after: list[ast.stmt] = []
    block = flow
    while True:
        index = next((index for index, node in enumerate(block) if _leads_to_loop(node)), None)
        if index is None:
            break
        before += block[:index]
        after = block[index + 1 :] + after
        node = block[index]
        if isinstance(node, ast.For | ast.While):
            around.append(node)
        elif isinstance(node, ast.With):
            before += [ast.copy_location(assigned, node) for assigned in _contexts(node)]
        block = _branch(node)
    if not around:
        return Training((*flow,), len(flow))
    loop = around.pop()
    body = tuple(_laid_out(loop.body))
    backward = next(node for part in body for node in walk_scope(part) if called(node) == "backward")
    assert isinstance(backward, ast.Call)
    return Training((*before, loop, *after), len(before), loop, tuple(around), body, backward)


def _leads_to_loop(node: ast.stmt) -> bool:
    """Return whether a statement is, or holds, a loop that goes backward."""
    if not trains(node):
        return False
    return any(isinstance(inner, Loop) and trains(inner) for inner in walk_scope(node))


def _contexts(node: ast.With) -> Iterator[ast.stmt]:
    """Yield `name = context` for what a statement gives names to, as in `with tqdm(loader) as batches`."""
    for item in node.items:
        if item.optional_vars is not None:
            yield ast.Assign([item.optional_vars], item.context_expr)


def _branch(node: ast.stmt) -> list[ast.stmt]:
    """Return the block of a statement in which the loop is."""
    blocks = [getattr(node, name, None) or [] for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(node, "handlers", ())]
    return next((block for block in blocks if any(map(trains, block))), [])


def _laid_out(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a turn; contexts, and the branch that goes backward, are opened."""
    for node in body:
        if isinstance(node, ast.With):
            yield from _laid_out(node.body)
        elif isinstance(node, ast.If | ast.Try) and trains(node):
            yield from _laid_out(_branch(node))
        else:
            yield node


def loop_source(training: Training) -> tuple[ast.expr | None, ast.expr | None]:
    """Return what the loop goes over, without wrappers such as `enumerate`, and the target that holds a batch."""
    loop = training.loop
    if not isinstance(loop, ast.For):
        return _next_batch(training)
    over, target = loop.iter, loop.target
    while isinstance(over, ast.Call) and over.args and called(over) != "range" and not called(over).endswith("Loader"):
        if called(over) == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            target = target.elts[1]
        over = over.args[0]
    found = (None, None) if called(over) in ("range", "trange", "count") else (over, target)
    return _next_batch(training) if found[0] is None else found


def _next_batch(training: Training) -> tuple[ast.expr | None, ast.expr | None]:
    """Return the iterator and the target of `batch = next(iterator)`."""
    for node in training.body:
        if isinstance(node, ast.Assign) and called(node.value) == "next" and isinstance(node.value, ast.Call):
            return node.value.args[0], node.targets[0]
    return None, None


def cut_length(training: Training) -> ast.expr | None:
    """Return how many examples the loop cuts from tensors in a turn, as 64 of `x[i : i + 64]`."""
    for node in (inner for part in training.body for inner in ast.walk(part)):
        if isinstance(node, ast.Slice) and isinstance(node.upper, ast.BinOp) and isinstance(node.upper.op, ast.Add):
            if node.lower is not None and ast.unparse(node.lower) == ast.unparse(node.upper.left):
                return node.upper.right
    return None


def epoch_range(training: Training, *, batches: bool) -> ast.Call | None:
    """Return the `range` of the loop over epochs; `batches` where the innermost loop is itself over batches."""
    loops = [*training.around] if batches else [*training.around, training.loop]
    for loop in reversed(loops):
        if isinstance(loop, ast.For):
            for node in ast.walk(loop.iter):
                if isinstance(node, ast.Call) and called(node) in ("range", "trange"):
                    return node
    return None


def accumulation(training: Training) -> int:
    """Return over how many micro-batches the script accumulates gradients."""
    if training.loop is None:
        return 1
    for node in ast.walk(training.loop):
        if isinstance(node, ast.If) and any(called(inner) == "step" for part in node.body for inner in ast.walk(part)):
            for inner in ast.walk(node.test):
                if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Mod):
                    count = constant(inner.right, training.flow[: training.index])
                    if isinstance(count, int) and count > 1:
                        return count
    return 1


def loss_statements(training: Training) -> tuple[list[ast.stmt], ast.expr] | None:
    """Return the statements of a turn that the loss needs, and the loss; the share of accumulation is taken out."""
    if training.backward is None:
        return None
    end = next(i for i, node in enumerate(training.body) if training.backward in list(ast.walk(node)))
    loss = _undivided(_loss_of(training.backward), training)
    needed = free_names(loss)
    kept: list[ast.stmt] = []
    for node in reversed(training.body[:end]):
        if needed & _given_by(node) and not _is_share(node, loss, training):
            kept.insert(0, _undivided_assignment(node, loss, training))
            needed = (needed - (bound_names(node) if isinstance(node, ast.Assign) else set())) | free_names(node)
    return kept, loss


def _given_by(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a turn gives a value; what prepares or makes a step is not the loss's."""
    stepping = ("zero_grad", "step", "requires_grad_", "update", "set_postfix", "set_description")
    if isinstance(node, ast.Expr) and called(node.value) in stepping:
        return set()
    return bound_names(node) | changed_names(node)


def _loss_of(backward: ast.Call) -> ast.expr:
    """Return the loss of `loss.backward()`, `scaler.scale(loss).backward()` or `accelerator.backward(loss)`."""
    assert isinstance(backward.func, ast.Attribute)
    if backward.args:
        return backward.args[0]
    value = backward.func.value
    if isinstance(value, ast.Call) and called(value) == "scale" and value.args:
        return value.args[0]
    return value


def _undivided(loss: ast.expr, training: Training) -> ast.expr:
    """Return the loss without its division by the number of micro-batches that gradients are accumulated over."""
    if not isinstance(loss, ast.BinOp) or not isinstance(loss.op, ast.Div):
        return loss
    return loss.left if _counts_micro_batches(loss.right, training) else loss


def _undivided_assignment(node: ast.stmt, loss: ast.expr, training: Training) -> ast.stmt:
    if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != ast.unparse(loss):
        return node
    return ast.copy_location(ast.Assign(node.targets, _undivided(node.value, training)), node)


def _counts_micro_batches(divisor: ast.expr, training: Training) -> bool:
    count = constant(divisor, training.flow[: training.index])
    return "accum" in ast.unparse(divisor) or (count is not None and count == accumulation(training))


def _is_share(node: ast.stmt, loss: ast.expr, training: Training) -> bool:
    """Return whether a statement only divides the loss, as the accumulation of gradients has it."""
    if isinstance(node, ast.AugAssign):
        divides = isinstance(node.op, ast.Div) and ast.unparse(node.target) == ast.unparse(loss)
        return divides and _counts_micro_batches(node.value, training)
    if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != ast.unparse(loss):
        return False
    return ast.unparse(_undivided(node.value, training)) == ast.unparse(loss)
