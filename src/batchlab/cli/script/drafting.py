"""Decide what a workload file holds, from what was read of a script."""

import ast
import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from batchlab.cli.script.constants import constant
from batchlab.cli.script.names import bound_names, called, dotted, exposed_in, free_names
from batchlab.cli.script.objective import BINARY, CLASSES, PROBABILITIES
from batchlab.cli.script.placement import Needs, Places, place
from batchlab.cli.script.reading import Reading
from batchlab.cli.script.renaming import Renamed
from batchlab.cli.script.slicing import Slice, slice_for
from batchlab.cli.script.splits import Split

HELD_OUT = 10
ORDER = (
    *("model", "train", "valid", "test", "loss", "step", "collate", "metric", "optimizer", "optimizer_settings"),
    *("autocast", "clip_norm", "sampler", "num_workers", "default_batch_size", "default_epochs"),
)
WRITTEN = {"torch", "todo", "SimpleNamespace"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function to write.

    Args:
        role: what it is for, and its name unless that is taken.
        parameters: as written.
        told: its docstring.
        body: its statements.
    """

    role: str
    parameters: tuple[str, ...]
    told: str
    body: tuple[ast.stmt, ...]

    @property
    def needs(self) -> set[str]:
        """Return the names it reads from outside."""
        return set().union(*map(free_names, self.body)) - set(self.parameters) - bound_names(self.body)

    @property
    def carried(self) -> list[str]:
        """Return the names it reads before it binds them: in a loop their values come from the turn before."""
        return sorted((exposed_in(self.body) & bound_names(self.body)) - set(self.parameters))


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the workload.

    Args:
        keyword: its name.
        text: its value as code.
        place: where the script says so.
        missing: what is missing, in words, where the value is a stand-in.
        shown: the value for people, where that is not its code.
        needs: the names it reads.
    """

    keyword: str
    text: str
    place: str = ""
    missing: str = ""
    shown: str = ""
    needs: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Draft:
    """A workload file before it is text.

    Args:
        reading: of the script.
        places: where its statements go.
        functions: to write, with the name each gets by its role.
        names: of functions by role, and of the workload.
        arguments: of the workload.
        hold_out: whether validation data are to be taken from the training data.
        undefined: names that get a stand-in in `workload`.
    """

    reading: Reading
    places: Places
    functions: tuple[Function, ...]
    names: dict[str, str]
    arguments: tuple[Argument, ...]
    hold_out: bool
    undefined: tuple[str, ...]


def make_draft(reading: Reading) -> Draft:
    """Return what the workload file of a script holds."""
    functions = tuple(_functions(reading))
    settings = list(_arguments(reading))
    needs = _needs(reading, functions, settings)
    places = place(reading.flow, needs, reading.model)
    outside = set(places.imports) | set(places.top) | set(places.workload)
    taken = set().union(*(reading.flow.bound[index] for index in outside), {"torch", "todo", "Workload", "Metric"})
    roles = ("model", "loss", "step", "errors", "optimizer", "sampler", "workload", "train", "valid", "n_valid")
    names = {role: _free(role, taken) for role in roles}
    hold_out = reading.data.valid is None and reading.data.train is not None
    arguments = [*_required(reading, names), *settings, *_named(functions, names, reading, taken)]
    arguments.sort(key=lambda argument: ORDER.index(argument.keyword))
    read = {name for argument in arguments for name in argument.needs}
    direct = (needs.data.undefined | needs.functions.undefined) & read
    undefined = tuple(sorted((places.undefined | direct) - WRITTEN - taken))
    return Draft(reading, places, functions, names, tuple(arguments), hold_out, undefined)


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)


def _needs(reading: Reading, functions: Iterable[Function], arguments: Iterable[Argument]) -> Needs:
    flow, before = reading.flow, reading.training.index
    unkept = frozenset({before}) if reading.training.loop is not None else frozenset()
    data = Slice()
    for split in (reading.data.train, reading.data.valid, reading.data.test):
        if split is not None:
            data = data | slice_for(flow, free_names(split.value), split.index, unkept)
    model = slice_for(flow, {reading.model}, before, unkept) if reading.model is not None else Slice()
    names = set().union(*(function.needs for function in functions), *(one.needs for one in arguments))
    if reading.objective is not None and reading.objective.loss is not None:
        names |= _loss_needs(reading.objective.loss)
    return Needs(model, data, slice_for(flow, names - WRITTEN, before, unkept))


