"""What all drawings share: paper, type, axes, and where ticks go."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from batchlab.views.palette import FAINT, NEUTRAL, PLACE_MARKS

FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
TITLE_WIDTH = 60
TITLE = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
# Pixels between the title and the plot: two rows of legend.
LEGEND_ROOM = 68
LEGEND = {
    "orientation": "h",
    "yanchor": "bottom",
    "y": 1.02,
    "xanchor": "left",
    "x": 0,
    "font": {"size": 12},
    "itemclick": False,
}


def new_figure(title: str, traces: Iterable[Any], *, x_axis: Any, y_axis: Any, height: int = 420) -> go.Figure:
    """Return a figure on transparent paper with its title wrapped, so that it is never cut."""
    lines = [escape(line) for line in textwrap.wrap(title, TITLE_WIDTH)]
    return go.Figure(
        list(traces),
        {
            "template": "none",
            "title": {"text": "<br>".join(lines), "font": {"size": 17}, "pad": {"t": 16 * len(lines)}, **TITLE},
            "font": {"family": FONT, "size": 13, "color": NEUTRAL},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 56, "r": 16, "t": LEGEND_ROOM + 22 * len(lines), "b": 60},
            "height": height + 22 * len(lines),
            "xaxis": x_axis,
            "yaxis": y_axis,
            "legend": {**LEGEND, "itemdoubleclick": False},
            "hoverlabel": {"font": {"family": FONT, "size": 13}},
            "dragmode": False,
        },
    )


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """Return an axis with a quiet grid; `settings` are Plotly's own."""
    return {
        "title": {"text": escape(title), "standoff": 12, "font": {"size": 13}},
        "automargin": True,
        "gridcolor": FAINT,
        "linecolor": NEUTRAL,
        "zeroline": False,
        "ticks": "",
        "fixedrange": True,
        **settings,
    }


def batch_size_axis(batch_sizes: Sequence[int]) -> dict[str, Any]:
    """Return an axis at log2 of the batch size with a tick at each that was tried."""
    places = [math.log2(size) for size in batch_sizes]
    texts = [str(size) for size in batch_sizes]
    limits = [min(places) - 0.6, max(places) + 0.6]
    return axis("Batch size", tickvals=places, ticktext=texts, range=limits, showgrid=False, showline=True)


def log_ticks(low: float, high: float, *, suffix: str = "") -> dict[str, Any]:
    """Return ticks of a log axis at round numbers: the more it spans, the fewer to a power of ten."""
    steps = (1, 2, 3, 5, 7) if high / low < 10 else (1, 2, 5) if high / low < 400 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [step * 10.0**exponent for exponent in exponents for step in steps]
    values = [value for value in values if low <= value * 1.0001 and value <= high * 1.0001]
    return {"tickvals": values, "ticktext": [f"{value:,.10g}{suffix}" for value in values]}


def learning_rate_axis(low: float, high: float, **settings: Any) -> dict[str, Any]:
    """Return a vertical axis at log2 of the learning rate, from `low` to `high` of that, with ticks at round rates."""
    ticks = log_ticks(2**low, 2**high)
    ticks["tickvals"] = [math.log2(value) for value in ticks["tickvals"]]
    return axis("Learning rate", range=[low, high], **settings, **ticks)


def value_axis(title: str, values: Sequence[float], *, unit: str, log_scale: bool) -> dict[str, Any]:
    """Return a vertical axis whose range holds all values with room to spare; its range is in the axis's own scale."""
    low, high = min(values), max(values)
    if log_scale:
        ratio = max(high / low, 1.2)
        low, high = low / ratio**0.06, high * ratio**0.08
        limits = [math.log10(low), math.log10(high)]
        return axis(title, type="log", range=limits, **log_ticks(low, high, suffix=unit))
    room = (high - low) or abs(high) or 1.0
    return axis(title, range=[low - 0.07 * room, high + 0.09 * room], ticksuffix=unit, nticks=7)


def place_marker(place: str, size: int = 11) -> dict[str, Any]:
    """Return the marker of a place in the comparison: its color and its symbol."""
    mark = PLACE_MARKS[place]
    larger = 5 if place == "best" else 0
    return {
        "color": mark.color,
        "symbol": mark.symbol,
        "size": size + larger,
        "line": {"color": mark.color, "width": 2},
    }
