"""Command-line options of a script, replaced by their defaults."""

import ast
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from batchlab.cli.script.constants import constant
from batchlab.cli.script.names import called, dotted, walk_scope

PARSING = {"parse_args", "parse_known_args"}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a script: their defaults, and those that have none, both by the name of their attribute."""

    names: frozenset[str]
    defaults: dict[str, ast.expr]
    required: dict[str, ast.Call]


def read_options(flow: list[ast.stmt]) -> Options:
    """Return the options that `argparse` is given in the flow, and the names that hold what it makes of them."""
    names = frozenset(_holders(flow))
    defaults: dict[str, ast.expr] = {}
    required: dict[str, ast.Call] = {}
    for call in _calls(flow, {"add_argument", "set_defaults"}):
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if called(call) == "set_defaults":
            defaults |= given
            continue
        flags = [flag for flag in map(constant, call.args, [()] * len(call.args)) if isinstance(flag, str)]
        name = constant(given.get("dest"), ()) or _attribute(flags)
        value = _default(given)
        if value is None or (isinstance(value, ast.Constant) and value.value is None and _must_be_given(flags, given)):
            required[name] = call
        else:
            defaults[name] = value
    return Options(names, defaults, required)


def with_defaults(flow: list[ast.stmt], options: Options) -> list[ast.stmt]:
    """Return the flow with `args.lr` replaced by its default, and `args` itself by a namespace of all of them."""
    if not options.names:
        return flow
    return [_Defaults(options).visit(node) for node in flow if not _only_parses(node)]


def _holders(flow: list[ast.stmt]) -> Iterator[str]:
    for node in flow:
        for inner in walk_scope(node):
            if isinstance(inner, ast.Assign) and called(_first_of(inner.value)) in PARSING:
                yield from (dotted(_first_of(target)) for target in inner.targets)


def _first_of(node: ast.expr) -> ast.expr:
    """Return what `parse_known_args` has first: the options it knows."""
    if isinstance(node, ast.Subscript):
        return node.value
    return node.elts[0] if isinstance(node, ast.Tuple) and node.elts else node


def _calls(flow: Iterable[ast.AST], names: set[str]) -> Iterator[ast.Call]:
    for node in flow:
        for inner in walk_scope(node):
            if isinstance(inner, ast.Call) and called(inner) in names:
                yield inner


def _attribute(flags: list[str]) -> str:
    long = [flag for flag in flags if flag.startswith("--")]
    return (long or flags or [""])[0].lstrip("-").replace("-", "_")


def _default(given: dict[str, ast.expr]) -> ast.expr | None:
    action = constant(given.get("action"), ())
    if "default" not in given:
        switch = {"store_true": False, "store_false": True, "count": None}
        return ast.Constant(switch.get(action) if isinstance(action, str) else None)
    value = given["default"]
    kind = dotted(given["type"]) if "type" in given else ""
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and kind in ("int", "float"):
        try:
            return ast.Constant(int(value.value) if kind == "int" else float(value.value))
        except ValueError:
            return None
    return value


def _must_be_given(flags: list[str], given: dict[str, ast.expr]) -> bool:
    optional = constant(given.get("nargs"), ()) in ("?", "*")
    positional = bool(flags) and not flags[0].startswith("-")
    return (positional and not optional) or bool(constant(given.get("required"), ()))


def _only_parses(node: ast.stmt) -> bool:
    """Return whether a statement does nothing but set up the parser."""
    calls = {"add_argument", "set_defaults", "ArgumentParser", "add_argument_group", "add_mutually_exclusive_group"}
    return isinstance(node, ast.Expr | ast.Assign) and called(node.value) in calls


class _Defaults(ast.NodeTransformer):
    def __init__(self, options: Options) -> None:
        self.options = options

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if called(_first_of(node.value)) not in PARSING:
            return self.generic_visit(node)  # type: ignore[return-value]
        keywords = [ast.keyword(name, copy.deepcopy(value)) for name, value in self.options.defaults.items()]
        keywords += [ast.keyword(name, missing_option(name)) for name in self.options.required]
        targets: list[ast.expr] = [_first_of(target) for target in node.targets]
        made = ast.Assign(targets, ast.Call(ast.Name("SimpleNamespace", ast.Load()), [], keywords))
        return ast.copy_location(made, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name) and node.value.id in self.options.names:
            if node.attr in self.options.defaults:
                return ast.copy_location(copy.deepcopy(self.options.defaults[node.attr]), node)
            if node.attr in self.options.required:
                return missing_option(node.attr)
        return self.generic_visit(node)  # type: ignore[return-value]


def missing_option(name: str) -> ast.expr:
    """Return the stand-in for an option without a default."""
    told = ast.Constant(f"a value for the option `{name}`, which has no default")
    return ast.Call(ast.Name("todo", ast.Load()), [told], [])
