"""Lay a script out in the order in which it runs: functions that set up training opened where they are called."""

import ast
import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from batchlab.cli.script.names import Function, bound_names, called, dotted, parameters, walk_scope
from batchlab.cli.script.renaming import Renamed, Replaced

# Those of torch: others are known by the parameters that they are given.
OPTIMIZERS = {
    *("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam", "Adamax", "ASGD", "LBFGS", "Rprop"),
    *("SparseAdam", "Adafactor", "Muon"),
}
ENTRY_WORDS = ("main", "train", "run", "fit")
QUIET = {"no_grad", "inference_mode", "set_grad_enabled"}
BLOCKS = ("body", "orelse", "finalbody")


@dataclass
class _Opening:
    """What has been seen while a script is laid out."""

    functions: dict[str, ast.FunctionDef]
    taken: set[str]
    within: list[str] = field(default_factory=list)


def lay_out(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of a script in running order, with set-up and training functions opened.

    `if __name__ == "__main__":` is opened too. Locals of an opened function whose name is taken get another one.
    Where nothing calls the function that trains, as when a command-line package does, it is opened at the end.
    """
    body = list(_without_guard(tree.body))
    opening = _Opening(_functions(body), bound_names(body))
    flow = _open_block(body, opening)
    entry = None if any(map(trains, flow)) else _entry(opening)
    if entry is not None:
        call = ast.Call(ast.Name(entry, ast.Load()), [], [])
        flow += _open_block([ast.Expr(call)], opening)
    return flow


def trains(node: ast.AST) -> bool:
    """Return whether code goes backward, outside of functions it defines."""
    return any(called(inner) == "backward" for inner in walk_scope(node))


def is_optimizer(call: ast.AST) -> bool:
    """Return whether a call makes an optimizer: a class that is given parameters."""
    if not isinstance(call, ast.Call) or not called(call)[:1].isupper():
        return False
    first = call.args[:1] + [keyword.value for keyword in call.keywords if keyword.arg == "params"]
    if not first:
        return False
    makers = {"parameters", "named_parameters"}
    return called(call) in OPTIMIZERS or any(called(inner) in makers for inner in ast.walk(first[0]))


def _without_guard(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "__name__" in {getattr(part, "id", "") for part in ast.walk(node.test)}:
            yield from node.body
        else:
            yield node


def _functions(body: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    nodes = [inner for node in body for inner in walk_scope(node)]
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}


def _entry(opening: _Opening) -> str | None:
    """Return the function to begin with: it trains, directly or not, and no other one calls it."""
    able = [name for name in opening.functions if _leads_to_training(name, opening.functions)]
    callees = set().union(*(_callees(opening.functions[name]) for name in able))
    roots = [name for name in able if name not in callees]
    return min(roots, key=lambda name: not name.startswith(ENTRY_WORDS), default=None)


def _leads_to_training(name: str, functions: dict[str, ast.FunctionDef]) -> bool:
    return any(trains(part) for one in _reached(name, functions) for part in functions[one].body)


def _reached(name: str, functions: dict[str, ast.FunctionDef]) -> set[str]:
    """Return a function and those it calls, and those they call."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in functions and one not in reached:
            reached.add(one)
            waiting += _callees(functions[one])
    return reached


def _callees(function: ast.FunctionDef) -> set[str]:
    """Return the functions that a function calls by their plain names: `model.train()` is another's."""
    return {dotted(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)} - {function.name}


def _is_telling(name: str, functions: dict[str, ast.FunctionDef]) -> bool:
    """Return whether a function sets up data, optimizer or arguments, trains or evaluates."""
    return any(_tells(functions[one]) for one in _reached(name, functions))


def _tells(function: ast.FunctionDef) -> bool:
    nodes = [inner for part in function.body for inner in walk_scope(part)]
    calls = {called(node) for node in nodes}
    if calls & {"backward", "parse_args", "parse_known_args"} or any(map(is_optimizer, nodes)):
        return True
    if any(name.endswith("DataLoader") for name in calls):
        return True
    evaluates = calls & (QUIET | {"eval"}) or _is_quiet(function)
    return bool(evaluates) and any(isinstance(node, ast.For) for node in nodes)


def _is_quiet(function: ast.FunctionDef) -> bool:
    return any(name.split(".")[-1] in QUIET for name in map(_decorator, function.decorator_list))


def _decorator(node: ast.expr) -> str:
    return dotted(node.func if isinstance(node, ast.Call) else node)


def _open_block(body: list[ast.stmt], opening: _Opening) -> list[ast.stmt]:
    return [part for node in body for part in _open_statement(node, opening)]


def _open_statement(node: ast.stmt, opening: _Opening) -> list[ast.stmt]:
    if isinstance(node, Function | ast.ClassDef):
        return [node]
    before: list[ast.stmt] = []
    if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
        before, node.value = _open_value(node.value, opening)
        # What is left of a call whose value nobody takes says nothing.
        if before and isinstance(node, ast.Expr):
            return before
    for block in BLOCKS:
        if getattr(node, block, None):
            setattr(node, block, _open_block(getattr(node, block), opening))
    for handler in getattr(node, "handlers", ()):
        handler.body = _open_block(handler.body, opening)
    return [*before, node]


def _open_value(value: ast.expr, opening: _Opening) -> tuple[list[ast.stmt], ast.expr]:
    """Return the statements that the calls in an expression come to, and what is left of the expression."""
    before: list[ast.stmt] = []
    calls = [node for node in walk_scope(value) if isinstance(node, ast.Call) and _can_open(node, opening)]
    # The innermost first, as it runs first.
    for call in reversed(calls):
        statements, result = _open_call(call, opening)
        before += statements
        value = result if value is call else Replaced(call, result).visit(value)
    return before, value


def _can_open(call: ast.Call, opening: _Opening) -> bool:
    name = dotted(call.func)
    function = opening.functions.get(name)
    if function is None or name in opening.within or not _is_telling(name, opening.functions):
        return False
    nodes = [inner for part in function.body for inner in walk_scope(part)]
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return False
    early = [node for node in nodes if isinstance(node, ast.Return) and node.value and node is not function.body[-1]]
    # Of a function that trains only what comes before the training is used: its early returns do not matter.
    return not early or _leads_to_training(name, opening.functions)


def _open_call(call: ast.Call, opening: _Opening) -> tuple[list[ast.stmt], ast.expr]:
    """Return the body of the function that is called, its names made to fit, and what it returns."""
    function = copy.deepcopy(opening.functions[dotted(call.func)])
    given, renamed = _given(function, call)
    names = parameters(function.args) | bound_names(function.body)
    shared = [node.names for node in ast.walk(function) if isinstance(node, ast.Global | ast.Nonlocal)]
    imported = bound_names([node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)])
    own = names.difference(*shared) - imported - set(renamed)
    renamed |= {name: _free_name(name, opening.taken | own) for name in sorted(own & opening.taken)}
    opening.taken |= {renamed.get(name, name) for name in names}
    set_up = [ast.Assign([ast.Name(renamed.get(name, name), ast.Store())], value) for name, value in given.items()]
    body = [Renamed(renamed).visit(node) for node in function.body[_has_docstring(function) :]]
    result: ast.expr = ast.Constant(None)
    if body and isinstance(body[-1], ast.Return):
        result = body.pop().value or result
    opening.functions |= _functions(body)
    opening.within.append(function.name)
    flow = _open_block([*set_up, *(_WithoutReturns().visit(node) for node in body)], opening)
    last, result = _open_value(result, opening)
    opening.within.pop()
    flow += last
    return [_quiet_block(flow)] if _is_quiet(function) and flow else flow, result


