"""A draft as the text of a Python file, the script's own statements as they were written."""

import ast
import re
import textwrap
from collections.abc import Iterable, Sequence

from batchlab.cli.script.drafting import HELD_OUT, Draft, Function
from batchlab.cli.script.names import bound_names, exposed_names
from batchlab.cli.script.slicing import Definition
from batchlab.cli.script.source import Source

INDENT = "    "
TODO = '''def todo(what):
    """Stand in for what was not found."""
    raise NotImplementedError(f"TODO: {what}")'''


def render(draft: Draft) -> str:
    """Return the workload file."""
    statements = draft.reading.flow.statements
    top = [statements[index] for index in draft.places.top]
    blocks = [*_grouped(top, draft.reading.source)]
    inner = _names_inside(draft)
    functions = [(function.needs, _function(draft, function)) for function in draft.functions]
    if draft.places.model:
        needed = set().union(*(exposed_names(statements[index]) for index in draft.places.model))
        functions.insert(0, (needed, _model(draft)))
    blocks += [text for needs, text in functions if not needs & inner]
    blocks.append(_workload(draft, [text for needs, text in functions if needs & inner]))
    todos = any("todo(" in block for block in blocks)
    if todos:
        blocks.insert(0, TODO)
    body = "\n\n\n".join(blocks)
    gap = "\n\n" if _is_plain(blocks[0]) else "\n\n\n"
    return f"{_docstring(draft, todos=todos)}\n\n{_imports(draft, body)}{gap}{body}\n"


def text_of(node: ast.stmt, source: Source) -> str:
    """Return a statement as the script has it, comments and all; written anew where it was changed."""
    begin = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) if _has_line(node) else 0
    if begin:
        text = textwrap.dedent("\n".join(source.lines[begin - 1 : node.end_lineno]))
        try:
            written = ast.parse(text).body
        except SyntaxError:
            written = []
        if len(written) == 1 and ast.dump(written[0]) == ast.dump(node):
            return text.rstrip()
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        return f"return {', '.join(ast.unparse(part) for part in node.value.elts)}"
    return ast.unparse(ast.fix_missing_locations(node))


def _has_line(node: ast.stmt) -> bool:
    return hasattr(node, "lineno") and node.end_lineno is not None


def _docstring(draft: Draft, *, todos: bool) -> str:
    script = draft.reading.source.path.name
    lines = [f'"""A workload for batchlab, read from {script}: comments say from where in it.']
    if todos:
        lines += ["", "Replace what is marked TODO before a study is run."]
    schedules = [doubt for doubt in draft.reading.doubts if "schedule" in doubt]
    lines += ["", *(f"{doubt[0].upper()}{doubt[1:]}." for doubt in schedules)] if schedules else []
    return "\n".join([*lines, '"""']) if len(lines) > 1 else f'{lines[0]}"""'


def _imports(draft: Draft, body: str) -> str:
    """Return what the file imports: of the script's names those that are used, torch where it is, and batchlab's."""
    source = draft.reading.source
    kept = [draft.reading.flow.statements[index] for index in draft.places.imports]
    nodes = [part for node in kept if (part := _import(node, body)) is not None]
    bound = bound_names(nodes)
    lines = [text_of(node, source) for node in nodes]
    first = sum(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in nodes)
    own = [
        name for name in ("numpy", "random", "torch") if re.search(rf"(?<![.\w]){name}\.", body) and name not in bound
    ]
    lines[first:first] = [f"import {name}" for name in own]
    if "SimpleNamespace(" in body and "SimpleNamespace" not in bound:
        lines.insert(first, "from types import SimpleNamespace")
    names = [name for name in ("Metric", "Workload", "cross_entropy") if re.search(rf"(?<![.\w]){name}\b", body)]
    lines += ["", f"from batchlab.workload import {', '.join(name for name in names if name not in bound)}"]
    return "\n".join(dict.fromkeys(lines))


def _imported(draft: Draft) -> set[str]:
    return bound_names([draft.reading.flow.statements[index] for index in draft.places.imports])