def _functions(reading: Reading) -> Iterator[Function]:
    objective, data = reading.objective, reading.data
    if objective is not None and objective.step_body:
        told = "Return the loss of a batch, summed over its examples, and their number."
        yield Function("step", ("model", "batch"), told, objective.step_body)
        if objective.errors_body:
            told = "Return how many of a batch are wrong, and how many there are."
            yield Function("errors", ("model", "batch"), told, objective.errors_body)
    elif objective is not None:
        if objective.loss is None:
            told = "Return the mean loss of a batch."
            yield Function("loss", ("outputs", "targets"), told, objective.loss_body)
        if objective.kind == BINARY:
            yield _binary_errors(objective.maker)
    if data.sampler is not None and data.valid is not None:
        assert isinstance(data.sampler, ast.Call)
        seeded = [keyword for keyword in data.sampler.keywords if keyword.arg != "generator"]
        seeded.append(ast.keyword("generator", ast.Name("generator", ast.Load())))
        call = ast.Call(data.sampler.func, data.sampler.args, seeded)
        told = "Return the order of one epoch."
        yield Function("sampler", ("data", "generator"), told, (ast.Return(call),))
    if reading.optimizer is not None and reading.optimizer.parameters is not None:
        yield _grouped_optimizer(reading.optimizer.call, reading.optimizer.parameters, reading.model)


def _binary_errors(maker: str) -> Function:
    half = 0.5 if maker in PROBABILITIES else 0
    text = f"wrong = (outputs.reshape(targets.shape) > {half}) != (targets > 0.5)\nreturn wrong.float().mean()"
    return Function("errors", ("outputs", "targets"), "Return the share of wrong answers.", (*ast.parse(text).body,))


def _grouped_optimizer(call: ast.Call, parameters: ast.expr | ast.stmt, model: str | None) -> Function:
    given = Renamed({model: "model"} if model else {}).visit(copy.deepcopy(parameters))
    spread = ast.keyword(None, ast.Name("settings", ast.Load()))
    first = call.args[0] if isinstance(given, ast.stmt) else given
    made = ast.Return(ast.Call(call.func, [first], [spread]))
    body = (given, made) if isinstance(given, ast.stmt) else (made,)
    return Function("optimizer", ("model", "settings"), "Return the optimizer with its groups of parameters.", body)


def _required(reading: Reading, names: dict[str, str]) -> Iterator[Argument]:
    """Yield the model and the data; what was not found is a stand-in."""
    flow, source = reading.flow, reading.source
    made = None if reading.model is None else flow.last_binding(reading.model, reading.training.index)
    loop = source.place(reading.training.loop) if reading.training.loop is not None else ""
    if made is None or reading.model is None:
        yield _missing("model", "the model: a function that makes a fresh torch.nn.Module", loop)
    else:
        value = flow.value_of(reading.model, reading.training.index)
        shown = ast.unparse(value) if value is not None else reading.model
        yield Argument("model", names["model"], source.place(flow.statements[made]), shown=shown)
    for role in ("train", "valid", "test"):
        split: Split | None = getattr(reading.data, role)
        if split is not None:
            yield Argument(
                role, ast.unparse(split.value), source.place(split.node), needs=frozenset(free_names(split.value))
            )
    if reading.data.train is None:
        yield _missing("train", "the training data: (inputs, targets), or a dataset", loop)
        if reading.data.valid is None:
            yield _missing("valid", "the validation data: (inputs, targets), or a dataset", loop)
    if reading.objective is None:
        yield _missing("loss", "the loss: a function (outputs, targets) that returns a mean", loop)


def _missing(keyword: str, what: str, place: str) -> Argument:
    return Argument(keyword, f'todo("{what}")', place, missing=what)


