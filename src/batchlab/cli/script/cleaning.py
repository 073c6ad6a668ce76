"""Take out of a flow what a workload does not do itself: moves to a device, wrappers, messages, dead branches."""

import ast
from collections.abc import Iterable

from batchlab.cli.script.names import Function, bound_names, called, dotted, free_names, walk_scope
from batchlab.cli.script.renaming import Renamed

WRAPPERS = {"DataParallel", "DistributedDataParallel", "DDP", "FullyShardedDataParallel"}
PREPARING = {"prepare", "setup", "setup_module", "setup_dataloaders"}
MESSAGES = {"print", "display", "tqdm.write", "pprint"}
MESSENGERS = {"logging", "logger", "log", "plt", "wandb", "writer", "mlflow", "pbar", "warnings"}
DEVICES = ("cuda", "cpu", "mps", "xpu", "hpu")


def clean(flow: list[ast.stmt]) -> list[ast.stmt]:
    """Return the flow without moves to a device, wrappers for many devices, messages, and branches never taken.

    Tuples assigned to tuples become single assignments, and second names for a thing its first. Functions and classes
    stay as they are.
    """
    cleaned = _block(flow, _Cleaning(_device_names(flow)))
    return _without_aliases(cleaned)


def _without_aliases(flow: list[ast.stmt]) -> list[ast.stmt]:
    """Return the flow with one name for what `net = model` gives two, where neither is bound again."""
    for index, node in enumerate(flow):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name):
            continue
        names = bound_names(node)
        target, value = dotted(node.targets[0]), node.value.id
        again = any(names & bound_names(part) for part in [*flow[:index], *flow[index + 1 :]])
        if target and len(names) == 1 and not again and not any(value in bound_names(part) for part in flow[index:]):
            rest = [*flow[:index], *(Renamed({target: value}).visit(part) for part in flow[index + 1 :])]
            return _without_aliases(rest)
    return flow


def _block(body: Iterable[ast.stmt], cleaning: "_Cleaning") -> list[ast.stmt]:
    return [part for node in body for part in _statement(node, cleaning)]


def _statement(node: ast.stmt, cleaning: "_Cleaning") -> list[ast.stmt]:
    if isinstance(node, Function | ast.ClassDef):
        return [node]
    blocks = [name for name in ("body", "orelse", "finalbody") if getattr(node, name, None)]
    for name in blocks:
        setattr(node, name, _block(getattr(node, name), cleaning))
    for handler in getattr(node, "handlers", ()):
        handler.body = _block(handler.body, cleaning) or [ast.Pass()]
    cleaning.visit(node)
    if isinstance(node, ast.If) and isinstance(node.test, ast.Constant):
        return node.body if node.test.value else node.orelse
    if isinstance(node, ast.If) and not node.body and node.orelse:
        node.test, node.body, node.orelse = ast.UnaryOp(ast.Not(), node.test), node.orelse, []
    if _says_nothing(node) or (blocks and not node.body):  # type: ignore[attr-defined]
        return []
    return list(_single_assignments(node)) if isinstance(node, ast.Assign) else [node]


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        if not isinstance(node.value, ast.Call):
            return not isinstance(node.value, ast.Await)
        name = dotted(node.value.func)
        sets_mode = called(node.value) in ("train", "eval") and not node.value.args
        return name in MESSAGES or name.split(".")[0] in MESSENGERS or sets_mode
    if isinstance(node, ast.Assign):
        is_itself = len(node.targets) == 1 and _same(node.targets[0], node.value)
        return is_itself or (called(node.value) in PREPARING and _is_handed_through(node))
    return isinstance(node, ast.Pass)


def _is_handed_through(node: ast.Assign) -> bool:
    """Return whether names are assigned from a call of the same names, as `accelerator.prepare` wants it."""
    assert isinstance(node.value, ast.Call)
    return bound_names(node) <= {dotted(argument) for argument in node.value.args}