def _import(node: ast.stmt, body: str) -> ast.stmt | None:
    """Return an import with the names that are used; one relative to a package as it reads in a folder that is none."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return node
    is_kept = isinstance(node, ast.ImportFrom) and (node.module == "__future__" or node.names[0].name == "*")
    used = [one for one in node.names if is_kept or re.search(rf"(?<![.\w]){_bound_by(one)}\b", body)]
    if not used:
        return None
    if isinstance(node, ast.ImportFrom):
        return ast.copy_location(ast.ImportFrom(node.module, used, 0 if node.module else node.level), node)
    return ast.copy_location(ast.Import(used), node)


def _bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _grouped(nodes: Sequence[ast.stmt], source: Source) -> Iterable[str]:
    """Yield each definition, and each run of other statements."""
    run: list[str] = []
    for node in nodes:
        if isinstance(node, Definition):
            if run:
                yield "\n".join(run)
            run = []
            yield text_of(node, source)
        else:
            run.append(text_of(node, source))
    if run:
        yield "\n".join(run)


def _is_plain(block: str) -> bool:
    return not block.startswith(("def ", "class ", "@", "async "))


def _names_inside(draft: Draft) -> set[str]:
    """Return the names that only `workload` knows."""
    bound = (draft.reading.flow.bound[index] for index in draft.places.workload)
    return set().union(draft.undefined, *bound)


def _function(draft: Draft, function: Function) -> str:
    source = draft.reading.source
    head = f"def {draft.names[function.role]}({', '.join(function.parameters)}):"
    lines = [f'"""{function.told}"""', *(text_of(node, source) for node in function.body)]
    return f"{head}\n{textwrap.indent(chr(10).join(lines), INDENT)}"


def _model(draft: Draft) -> str:
    name = draft.reading.model
    nodes = [draft.reading.flow.statements[index] for index in draft.places.model]
    texts = [text_of(node, draft.reading.source) for node in nodes]
    last = nodes[-1]
    if isinstance(last, ast.Assign) and [ast.unparse(target) for target in last.targets] == [name]:
        texts[-1] = re.sub(rf"^{name}\s*=\s*", "return ", texts[-1])
    else:
        texts.append(f"return {name}")
    told = '"""Return a fresh model."""'
    return f"def {draft.names['model']}():\n{textwrap.indent(chr(10).join([told, *texts]), INDENT)}"


def _workload(draft: Draft, functions: Iterable[str]) -> str:
    source = draft.reading.source
    told = f'"""Return what {source.path.name} trains."""'
    first = [f"{name} = todo('{name}, which {source.path.name} does not define')  # TODO" for name in draft.undefined]
    if draft.places.unseeded:
        numpy = "np" if "np" in _imported(draft) else "numpy"
        calls = {"torch": "torch.manual_seed(0)", "numpy": f"{numpy}.random.seed(0)", "random": "random.seed(0)"}
        first += [
            "# Every process has to draw the same data.",
            *(calls[name] for name in sorted(draft.places.unseeded)),
        ]
    nodes = [draft.reading.flow.statements[index] for index in draft.places.workload]
    lines = [*first, *(text_of(node, source) for node in nodes)]
    parts = ["\n".join(lines)] if lines else []
    parts += [*functions, *([_held_out(draft)] if draft.hold_out else []), _call(draft)]
    body = "\n\n".join(parts)
    return f"def {draft.names['workload']}():\n{textwrap.indent(f'{told}{chr(10)}{body}', INDENT)}"


def _held_out(draft: Draft) -> str:
    data, names = draft.reading.data, draft.names
    assert data.train is not None
    value = data.train.value
    text = ast.unparse(value)
    if isinstance(value, ast.Tuple):
        text = f"torch.utils.data.TensorDataset{text}"
    rest = "; the test data stay unseen until the end" if data.test is not None else ""
    train, valid, count = names["train"], names["valid"], names["n_valid"]
    return "\n".join(
        [
            f"# {draft.reading.source.path.name} has no validation data to decide with:",
            f"# a share of the training data is held out for it{rest}.",
            f"{train} = {text}",
            f"{count} = max(1, len({train}) // {HELD_OUT})",
            f"{train}, {valid} = torch.utils.data.random_split(",
            f"{INDENT}{train}, [len({train}) - {count}, {count}], generator=torch.Generator().manual_seed(0)",
            ")",
        ]
    )


def _call(draft: Draft) -> str:
    lines = [f'"{draft.reading.source.path.stem}",']
    for argument in draft.arguments:
        text = argument.text
        if draft.hold_out and argument.keyword == "train":
            text = draft.names["train"]
        note = ", ".join(part for part in ("TODO" if argument.missing else "", argument.place) if part)
        lines.append(f"{argument.keyword}={text},{f'  # {note}' if note else ''}")
        if draft.hold_out and argument.keyword == "train":
            lines.append(f"valid={draft.names['valid']},")
    return f"return Workload(\n{textwrap.indent(chr(10).join(lines), INDENT)}\n)"
