"""How the script trains: model, optimizer, clipping, precision, epochs, and what has no place in a workload."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from batchlab.cli.script.constants import constant
from batchlab.cli.script.inlining import is_optimizer
from batchlab.cli.script.loop import Training, epoch_range
from batchlab.cli.script.names import INNER, base_name, called, dotted, walk_scope
from batchlab.cli.script.slicing import Flow

NAMED = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw", "RMSprop": "rmsprop", "Adagrad": "adagrad"}
# What torch's optimizers take where a script names no learning rate.
TORCH_RATES = {
    "Adadelta": 1.0,
    "Adagrad": 0.01,
    "RMSprop": 0.01,
    "ASGD": 0.01,
    "Rprop": 0.01,
    "Adamax": 2e-3,
    "NAdam": 2e-3,
}
USUAL_RATE = 1e-3
# These choose an implementation, not a result.
SPEED_ONLY = {"params", "fused", "foreach", "capturable", "differentiable"}
SCHEDULER = re.compile(r"(LR|WarmRestarts|LRScheduler|get_scheduler|get_.*_schedule(_with_.*)?|ReduceLROnPlateau)$")
MODEL_WORDS = ("model", "net", "network")


@dataclass(frozen=True, slots=True)
class OptimizerChoice:
    """The optimizer of a script.

    Args:
        call: that makes it.
        parameters: what it is given, None for all parameters of the model; an assignment where that has a name.
        settings: its other arguments by torch's names.
    """

    call: ast.Call
    parameters: ast.expr | ast.stmt | None
    settings: dict[str, ast.expr] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """Return the short name of an optimizer that a workload knows by name."""
        return NAMED.get(called(self.call))


def nodes_of(statements: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield every node outside of functions and classes, in the order in which they are written."""
    for node in statements:
        if not isinstance(node, INNER):
            yield from walk_scope(node)


def find_optimizers(flow: Flow) -> list[ast.Call]:
    """Return the calls that make optimizers."""
    return [node for node in nodes_of(flow.statements) if isinstance(node, ast.Call) and is_optimizer(node)]


def model_name(flow: Flow, training: Training, optimizers: list[ast.Call]) -> str | None:
    """Return the name of the model: whose parameters are optimized, else what is called by a usual name."""
    for call in optimizers:
        for node in ast.walk(call):
            if called(node) in ("parameters", "named_parameters"):
                return base_name(node) or None
        parameters = _parameters_of(flow, call, training.index)
        for node in ast.walk(parameters or call):
            if called(node) in ("parameters", "named_parameters"):
                return base_name(node) or None
    bound = set().union(*flow.bound, set())
    return next((word for word in MODEL_WORDS if word in bound), None)


def read_optimizer(flow: Flow, call: ast.Call, model: str | None, before: int) -> OptimizerChoice:
    """Return what an optimizer is made of."""
    given = [(keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg is not None]
    settings: dict[str, ast.expr] = {name: value for name, value in given if name not in SPEED_ONLY}
    if len(call.args) > 1:
        settings = {"lr": call.args[1]} | settings
    if "lr" not in settings:
        settings = {"lr": ast.Constant(TORCH_RATES.get(called(call), USUAL_RATE))} | settings
    parameters = _parameters_of(flow, call, before)
    if parameters is None or (model is not None and _takes_all(parameters, model)):
        return OptimizerChoice(call, None, settings)
    index = flow.last_binding(dotted(call.args[0]) if call.args else "", before)
    return OptimizerChoice(call, parameters if index is None else flow.statements[index], settings)


def _parameters_of(flow: Flow, call: ast.Call, before: int) -> ast.expr | None:
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "params")]
    first = given[0] if given else None
    return (flow.value_of(first.id, before) or first) if isinstance(first, ast.Name) else first


def _takes_all(parameters: ast.expr, model: str) -> bool:
    """Return whether these are all parameters of the model that can be trained."""
    if isinstance(parameters, ast.Call) and dotted(parameters.func) == f"{model}.parameters":
        return True
    text = ast.unparse(parameters)
    chosen = called(parameters) in ("filter", "list") or isinstance(parameters, ast.ListComp | ast.GeneratorExp)
    return (
        chosen
        and re.search(rf"\b{model}\.parameters\(\)", text) is not None
        and ("requires_grad" in text or called(parameters) == "list")
    )


def clipping(nodes: Iterable[ast.AST], flow: Flow, before: int) -> tuple[float, ast.AST] | None:
    """Return the norm that gradients are clipped to, and where."""
    for node in nodes:
        if isinstance(node, ast.Call) and called(node) in ("clip_grad_norm_", "clip_grad_norm"):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            value = given.get("max_norm", node.args[1] if len(node.args) > 1 else None)
            norm = constant(value, flow.statements[:before])
            if isinstance(norm, int | float) and norm > 0:
                return float(norm), node
    return None


def precision(nodes: Iterable[ast.AST], flow: Flow, before: int) -> tuple[str, ast.AST] | None:
    """Return the type of mixed precision, and where it is asked for."""
    for node in nodes:
        if not isinstance(node, ast.Call) or called(node) not in ("autocast", "Accelerator", "Fabric"):
            continue
        given = {str(keyword.arg): keyword.value for keyword in node.keywords}
        if "enabled" in given and constant(given["enabled"], flow.statements[:before]) is False:
            continue
        if called(node) == "autocast":
            asked = given.get("dtype", node.args[1] if len(node.args) > 1 else None)
            default = "bfloat16" if "cpu" in ast.unparse(node) else "float16"
        else:
            asked, default = given.get("mixed_precision", given.get("precision")), ""
        found = _type_name(flow, asked, before, default)
        if found:
            return found, node
    return None


def _type_name(flow: Flow, asked: ast.expr | None, before: int, default: str) -> str:
    if isinstance(asked, ast.Name):
        asked = flow.value_of(asked.id, before)
    text = "" if asked is None else ast.unparse(asked)
    if re.search(r"bfloat16|bf16", text):
        return "bfloat16"
    return "float16" if re.search(r"float16|fp16|half|16-mixed", text) else default if asked is None else ""


def epochs(training: Training, *, batches: bool) -> tuple[int, ast.AST] | None:
    """Return how many epochs the script trains, and where it says so."""
    call = epoch_range(training, batches=batches)
    if call is None:
        return None
    ends = [constant(end, training.flow[: training.index]) for end in call.args[:2]]
    if not all(isinstance(end, int) for end in ends) or not ends:
        return None
    count = ends[0] if len(ends) == 1 else ends[1] - ends[0]
    return (count, call) if count > 0 else None


def schedulers(nodes: Iterable[ast.AST]) -> list[ast.Call]:
    """Return the calls that make learning-rate schedules."""
    return [node for node in nodes if isinstance(node, ast.Call) and SCHEDULER.search(called(node))]
