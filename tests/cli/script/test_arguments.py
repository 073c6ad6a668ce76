import ast

import pytest

from batchlab.cli.script.arguments import read_options, with_defaults

PARSER = """
parser = argparse.ArgumentParser()
group = parser.add_argument_group("model")
parser.add_argument("data")
parser.add_argument("where", nargs="?", default="here")
parser.add_argument("-b", "--batch-size", type=int, default=64)
group.add_argument("--lr", type=float, default="1e-3")
parser.add_argument("--momentum", dest="beta", default=0.9)
parser.add_argument("--amp", action="store_true")
parser.add_argument("--no-shuffle", dest="shuffle", action="store_false")
parser.add_argument("--name")
parser.add_argument("--out", required=True)
parser.add_argument("--home", default=os.environ["HOME"])
parser.set_defaults(layers=3)
args = parser.parse_args()
"""


def replaced(text, parser=PARSER):
    flow = ast.parse(parser + text).body
    last = with_defaults(flow, read_options(flow))[-1]
    return ast.unparse(ast.fix_missing_locations(last))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", "64"),
        ("lr", "0.001"),
        ("beta", "0.9"),
        ("amp", "False"),
        ("shuffle", "True"),
        ("name", "None"),
        ("where", "'here'"),
        ("home", "os.environ['HOME']"),
        ("layers", "3"),
        ("data", "todo('a value for the option `data`, which has no default')"),
        ("out", "todo('a value for the option `out`, which has no default')"),
    ],
)
def test_an_option_is_its_default(option, value):
    assert replaced(f"x = args.{option}") == f"x = {value}"


def test_an_attribute_that_is_no_option_is_left_alone():
    assert replaced("x = args.device + other.lr") == "x = args.device + other.lr"


def test_the_options_as_a_whole_are_a_namespace():
    parser = "p = ArgumentParser()\np.add_argument('--lr', default=0.1)\n"
    assert replaced("opts, _ = p.parse_known_args()", parser) == "opts = SimpleNamespace(lr=0.1)"


def test_a_script_without_options_is_left_alone():
    flow = ast.parse("x = args.lr").body
    assert with_defaults(flow, read_options(flow)) is flow