def _given(function: ast.FunctionDef, call: ast.Call) -> tuple[dict[str, ast.expr], dict[str, str]]:
    """Return the values of parameters, and for those that were given a plain name that name."""
    arguments = function.args
    names = [one.arg for one in [*arguments.posonlyargs, *arguments.args]]
    values = dict(zip(reversed(names), reversed(arguments.defaults), strict=False))
    only = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    values |= {one.arg: default for one, default in only if default is not None}
    plain = itertools.takewhile(lambda value: not isinstance(value, ast.Starred), call.args)
    values |= dict(zip(names, plain, strict=False))
    values |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg in parameters(arguments)}
    renamed = {name: value.id for name, value in values.items() if isinstance(value, ast.Name)}
    return {name: value for name, value in values.items() if name not in renamed}, renamed


def _free_name(name: str, taken: set[str]) -> str:
    return next(other for number in itertools.count(2) if (other := f"{name}_{number}") not in taken)


def _has_docstring(function: ast.FunctionDef) -> bool:
    return ast.get_docstring(function, clean=False) is not None


def _quiet_block(body: list[ast.stmt]) -> ast.stmt:
    """Return a body under `torch.no_grad()`, which a decorator had put it under."""
    block = ast.parse("with torch.no_grad(): pass").body[0]
    assert isinstance(block, ast.With)
    block.body = body
    return block


class _WithoutReturns(ast.NodeTransformer):
    """Early returns left out."""

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        return node