def _single_assignments(node: ast.Assign) -> Iterable[ast.stmt]:
    """Yield `a = x` and `b = y` for `a, b = x, y`, where no value needs a name that was just bound."""
    target = node.targets[0]
    if len(node.targets) > 1 or not isinstance(target, ast.Tuple) or not isinstance(node.value, ast.Tuple):
        return [node]
    values = [*target.elts, *node.value.elts]
    if len(target.elts) != len(node.value.elts) or any(isinstance(one, ast.Starred) for one in values):
        return [node]
    pairs = [(one, value) for one, value in zip(target.elts, node.value.elts, strict=True) if not _same(one, value)]
    bound: set[str] = set()
    for one, value in pairs:
        if bound & free_names(value):
            return [node]
        bound |= bound_names(one)
    return [ast.copy_location(ast.Assign([one], value), node) for one, value in pairs]


def _same(one: ast.AST, other: ast.AST) -> bool:
    return ast.unparse(one) == ast.unparse(other)


def _device_names(flow: Iterable[ast.stmt]) -> set[str]:
    """Return the names that hold a device."""
    found = {"device", "DEVICE", "dev", "gpu", "rank", "local_rank"}
    for node in flow:
        for inner in walk_scope(node):
            if isinstance(inner, ast.Assign) and _makes_device(inner.value):
                found |= bound_names(inner)
    return found


def _makes_device(node: ast.expr) -> bool:
    if dotted(getattr(node, "func", node)) in ("torch.device", "device"):
        return True
    constants = [part for part in (node, getattr(node, "body", None), getattr(node, "orelse", None)) if part]
    return any(_is_device_text(part) for part in constants)


def _is_device_text(node: ast.AST) -> bool:
    text = node.value if isinstance(node, ast.Constant) else ""
    if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
        text = node.values[0].value
    return isinstance(text, str) and text.split(":")[0] in DEVICES


class _Cleaning(ast.NodeTransformer):
    """Expressions without moves and wrappers; blocks are left to the caller."""

    def __init__(self, devices: set[str]) -> None:
        self.devices = devices

    def visit(self, node: ast.AST) -> ast.AST:
        # Statements inside of this one have been visited on their own.
        blocks = {"body", "orelse", "finalbody", "handlers"} if isinstance(node, ast.stmt) else set()
        if isinstance(node, Function | ast.ClassDef | ast.Lambda):
            return node
        for field, value in ast.iter_fields(node):
            if field in blocks:
                continue
            if isinstance(value, list):
                setattr(node, field, [self.visit(item) if isinstance(item, ast.AST) else item for item in value])
            elif isinstance(value, ast.AST):
                setattr(node, field, self.visit(value))
        if isinstance(node, ast.Call):
            return self._call(node)
        return _identity(node) if isinstance(node, ast.ListComp | ast.DictComp) else node

    def _call(self, node: ast.Call) -> ast.expr:
        name = called(node)
        if (name in WRAPPERS or dotted(node.func) == "torch.compile") and node.args:
            return node.args[0]
        if name in ("tuple", "list") and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            passed = _identity(node.args[0])
            return node if passed is node.args[0] else passed
        if isinstance(node.func, ast.Attribute) and name in ("cuda", "cpu") and dotted(node.func) != "torch.cuda":
            return node.func.value
        if isinstance(node.func, ast.Attribute) and name == "to":
            node.args = [argument for argument in node.args if not self._is_device(argument)]
            moving = ("device", "non_blocking", "memory_format", "copy")
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in moving]
            return node if node.args or node.keywords else node.func.value
        if dotted(node.func).startswith(("torch.", "nn.")):
            node.keywords = [
                keyword for keyword in node.keywords if keyword.arg != "device" or not self._is_device(keyword.value)
            ]
        return node

    def _is_device(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute) and node.attr == "device":
            return True
        return dotted(node) in self.devices or _makes_device(node)


def _identity(node: ast.expr) -> ast.expr:
    """Return what a comprehension goes over where it hands its items through, as `[x for x in batch]` does."""
    assert isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp)
    generator = node.generators[0]
    if len(node.generators) > 1 or generator.ifs:
        return node
    if isinstance(node, ast.DictComp):
        over, pair = generator.iter, ast.Tuple([node.key, node.value], ast.Load())
        is_items = called(over) == "items" and isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute)
        return over.func.value if is_items and _same(pair, generator.target) else node  # type: ignore[attr-defined]
    return generator.iter if _same(node.elt, generator.target) else node
