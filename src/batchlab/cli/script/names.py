"""Which names a piece of code needs, binds and changes."""

import ast
import builtins
from collections.abc import Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}


def dotted(node: ast.AST) -> str:
    """Return a name with dots as it is written, "" for anything else.

    >>> dotted(ast.parse("nn.init.zeros_(x)").body[0].value.func)
    'nn.init.zeros_'
    """
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def called(node: ast.AST) -> str:
    """Return the last part of the name that is called, "" where nothing is called by name."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)


def base_name(node: ast.AST) -> str:
    """Return the name that attributes, items and calls hang on: x for `x.y[0].z()`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is in it, but nothing from inside of functions, classes and lambdas."""
    yield node
    if not isinstance(node, INNER):
        for child in ast.iter_child_nodes(node):
            yield from walk_scope(child)


def parameters(arguments: ast.arguments) -> set[str]:
    """Return the names of a function's parameters."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {one.arg for one in every if one is not None}


def bound_names(nodes: ast.AST | Iterable[ast.AST]) -> set[str]:
    """Return the names that code binds in its own scope."""
    found: set[str] = set()
    for top in [nodes] if isinstance(nodes, ast.AST) else nodes:
        for node in walk_scope(top):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                found.add(node.id)
            elif isinstance(node, Function | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                found.add(node.name)
    return found


def changed_names(node: ast.AST, changers: frozenset[str] = frozenset()) -> set[str]:
    """Return the names whose value code may change without binding it, as `x[0] = 1` or `x.append(1)` do.

    Args:
        node: a statement.
        changers: functions known to change what they are given.
    """
    found: set[str] = set()
    for inner in walk_scope(node):
        if isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store | ast.Del):
            found.add(base_name(inner))
        elif isinstance(inner, ast.For) and _changes_items(inner, changers):
            found |= free_names(inner.iter)
        elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            call = inner.value
            if isinstance(call.func, ast.Attribute):
                found.add(base_name(call.func))
            # torch ends the names of what works in place with an underscore.
            if called(call).endswith("_") or called(call) in changers | {"shuffle"}:
                found |= {base_name(argument) for argument in call.args}
    return found - {""}


def _changes_items(loop: ast.For, changers: frozenset[str]) -> bool:
    """Return whether a loop changes what it goes over, as one that freezes `model.parameters()` does."""
    return any(bound_names(loop.target) & changed_names(part, changers) for part in loop.body)


def free_names(node: ast.AST) -> set[str]:
    """Return the names that code reads and does not itself bind in a scope of its own."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.AugAssign):
        return free_names(node.value) | {base_name(node.target)} - {""} | free_names(node.target)
    if isinstance(node, Function | ast.Lambda):
        return _free_in_function(node)
    if isinstance(node, ast.ClassDef):
        own = bound_names(node.body)
        outer = _union(part for part in node.body if not isinstance(part, Function)) - own
        return outer | _union([*node.bases, *node.keywords, *node.decorator_list]) | _free_in_methods(node)
    if isinstance(node, COMPREHENSION):
        targets = bound_names([generator.target for generator in node.generators])
        return _union(ast.iter_child_nodes(node)) - targets
    return _union(ast.iter_child_nodes(node))


def _free_in_methods(node: ast.ClassDef) -> set[str]:
    return _union(part for part in node.body if isinstance(part, Function))


def _free_in_function(node: Function | ast.Lambda) -> set[str]:
    outer = _union(ast.iter_child_nodes(node.args))
    if isinstance(node, ast.Lambda):
        return outer | (free_names(node.body) - parameters(node.args))
    outer |= _union([*node.decorator_list, *([node.returns] if node.returns else [])])
    shared = [inner.names for inner in ast.walk(node) if isinstance(inner, ast.Global | ast.Nonlocal)]
    own = (parameters(node.args) | bound_names(node.body)).difference(*shared)
    return outer | (_union(node.body) - own)


def _union(nodes: Iterable[ast.AST]) -> set[str]:
    return set().union(*(free_names(node) for node in nodes))


def definite_names(node: ast.AST) -> set[str]:
    """Return the names that a statement binds whichever way it goes."""
    if isinstance(node, ast.If):
        return _definite(node.body) & _definite(node.orelse)
    if isinstance(node, ast.With | ast.AsyncWith):
        return bound_names(node.items) | _definite(node.body)
    if isinstance(node, ast.Try):
        return _definite(node.finalbody)
    if isinstance(node, ast.For | ast.While | ast.AsyncFor | ast.Match):
        return set()
    return bound_names(node)


def _definite(body: Iterable[ast.AST]) -> set[str]:
    return set().union(*(definite_names(node) for node in body))


def exposed_names(node: ast.AST) -> set[str]:
    """Return the names a statement reads that have to have a value before it begins."""
    if isinstance(node, ast.If):
        return free_names(node.test) | exposed_in(node.body) | exposed_in(node.orelse)
    if isinstance(node, ast.For):
        within = exposed_in(node.body) - bound_names(node.target)
        return free_names(node.iter) | within | exposed_in(node.orelse)
    if isinstance(node, ast.With):
        items = set().union(*(free_names(item.context_expr) for item in node.items))
        return items | (exposed_in(node.body) - bound_names(node.items))
    if isinstance(node, ast.While):
        return free_names(node.test) | exposed_in(node.body) | exposed_in(node.orelse)
    if isinstance(node, ast.Try):
        rest = [part for handler in node.handlers for part in handler.body]
        return exposed_in([*node.body, *node.orelse]) | exposed_in(rest) | exposed_in(node.finalbody)
    return free_names(node)


def exposed_in(body: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements read which have to have a value before the first."""
    needed: set[str] = set()
    for node in reversed(list(body)):
        needed = (needed - definite_names(node)) | exposed_names(node)
    return needed
