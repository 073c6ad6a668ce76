"""Which statements of a flow some names need, found backward."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from batchlab.cli.script.names import (
    BUILTINS,
    Function,
    bound_names,
    changed_names,
    definite_names,
    exposed_names,
    free_names,
    parameters,
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Flow:
    """The statements of a script in running order, and what each does to names."""

    statements: tuple[ast.stmt, ...]
    bound: tuple[frozenset[str], ...]
    touched: tuple[frozenset[str], ...]
    definitions: dict[str, tuple[ast.stmt, ...]]
    has_star_import: bool

    def last_binding(self, name: str, before: int) -> int | None:
        """Return the index of the statement that last bound a name."""
        return next((index for index in reversed(range(before)) if name in self.bound[index]), None)

    def value_of(self, name: str, before: int) -> ast.expr | None:
        """Return the expression that a name was last assigned by itself, None where it was bound otherwise."""
        index = self.last_binding(name, before)
        node = None if index is None else self.statements[index]
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == name for one in node.targets):
            return node.value
        return node.value if isinstance(node, ast.AnnAssign) else None


@dataclass(frozen=True, slots=True)
class Slice:
    """Statements that some names need, by index, and the names that nothing defines."""

    indices: frozenset[int] = frozenset()
    undefined: frozenset[str] = frozenset()

    def __or__(self, other: "Slice") -> "Slice":
        return Slice(self.indices | other.indices, self.undefined | other.undefined)


def make_flow(statements: Iterable[ast.stmt]) -> Flow:
    """Return the flow of these statements."""
    nodes = tuple(statements)
    definitions: dict[str, tuple[ast.stmt, ...]] = {}
    for node in nodes:
        if isinstance(node, Definition):
            definitions[node.name] = (*definitions.get(node.name, ()), node)
    changers = frozenset(name for name, several in definitions.items() if any(map(_changes_argument, several)))
    bound = tuple(frozenset(bound_names(node)) for node in nodes)
    imported = set().union(
        *(names for names, node in zip(bound, nodes, strict=True) if isinstance(node, ast.Import | ast.ImportFrom))
    )
    # What is set on a module (`cudnn.benchmark = True`) is not part of a value.
    changed = (changed_names(node, changers) - imported for node in nodes)
    touched = tuple(names | more for names, more in zip(bound, changed, strict=True))
    star = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes)
    return Flow(nodes, bound, touched, definitions, star)


def slice_for(flow: Flow, names: Iterable[str], before: int, skipped: frozenset[int] = frozenset()) -> Slice:
    """Return the statements that give `names` the values they have at the index `before`.

    A statement that may change a value counts as one that gives it. What functions and classes read is looked for where
    they are used, not where they are defined.
    """
    needed = names_reached(flow, names)
    kept: set[int] = set()
    for index in reversed(range(min(before, len(flow.statements)))):
        node = flow.statements[index]
        if index in skipped or not needed & flow.touched[index]:
            continue
        kept.add(index)
        needed -= definite_names(node)
        if not isinstance(node, Definition):
            needed |= names_reached(flow, exposed_names(node))
    # A definition below its user, which is fine in a script as long as the call comes later still.
    late = {index for index, node in enumerate(flow.statements) if getattr(node, "name", None) in needed - BUILTINS}
    kept |= {index for index in late if isinstance(flow.statements[index], Definition)}
    given = set().union(*(flow.bound[index] for index in kept)) | BUILTINS
    return Slice(frozenset(kept), frozenset() if flow.has_star_import else frozenset(needed - given))


def names_reached(flow: Flow, names: Iterable[str]) -> set[str]:
    """Return names and, for functions and classes among them, all that these read."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += set().union(*map(free_names, flow.definitions.get(name, ())))
    return reached


def _changes_argument(node: ast.stmt) -> bool:
    if not isinstance(node, Function):
        return False
    changed = set().union(*(changed_names(part) for part in node.body))
    return bool(changed & parameters(node.args))
