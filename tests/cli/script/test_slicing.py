import ast

from hypothesis import given
from hypothesis import strategies as st

from batchlab.cli.script.slicing import make_flow, slice_for

NAMES = ("a", "b", "c", "d")
NAME = st.sampled_from(NAMES)
STATEMENTS = st.one_of(
    st.tuples(NAME, st.integers(0, 9)).map(lambda parts: f"{parts[0]} = [{parts[1]}]"),
    st.tuples(NAME, NAME, NAME).map(lambda parts: f"{parts[0]} = {parts[1]} + {parts[2]}"),
    st.tuples(NAME, NAME).map(lambda parts: f"{parts[0]}.append(len({parts[1]}))"),
    st.tuples(NAME, NAME).map(lambda parts: f"{parts[0]} += {parts[1]}"),
    st.tuples(NAME, NAME, NAME).map(lambda parts: f"if len({parts[0]}) > 3:\n    {parts[1]} = list({parts[2]})"),
    st.tuples(NAME, NAME).map(lambda parts: f"for item in list({parts[0]}):\n    {parts[1]}.append(item + 1)"),
    st.tuples(NAME, NAME).map(lambda parts: f"{parts[0]}, {parts[1]} = list({parts[1]}), list({parts[0]})"),
    st.tuples(NAME, NAME).map(lambda parts: f"with nullcontext([*{parts[0]}, 5]) as {parts[1]}:\n    {parts[1]}.pop()"),
    st.tuples(NAME, NAME).map(lambda parts: f"def f():\n    return {parts[0]}[:2]\n{parts[1]} = list(f())"),
)
BEGIN = "from contextlib import nullcontext\na = [1]\nb = [2]\nc = [3]\nd = [4]\n"


def run(nodes):
    values = {}
    exec(compile(ast.Module(list(nodes), []), "flow", "exec"), values)
    return values


def slice_of(text, *names):
    flow = make_flow(ast.parse(text).body)
    found = slice_for(flow, names, len(flow.statements))
    return [ast.unparse(flow.statements[index]) for index in sorted(found.indices)], found.undefined


@given(st.lists(STATEMENTS, max_size=12), NAME)
def test_a_slice_gives_a_name_the_value_that_the_whole_gives_it(statements, name):
    # Every list has one name only: what a second name changes is beyond a slice over names.
    body = ast.parse(BEGIN + "\n".join(statements)).body
    flow = make_flow(body)
    found = slice_for(flow, {name}, len(body))
    assert run(body)[name] == run(flow.statements[index] for index in sorted(found.indices))[name]
    assert found.undefined == frozenset()


def test_what_a_name_does_not_need_is_left_out():
    kept, _ = slice_of("import os\nx = 1\ny = 2\nz = x + 1\nprint(y)\n", "z")
    assert kept == ["x = 1", "z = x + 1"]


def test_what_a_function_reads_is_needed_where_it_is_called_even_if_it_is_set_later():
    kept, _ = slice_of("def size():\n    return WIDTH\nWIDTH = 3\nx = size()\n", "x")
    assert kept == ["def size():\n    return WIDTH", "WIDTH = 3", "x = size()"]


def test_what_only_a_method_reads_is_needed_with_its_class():
    kept, _ = slice_of("WIDTH = 3\nclass Net:\n    def f(self):\n        return WIDTH\nnet = Net()\n", "net")
    assert kept[0] == "WIDTH = 3"


def test_a_function_that_changes_what_it_is_given_counts_as_changing_it():
    kept, _ = slice_of("def fill(x):\n    x.append(1)\ndef show(x):\n    len(x)\nx = []\nfill(x)\nshow(x)\n", "x")
    assert "fill(x)" in kept
    assert "show(x)" not in kept


def test_a_loop_over_parts_of_a_thing_changes_the_thing():
    kept, _ = slice_of("net = make()\nfor p in net.parameters():\n    p.requires_grad = False\n", "net")
    assert len(kept) == 2


def test_a_name_that_nothing_defines_is_said_to_be_undefined():
    assert slice_of("x = rank + len([1])\n", "x")[1] == {"rank"}


def test_names_of_comprehensions_lambdas_and_parameters_are_not_asked_for():
    text = "f = lambda x, y=2: x + y\ndef g(z):\n    w = z\n    return w\nv = [f(i) + g(j) for i, j in [(1, 2)]]\n"
    assert slice_of(text, "v")[1] == frozenset()


def test_setting_something_on_a_module_is_no_part_of_a_value():
    kept, _ = slice_of("import torch\ntorch.backends.cudnn.benchmark = True\nx = torch.ones(1)\n", "x")
    assert kept == ["import torch", "x = torch.ones(1)"]
