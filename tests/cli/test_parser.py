import pytest

from batchlab.cli import study
from batchlab.cli.parser import Parser
from batchlab.errors import UsageError


def refusal(*words: str) -> str:
    """Return what the parser of `batchlab study` says to these words."""
    parser = Parser(prog="batchlab study")
    study.add_options(parser)
    with pytest.raises(UsageError) as caught:
        parser.parse_args(["digits-mlp", *words])
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sedes", "5"), "unrecognized arguments: --sedes 5; did you mean --seeds?"),
        (("--batch-size", "8"), "unrecognized arguments: --batch-size 8; did you mean --batch-sizes?"),
        (("--epoch=3",), "unrecognized arguments: --epoch=3; did you mean --epochs?"),
        (("--curent", "64@0.1"), "unrecognized arguments: --curent 64@0.1; did you mean --current?"),
        (("--frobnicate",), "unrecognized arguments: --frobnicate; see `batchlab study --help`."),
        (("more",), "unrecognized arguments: more; see `batchlab study --help`."),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest_where_one_is_near(words, message) -> None:
    assert refusal(*words) == message


def test_all_mistakes_of_a_command_are_told_together_in_the_order_of_its_options() -> None:
    assert refusal("--sedes", "5", "--warmup", "often", "--batch-sizes", "8:4", "--set", "momentum") == (
        "4 mistakes:\n"
        "- unrecognized arguments: --sedes 5; did you mean --seeds?\n"
        "- A range of batch sizes goes from low to high, got '8:4'; write 4:8.\n"
        "- `--set` takes key=value, got 'momentum'; write momentum=0.9, for example.\n"
        "- `--warmup` takes a number, got 'often'; write --warmup 0.5, for example."
    )


def test_the_help_says_that_a_range_means_powers_of_two() -> None:
    parser = Parser(prog="batchlab study")
    study.add_options(parser)
    text = " ".join(parser.format_help().split())
    assert "powers of two from 8 to 512, 8:512, or a list, 8,24,64" in text
