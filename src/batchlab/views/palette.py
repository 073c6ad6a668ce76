"""The colors of every view, in one place: safe for color-blind readers, on light and on dark paper.

The categorical colors are those of Okabe and Ito (2008, "Color Universal Design") with a neutral gray. Each has a
contrast of at least 3 to 1 against both papers, which a test computes.
"""

from dataclasses import dataclass

PAPER_LIGHT = "#ffffff"
PAPER_DARK = "#15171b"
NEUTRAL = "#767b83"
FAINT = "rgba(128, 134, 142, 0.22)"
BAND = "rgba(0, 158, 115, 0.16)"
HALO = "#ffffff"
OPTIMUM = "#c24400"

BATCH_SIZE_STOPS = ("#2f78b7", "#5b72b5", "#8a6aa6", "#b3627f", "#c9663f", "#c37a12")
EXCESS_CLASSES = ("#08457e", "#3f7fb5", "#86b3d1", "#bfd4df", "#e3e3dc")


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """How a batch size's place in the comparison is drawn: by color and, for eyes or paper without it, by symbol."""

    color: str
    symbol: str
    rich_style: str


PLACE_MARKS = {
    "best": PlaceMark("#009e73", "star", "bold green"),
    "ties": PlaceMark("#0077bb", "circle", "blue"),
    "undecided": PlaceMark("#c06c9a", "circle-open", "magenta"),
    "worse": PlaceMark(NEUTRAL, "triangle-down-open", ""),
    "diverged": PlaceMark("#d55e00", "x-thin", "red"),
    "failed": PlaceMark("#d55e00", "cross-thin", "red"),
    "not ranked": PlaceMark(NEUTRAL, "diamond-open", ""),
}


def batch_size_colors(count: int) -> tuple[str, ...]:
    """Return `count` colors in order, from the smallest batch size (blue) to the largest (orange).

    >>> batch_size_colors(2)
    ('#2f78b7', '#c37a12')
    """
    if count == 1:
        return (BATCH_SIZE_STOPS[0],)
    last = len(BATCH_SIZE_STOPS) - 1
    return tuple(_color_at(last * index / (count - 1)) for index in range(count))


def _color_at(position: float) -> str:
    left = min(int(position), len(BATCH_SIZE_STOPS) - 2)
    share = position - left
    pair = zip(_channels(BATCH_SIZE_STOPS[left]), _channels(BATCH_SIZE_STOPS[left + 1]), strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pair)


def _channels(color: str) -> tuple[int, ...]:
    return tuple(int(color[start : start + 2], 16) for start in (1, 3, 5))