def _arguments(reading: Reading) -> Iterator[Argument]:
    """Yield the arguments that are values."""
    source, loader = reading.source, reading.data.loader
    if reading.optimizer is not None:
        place = source.place(reading.optimizer.call)
        if reading.optimizer.parameters is None:
            name, func = reading.optimizer.name, reading.optimizer.call.func
            needs = frozenset() if name else frozenset(free_names(func))
            yield Argument("optimizer", f'"{name}"' if name else ast.unparse(func), place, needs=needs)
        yield _settings(reading)
    if loader is not None and "collate_fn" in loader.options:
        collate = loader.options["collate_fn"]
        yield Argument("collate", ast.unparse(collate), source.place(loader.call), needs=frozenset(free_names(collate)))
    for keyword, number in (("clip_norm", reading.clip_norm), ("autocast", reading.autocast)):
        if number is not None:
            text = f'"{number.value}"' if isinstance(number.value, str) else repr(number.value)
            yield Argument(keyword, text, source.place(number.node))
    if loader is not None:
        workers = constant(loader.options.get("num_workers"), reading.flow.statements[: loader.index])
        if isinstance(workers, int) and workers > 0:
            yield Argument("num_workers", str(workers), source.place(loader.call))
    for keyword, number in (("default_batch_size", reading.batch_size), ("default_epochs", reading.epochs)):
        if number is not None:
            yield Argument(keyword, str(number.value), source.place(number.node))


def _settings(reading: Reading) -> Argument:
    """Return the optimizer's settings: numbers where they can be told, else as the script has them."""
    assert reading.optimizer is not None
    entries, needs = [], set()
    for name, value in reading.optimizer.settings.items():
        told = constant(value, reading.flow.statements[: reading.training.index])
        entries.append(f'"{name}": {ast.unparse(value) if told is None else repr(told)}')
        needs |= free_names(value) if told is None else set()
    text = "{" + ", ".join(entries) + "}"
    return Argument("optimizer_settings", text, reading.source.place(reading.optimizer.call), needs=frozenset(needs))


def _named(
    functions: Iterable[Function], names: dict[str, str], reading: Reading, taken: set[str]
) -> Iterator[Argument]:
    """Yield loss, metric and whatever else is a function."""
    by_role = {function.role: names[function.role] for function in functions}
    place = reading.source.place(reading.training.backward) if reading.training.backward is not None else ""
    for role in ("step", "sampler"):
        if role in by_role:
            yield Argument(role, by_role[role], place if role == "step" else "")
    if "optimizer" in by_role and reading.optimizer is not None:
        yield Argument("optimizer", by_role["optimizer"], reading.source.place(reading.optimizer.call))
    objective = reading.objective
    if objective is None or objective.step_body:
        if "errors" in by_role:
            yield Argument("metric", f'Metric("error", {by_role["errors"]}, margin=0.005)')
        return
    loss = by_role.get("loss") or _loss_text(objective.loss, "cross_entropy" in taken)
    if loss:
        needs = frozenset() if objective.loss is None else frozenset(_loss_needs(objective.loss))
        yield Argument("loss", loss, place, needs=needs)
    if "errors" in by_role:
        yield Argument("metric", f'Metric("error", {by_role["errors"]}, margin=0.005)')
    elif objective.kind not in (CLASSES, "") or not (objective.kind or classifies(reading)):
        yield Argument("metric", f'Metric("{objective.kind or "loss"}", {loss})')


def _loss_text(loss: ast.expr | None, is_taken: bool) -> str:
    """Return a loss as code: batchlab's own cross entropy where that is meant, nothing where that name is taken."""
    assert loss is not None
    if is_cross_entropy(loss):
        return "" if is_taken else "cross_entropy"
    return ast.unparse(loss)


def _loss_needs(loss: ast.expr) -> set[str]:
    return set() if is_cross_entropy(loss) else free_names(loss)


def is_cross_entropy(loss: ast.expr) -> bool:
    """Return whether a loss is cross entropy with nothing set, which is the default of a workload."""
    if isinstance(loss, ast.Call):
        return not loss.args and not loss.keywords and called(loss) == "CrossEntropyLoss"
    return dotted(loss).split(".")[-1] == "cross_entropy"


def classifies(reading: Reading) -> bool:
    """Return whether the script looks for the largest of its outputs somewhere."""
    return re.search(r"argmax\(|max\([^()]*\b1\)|topk\(", "\n".join(reading.source.lines)) is not None
