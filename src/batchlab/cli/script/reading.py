"""All that is read from a script, and what was not found."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from batchlab.cli.script import training as train
from batchlab.cli.script.arguments import read_options, with_defaults
from batchlab.cli.script.cleaning import clean
from batchlab.cli.script.constants import constant
from batchlab.cli.script.inlining import lay_out
from batchlab.cli.script.loop import Training, accumulation, cut_length, find_training
from batchlab.cli.script.names import called
from batchlab.cli.script.objective import Objective, loss_objective
from batchlab.cli.script.slicing import Flow, make_flow
from batchlab.cli.script.source import Source
from batchlab.cli.script.splits import Data, find_data
from batchlab.cli.script.steps import step_objective
from batchlab.cli.script.training import OptimizerChoice
from batchlab.cli.script.turns import Turn, read_turn

NOT_TAKEN = {
    "clip_grad_value_": "clipping by value is left out: a workload clips by norm",
    "LBFGS": "LBFGS needs a closure, which a study does not give it",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A value of the script and the node that says so."""

    value: float | str
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Reading:
    """What a script trains and how.

    Args:
        source: the script.
        flow: its statements in running order.
        training: its loop.
        model: the name of its model.
        data, turn, objective, optimizer: see there; None where not found.
        batch_size, epochs, clip_norm, autocast: None where not found.
        doubts: what somebody has to look at, each with its place.
    """

    source: Source
    flow: Flow
    training: Training
    model: str | None
    data: Data
    turn: Turn | None
    objective: Objective | None
    optimizer: OptimizerChoice | None
    batch_size: Number | None
    epochs: Number | None
    clip_norm: Number | None
    autocast: Number | None
    doubts: tuple[str, ...]


def read_script(source: Source) -> Reading:
    """Return what can be told of a script without running it."""
    laid_out = lay_out(source.tree)
    statements = clean(with_defaults(laid_out, read_options(laid_out)))
    training = find_training(statements)
    flow = make_flow(training.flow)
    optimizers = train.find_optimizers(flow)
    model = train.model_name(flow, training, optimizers)
    turn = read_turn(flow, training, model) if model is not None else None
    data = find_data(flow, training, turn)
    before = training.index
    nodes = list(train.nodes_of(statements))
    takes_all = turn is not None and turn.data is not None and cut_length(training) is None
    epochs = train.epochs(training, batches=not takes_all)
    clip, autocast = train.clipping(nodes, flow, before), train.precision(nodes, flow, before)
    return Reading(
        source,
        flow,
        training,
        model,
        data,
        turn,
        _objective(flow, turn, model, before),
        train.read_optimizer(flow, optimizers[0], model, before) if optimizers else None,
        _batch_size(flow, training, data),
        Number(*epochs) if epochs else None,
        Number(*clip) if clip else None,
        Number(*autocast) if autocast else None,
        tuple(_doubts(source, training, nodes, optimizers, data)),
    )


def _objective(flow: Flow, turn: Turn | None, model: str | None, before: int) -> Objective | None:
    if turn is None or model is None:
        return None
    return loss_objective(flow, turn, model, before) or step_objective(flow, turn, model, before)


def _batch_size(flow: Flow, training: Training, data: Data) -> Number | None:
    loader, loop = data.loader, training.loop
    value: ast.expr | None
    node: ast.AST | None
    before = training.index
    if loader is not None:
        value, node, before = loader.options.get("batch_size"), loader.call, loader.index
    else:
        value, node = cut_length(training), loop
    size = constant(value, flow.statements[:before])
    if node is None or not isinstance(size, int) or size < 1:
        return None
    return Number(size * accumulation(training), node)


def _doubts(
    source: Source, training: Training, nodes: list[ast.AST], optimizers: list[ast.Call], data: Data
) -> Iterator[str]:
    yield from source.problems
    if training.loop is None:
        yield _no_loop(source)
    if not optimizers:
        yield "no optimizer was found: SGD with momentum stands in"
    for call in train.schedulers(nodes):
        name = ast.unparse(call.func)
        yield _at(source, call, f"the schedule `{name}` is left out; see `--schedule` of `batchlab study`")
    for call in optimizers[1:]:
        yield _at(source, call, "a second optimizer is left out: a workload has one")
    for node in nodes:
        if called(node) in NOT_TAKEN:
            yield _at(source, node, NOT_TAKEN[called(node)])
    yield from _doubts_about_data(source, data)


def _doubts_about_data(source: Source, data: Data) -> Iterator[str]:
    for loader in data.others:
        yield _at(source, loader.call, f"the loader `{loader.name}` is left out")
    if data.sampler is not None and data.valid is None:
        yield _at(
            source, data.sampler, "the sampler is left out, as its indices are of the data before some are held out"
        )
    if data.loader is not None and "batch_sampler" in data.loader.options:
        yield _at(source, data.loader.call, "the batch sampler is left out: a study makes batches of every size itself")


def _no_loop(source: Source) -> str:
    calls = [node for node in ast.walk(source.tree) if called(node) == "backward"]
    if calls:
        return _at(source, calls[0], "the training loop is in a class, or in a function handed on, and was not read")
    return "no training loop was found: a `for` with a call of `.backward()` in it"


def _at(source: Source, node: ast.AST, text: str) -> str:
    place = source.place(node)
    return f"{place}: {text}" if place else text
