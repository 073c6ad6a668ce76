"""Where the statements a workload needs go: to the top of its file, into `model`, or into `workload`."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from batchlab.cli.script.constants import constant
from batchlab.cli.script.names import called, dotted, exposed_names, free_names
from batchlab.cli.script.randomness import draws, seed_statements
from batchlab.cli.script.slicing import Definition, Flow, Slice, slice_for


@dataclass(frozen=True, slots=True)
class Needs:
    """What the model, the data and the generated functions need, as slices of a flow."""

    model: Slice
    data: Slice
    functions: Slice


@dataclass(frozen=True, slots=True)
class Places:
    """Indices of statements in running order, by where they go.

    Args:
        imports, top, model, workload: imports, the rest of the top of the file, the body of `model`, that of
            `workload`.
        undefined: names that these need and nothing defines.
        unseeded: the generators ("torch", "numpy", "random") that data are drawn from with no seed set.
    """

    imports: tuple[int, ...]
    top: tuple[int, ...]
    model: tuple[int, ...]
    workload: tuple[int, ...]
    undefined: frozenset[str]
    unseeded: frozenset[str]


def place(flow: Flow, needs: Needs, model: str | None) -> Places:
    """Return where each statement goes.

    Imports, definitions, constants and what definitions read go to the top; what only the model needs into `model`, as
    it is made anew for every trial; all else into `workload`. Statements that bind or change the model go into `model`
    even where the data need them too.
    """
    shared = needs.data.indices | needs.functions.indices
    every = needs.model.indices | shared
    imports = {index for index in every if _imports(flow.statements[index])} | _always(flow)
    top = {index for index in every - imports if isinstance(flow.statements[index], Definition)}
    top |= _read_by_definitions(flow, top) - imports
    top |= {index for index in every - imports - top if _is_constant(flow, index)}
    in_model = {index for index in needs.model.indices if _makes(flow, index, model)}
    in_model |= needs.model.indices - imports - top - shared
    in_workload = set(shared - imports - top)
    early = _before_the_data(flow, needs, in_workload, model)
    top, in_workload = top | early, in_workload - early
    seeds, unseeded = _seeds(flow, shared - imports - in_model)
    imports |= {index for index in seeds if _imports(flow.statements[index])}
    top |= {index for index in seeds - imports if isinstance(flow.statements[index], Definition)}
    # Seeds are set where the numbers are drawn.
    drawn_at_top = any(draws(flow, flow.statements[index]) for index in top - imports)
    (top if drawn_at_top else in_workload).update(seeds - imports - top)
    undefined = _directly_undefined(flow, needs, [*top, *in_model, *in_workload])
    kept = [tuple(sorted(indices)) for indices in (imports, top, in_model, in_workload)]
    return Places(kept[0], kept[1], kept[2], kept[3], undefined, unseeded)


def _before_the_data(flow: Flow, needs: Needs, in_workload: set[int], model: str | None) -> set[int]:
    """Return the statements in `workload` that do not have to wait for the data, such as those that make the loss."""
    waiting = _bound(flow, in_workload & needs.data.indices) | ({model} if model else set())
    early = set()
    for index in sorted(in_workload - needs.data.indices):
        if exposed_names(flow.statements[index]) & waiting:
            waiting |= flow.bound[index]
        else:
            early.add(index)
    return early


def _seeds(flow: Flow, indices: Iterable[int]) -> tuple[frozenset[int], frozenset[str]]:
    """Return the statements that set the seeds of what these draw, or else the generators that go without."""
    drawn = {index: draws(flow, flow.statements[index]) for index in indices}
    seeds = seed_statements(flow, max((index for index, generators in drawn.items() if generators), default=0)).indices
    return seeds, frozenset() if seeds else frozenset().union(*drawn.values())


def _makes(flow: Flow, index: int, model: str | None) -> bool:
    node = flow.statements[index]
    return model in flow.touched[index] and not isinstance(node, Definition) and not _imports(node)


def _imports(node: ast.stmt) -> bool:
    """Return whether a statement imports, by itself or trying to."""
    if isinstance(node, ast.Try | ast.If):
        return any(isinstance(part, ast.Import | ast.ImportFrom) for part in node.body)
    return isinstance(node, ast.Import | ast.ImportFrom)


def _always(flow: Flow) -> set[int]:
    """Return the statements that imports may depend on without naming it."""
    return {
        index
        for index, node in enumerate(flow.statements)
        if (isinstance(node, ast.ImportFrom) and (node.module == "__future__" or node.names[0].name == "*"))
        or (isinstance(node, ast.Expr) and dotted(getattr(node.value, "func", node)).startswith("sys.path."))
    }


def _read_by_definitions(flow: Flow, definitions: Iterable[int]) -> set[int]:
    names = set().union(*(free_names(flow.statements[index]) for index in definitions), set())
    return set(slice_for(flow, names, len(flow.statements), _unkept(flow)).indices)


def _unkept(flow: Flow) -> frozenset[int]:
    """Return the statements that train: nothing a workload needs comes from there."""
    trains = (any(called(node) == "backward" for node in ast.walk(part)) for part in flow.statements)
    pairs = zip(flow.statements, trains, strict=True)
    return frozenset(
        i for i, (node, is_training) in enumerate(pairs) if is_training and not isinstance(node, Definition)
    )


def _is_constant(flow: Flow, index: int) -> bool:
    node = flow.statements[index]
    names = flow.bound[index]
    if not isinstance(node, ast.Assign | ast.AnnAssign) or len(names) != 1:
        return False
    again = sum(bool(names & touched) for touched in flow.touched)
    return again == 1 and constant(node.value, ()) is not None


def _bound(flow: Flow, indices: Iterable[int]) -> set[str]:
    return set().union(*(flow.bound[index] for index in indices), set())


def _directly_undefined(flow: Flow, needs: Needs, indices: Iterable[int]) -> frozenset[str]:
    """Return undefined names that the statements themselves read; those of functions may never be asked for."""
    undefined = needs.model.undefined | needs.data.undefined | needs.functions.undefined
    nodes = [flow.statements[index] for index in indices]
    read = set().union(*(exposed_names(node) for node in nodes if not isinstance(node, Definition)), set())
    return frozenset((undefined & read) - _bound(flow, indices))
