"""A turn of the loop as a `step`, for batches and models that `loss(outputs, targets)` does not fit."""

import ast
import copy
import re
from collections.abc import Iterable

from batchlab.cli.script.names import bound_names, dotted, free_names
from batchlab.cli.script.objective import CLASSES, Objective, kind_of, on_device, sums
from batchlab.cli.script.renaming import Renamed
from batchlab.cli.script.slicing import Flow
from batchlab.cli.script.turns import Turn

LABELS = ("labels", "label", "targets", "target", "y")
TOKEN_MODELS = ("CausalLM", "MaskedLM", "LMHead", "ConditionalGeneration", "Seq2SeqLM", "TokenClassification")
CLASS_MODELS = ("ForSequenceClassification", "ForImageClassification", "ForAudioClassification")


def step_objective(flow: Flow, turn: Turn, model: str, before: int) -> Objective:
    """Return the turn as `step(model, batch) -> (loss_sum, count)`, with a metric of errors where it classifies."""
    kind, maker = kind_of([*turn.statements, ast.Expr(turn.loss)], flow, before)
    names = {model: "model"} | ({turn.target.id: "batch"} if isinstance(turn.target, ast.Name) else {})
    begin: list[ast.stmt] = [] if isinstance(turn.target, ast.Name) else [ast.Assign([turn.target], _load("batch"))]
    made = flow.value_of(model, before)
    maker_of_model = ast.unparse(made) if made else ""
    count = ast.Assign([ast.Name("count", ast.Store())], _count(turn, maker_of_model))
    # A loss that is a sum already needs no count to become one.
    total = (
        turn.loss
        if sums([*turn.statements, turn.loss], flow, before)
        else ast.BinOp(turn.loss, ast.Mult(), _load("count"))
    )
    end = ast.Return(ast.Tuple([total, _load("count")], ast.Load()))
    errors = _errors(turn, begin, flow, before) if kind == CLASSES else _label_errors(turn, maker_of_model)
    return Objective(
        step_body=_renamed(on_device([*begin, count, *turn.statements, end], flow, before), names),
        errors_body=_renamed(errors, names),
        kind=kind,
        maker=maker,
    )


def _renamed(body: Iterable[ast.stmt], names: dict[str, str]) -> tuple[ast.stmt, ...]:
    return tuple(Renamed(names).visit(copy.deepcopy(node)) for node in body)


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _count(turn: Turn, model: str) -> ast.expr:
    """Return how many examples, for models of tokens how many tokens, the mean of the batch is over."""
    if isinstance(turn.target, ast.Tuple | ast.List):
        first = next((dotted(part) for part in turn.target.elts if dotted(part) not in ("", "_")), "batch[0]")
        return _expression(f"len({first})")
    batch = dotted(turn.target)
    parts = [*turn.statements, turn.loss]
    nodes = [node for part in parts for node in ast.walk(part)]
    spread = any(isinstance(node, ast.keyword) and node.arg is None and dotted(node.value) == batch for node in nodes)
    if spread and any(word in model for word in TOKEN_MODELS):
        # These models average over the tokens whose label is not -100; causal ones predict no first token.
        shifted = "[..., 1:]" if re.search("CausalLM|LMHead", model) else ""
        return _expression(f"(batch['labels']{shifted} != -100).sum()")
    keys = [node.slice.value for node in nodes if _is_item_of(node, batch)]  # type: ignore[attr-defined]
    names = [node.attr for node in nodes if isinstance(node, ast.Attribute) and dotted(node.value) == batch]
    if spread or keys:
        key = next((label for label in LABELS if label in keys), keys[0] if keys else "labels")
        return _expression(f"len({batch}[{key!r}])")
    if names:
        return _expression(f"len({batch}.{next((label for label in LABELS if label in names), names[0])})")
    return _expression(f"len({batch})")


def _is_item_of(node: ast.AST, batch: str) -> bool:
    return isinstance(node, ast.Subscript) and dotted(node.value) == batch and isinstance(node.slice, ast.Constant)


def _errors(turn: Turn, begin: list[ast.stmt], flow: Flow, before: int) -> list[ast.stmt]:
    """Return the body of a metric: how many targets are not where the largest output is.

    Outputs and targets are those of the call that makes the loss; nothing where it is not plain to see.
    """
    calls = [node for part in [*turn.statements, turn.loss] for node in ast.walk(part) if isinstance(node, ast.Call)]
    losses = [call for call in calls if kind_of([ast.Call(call.func, [], [])], flow, before)[0] == CLASSES]
    if len(losses) != 1 or len(losses[0].args) < 2:
        return []
    outputs, targets = losses[0].args[:2]
    needed = free_names(outputs) | free_names(targets)
    kept: list[ast.stmt] = []
    for node in reversed(turn.statements):
        if bound_names(node) & needed and losses[0] not in list(ast.walk(node)):
            kept.insert(0, node)
            needed |= free_names(node)
    wrong = f"wrong = ({ast.unparse(outputs)}).argmax(dim=1) != {ast.unparse(targets)}"
    return [*begin, *kept, *ast.parse(f"{wrong}\nreturn wrong.sum(), wrong.numel()").body]


def _label_errors(turn: Turn, model: str) -> list[ast.stmt]:
    """Return the body of a metric for models that are named after classification and are given labels."""
    is_spread = any(
        isinstance(node, ast.keyword) and node.arg is None for part in turn.statements for node in ast.walk(part)
    )
    if not is_spread or not any(word in model for word in CLASS_MODELS):
        return []
    text = "wrong = model(**batch).logits.argmax(dim=-1) != batch['labels']\nreturn wrong.sum(), wrong.numel()"
    return ast.parse(text).body
