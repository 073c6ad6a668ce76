import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.cli.script.constants import constant

FLOW = ast.parse("""
size = 32
rates = {"low": 1e-3, "high": 10 * 1e-3}
shape = (size, 2 * size)
class Config:
    epochs: int = 90
    seeds = 3
settings = Config(seeds=5)
size_again = size
counter = 1
counter += 1
items = [1]
items.append(2)
for last in range(3):
    pass
""").body


def told(text):
    return constant(ast.parse(text, mode="eval").body, FLOW)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("size", 32),
        ("size_again // 5", 6),
        ("rates['high']", 0.01),
        ("shape[1]", 64),
        ("Config.epochs", 90),
        ("settings.epochs", 90),
        ("settings.seeds", 5),
        ("-float('1e-3')", -1e-3),
        ("(0.9, 0.999)", (0.9, 0.999)),
    ],
)
def test_a_value_is_told_through_names(text, value):
    assert told(text) == value


@pytest.mark.parametrize(
    "text",
    ["unknown", "counter", "items", "last", "len(shape)", "rates['none']", "1 / 0", "2 ** 10 ** 10", "'a' * 10 ** 9"],
)
def test_a_value_that_cannot_be_told_is_none(text):
    assert told(text) is None


def test_a_name_that_leads_to_itself_is_none():
    assert constant(ast.Name("a", ast.Load()), ast.parse("a = b\nb = a").body) is None


NUMBERS = st.integers(-50, 50).map(str)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_arithmetic_is_that_of_python(text):
    try:
        expected = eval(text)
    except ZeroDivisionError:
        expected = None
    assert told(text) == expected
