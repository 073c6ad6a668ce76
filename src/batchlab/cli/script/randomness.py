"""Where a script draws random numbers, and where it sets seeds."""

import ast
import re

from batchlab.cli.script.names import called, dotted, free_names
from batchlab.cli.script.slicing import Definition, Flow, Slice, names_reached, slice_for

# By the generator that a call draws from unless it is given one.
GLOBAL = {
    "torch": r"torch\.(rand\w*|normal|bernoulli|multinomial|poisson)$|random_split$",
    "numpy": r"(np|numpy)\.random\.(?!default_rng|Generator|RandomState|SeedSequence|seed)\w+$"
    r"|train_test_split$|(^|\.)make_(classification|blobs|moons|circles|regression|friedman\d|s_curve|swiss_roll)$",
    "random": r"^random\.(?!Random|seed)\w+$",
}
GIVEN = {"generator", "random_state", "seed", "rng"}


def drawn_from(node: ast.AST) -> frozenset[str]:
    """Return the names of the global generators that code draws from, inside of its functions too.

    >>> sorted(drawn_from(ast.parse("x = np.random.rand(3); y = torch.randn(3, generator=g)")))
    ['numpy']
    """
    calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    free = [call for call in calls if not GIVEN & {keyword.arg for keyword in call.keywords}]
    names = [dotted(call.func) for call in free]
    return frozenset(kind for kind, pattern in GLOBAL.items() if any(re.search(pattern, name) for name in names))


def draws(flow: Flow, node: ast.stmt) -> frozenset[str]:
    """Return the names of the global generators that a statement draws from, by itself or in what it calls."""
    if isinstance(node, Definition):
        return frozenset()
    inside = (part for name in names_reached(flow, free_names(node)) for part in flow.definitions.get(name, ()))
    return frozenset().union(drawn_from(node), *map(drawn_from, inside))


def seed_statements(flow: Flow, before: int) -> Slice:
    """Return the statements that set seeds before the index `before`, with all that they need."""
    found = Slice()
    for index in range(before):
        node = flow.statements[index]
        if isinstance(node, ast.Expr) and "seed" in called(node.value) and "cuda" not in ast.unparse(node):
            found = found | slice_for(flow, free_names(node), index) | Slice(frozenset({index}))
    return found
