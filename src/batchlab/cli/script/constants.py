"""Values that can be told without running anything."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchlab.cli.script.names import base_name, bound_names, called, changed_names, dotted

OPERATIONS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"int": int, "float": float, "str": str, "bool": bool}
DEEPEST = 20


class NotConstant(Exception):
    """A value cannot be told."""


def constant(node: ast.expr | None, before: Sequence[ast.stmt]) -> Any:
    """Return the value of an expression after the statements `before`; None where it cannot be told.

    >>> flow = ast.parse("size = 32; sizes = {'all': 2 * size}").body
    >>> constant(ast.parse("sizes['all']", mode="eval").body, flow)
    64
    """
    if node is None:
        return None
    try:
        return _value(node, before, DEEPEST)
    except (NotConstant, ArithmeticError, TypeError, ValueError, LookupError):
        return None


def _value(node: ast.expr, before: Sequence[ast.stmt], depth: int) -> Any:
    if depth == 0:
        raise NotConstant
    readers: dict[type, Callable[..., Any]] = {
        ast.Name: _name,
        ast.Tuple: _sequence,
        ast.List: _sequence,
        ast.Dict: _dictionary,
        ast.UnaryOp: _negative,
        ast.BinOp: _operation,
        ast.Subscript: _item,
        ast.Attribute: _attribute,
        ast.Call: _conversion,
    }
    if isinstance(node, ast.Constant):
        return node.value
    if type(node) not in readers:
        raise NotConstant
    return readers[type(node)](node, before, depth - 1)


def _name(node: ast.Name, before: Sequence[ast.stmt], depth: int) -> Any:
    index, value = _definition(node.id, before)
    return _value(value, before[:index], depth)


def _sequence(node: ast.Tuple | ast.List, before: Sequence[ast.stmt], depth: int) -> Any:
    items = [_value(item, before, depth) for item in node.elts]
    return tuple(items) if isinstance(node, ast.Tuple) else items


def _dictionary(node: ast.Dict, before: Sequence[ast.stmt], depth: int) -> Any:
    pairs = zip(node.keys, node.values, strict=True)
    return {_key(key, before, depth): _value(item, before, depth) for key, item in pairs}


def _negative(node: ast.UnaryOp, before: Sequence[ast.stmt], depth: int) -> Any:
    if not isinstance(node.op, ast.USub):
        raise NotConstant
    return -_value(node.operand, before, depth)


def _operation(node: ast.BinOp, before: Sequence[ast.stmt], depth: int) -> Any:
    left, right = (_value(side, before, depth) for side in (node.left, node.right))
    # Numbers only, and no power that takes for ever.
    is_large = isinstance(node.op, ast.Pow) and abs(right) > DEEPEST
    if type(node.op) not in OPERATIONS or not isinstance(left, int | float) or is_large:
        raise NotConstant
    return OPERATIONS[type(node.op)](left, right)


def _item(node: ast.Subscript, before: Sequence[ast.stmt], depth: int) -> Any:
    return _value(node.value, before, depth)[_value(node.slice, before, depth)]


def _attribute(node: ast.Attribute, before: Sequence[ast.stmt], depth: int) -> Any:
    return _value(_field(node, before), before, depth)


def _conversion(node: ast.Call, before: Sequence[ast.stmt], depth: int) -> Any:
    if called(node) not in CONVERSIONS or len(node.args) != 1:
        raise NotConstant
    return CONVERSIONS[called(node)](_value(node.args[0], before, depth))


def _key(key: ast.expr | None, before: Sequence[ast.stmt], depth: int) -> Any:
    if key is None:
        raise NotConstant
    return _value(key, before, depth)


def _definition(name: str, before: Sequence[ast.stmt]) -> tuple[int, ast.expr]:
    """Return where a name got its value, and the value; only where that is a plain assignment nothing changed since."""
    for index in reversed(range(len(before))):
        node = before[index]
        if name not in bound_names(node) | changed_names(node):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value
            and [dotted(target) for target in targets if target is not None] == [name]
        ):
            return index, node.value
        raise NotConstant
    raise NotConstant


def _field(node: ast.Attribute, before: Sequence[ast.stmt]) -> ast.expr:
    """Return what a field of a configuration holds: of a class, of an object of that class, or of a namespace."""
    if not isinstance(node.value, ast.Name):
        raise NotConstant
    classes = {part.name: part for part in before if isinstance(part, ast.ClassDef)}
    name = node.value.id
    if name not in classes:
        _, made = _definition(name, before)
        if not isinstance(made, ast.Call):
            raise NotConstant
        given = {keyword.arg: keyword.value for keyword in made.keywords}
        if node.attr in given:
            return given[node.attr]
        name = base_name(made)
    if name not in classes:
        raise NotConstant
    _, value = _definition(node.attr, classes[name].body)
    return value
