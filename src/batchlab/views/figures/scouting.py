"""The scouting trials of a race, drawn."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from batchlab.views.figure_data import ScoutingMap, ScoutingMark
from batchlab.views.figures.layout import axis, batch_size_axis, log_ticks, new_figure
from batchlab.views.palette import EXCESS_CLASSES, NEUTRAL, OPTIMUM, PLACE_MARKS

SIZE, ROOM = 11, 0.4


def draw_scouting_map(data: ScoutingMap) -> go.Figure:
    """Return learning rate over batch size: a mark a scouting trial, and the fitted best rate as a line."""
    sizes = sorted({mark.batch_size for mark in data.marks} | {rate.batch_size for rate in data.fitted})
    places = [math.log2(mark.learning_rate) for mark in data.marks]
    places += [math.log2(limit) for rate in data.fitted for limit in (rate.low, rate.high)]
    low, high = min(places) - ROOM, max(places) + ROOM
    traces = [*_fitted(data)]
    for index, name in enumerate(_class_names(data.edges)):
        members = [mark for mark in data.marks if mark.reached and _class_of(mark, data.edges) == index]
        traces += _marks(members, {"color": EXCESS_CLASSES[index], "symbol": "circle"}, name)
    traces += _marks(
        [mark for mark in data.marks if not mark.reached and not mark.diverged],
        {"color": NEUTRAL, "symbol": "circle-open"},
        "ended before",
    )
    diverged = PLACE_MARKS["diverged"]
    traces += _marks(
        [mark for mark in data.marks if mark.diverged],
        {"color": diverged.color, "symbol": diverged.symbol, "line": {"color": diverged.color, "width": 2}},
        "diverged",
    )
    ticks = log_ticks(2**low, 2**high)
    ticks["tickvals"] = [math.log2(value) for value in ticks["tickvals"]]
    y_axis = axis("Learning rate", range=[low, high], **ticks)
    return new_figure(data.title, traces, x_axis=batch_size_axis(sizes), y_axis=y_axis, height=460)


def _class_of(mark: ScoutingMark, edges: Sequence[float]) -> int:
    return sum(1 for edge in edges if mark.ratio is not None and mark.ratio > edge)


def _class_names(edges: Sequence[float]) -> list[str]:
    between = [f"{a:g}–{b:g} times" for a, b in pairwise(edges)]
    return [f"up to {edges[0]:g} times", *between, f"above {edges[-1]:g} times"]


def _marks(marks: Sequence[ScoutingMark], style: dict[str, Any], name: str) -> list[Any]:
    if not marks:
        return []
    outline = {"line": {"color": NEUTRAL, "width": 1}} | style
    return [
        go.Scatter(
            x=[math.log2(mark.batch_size) for mark in marks],
            y=[math.log2(mark.learning_rate) for mark in marks],
            mode="markers",
            marker=outline | {"size": SIZE},
            name=name,
            text=[_hover(mark) for mark in marks],
            hoverinfo="text",
        )
    ]


def _hover(mark: ScoutingMark) -> str:
    found = "diverged" if mark.diverged else "ended before the target"
    if mark.ratio is not None:
        limit = "" if mark.reached else " or more"
        found = f"{mark.ratio:.2f}{limit} times the fewest examples at this batch size"
    return f"batch size {mark.batch_size}, learning rate {mark.learning_rate:.3g}<br>{found}"


def _fitted(data: ScoutingMap) -> list[Any]:
    """Return the fitted rates as a line with bars."""
    if not data.fitted:
        return []
    rates = data.fitted
    return [
        go.Scatter(
            x=[math.log2(one.batch_size) for one in rates],
            y=[math.log2(one.learning_rate) for one in rates],
            mode="lines+markers",
            line={"color": OPTIMUM, "width": 2},
            marker={"color": OPTIMUM, "size": 5},
            error_y={
                "array": [math.log2(one.high / one.learning_rate) for one in rates],
                "arrayminus": [math.log2(one.learning_rate / one.low) for one in rates],
                "symmetric": False,
                "color": OPTIMUM,
                "thickness": 1.5,
                "width": 5,
            },
            name="fitted best rate",
            text=[f"batch size {one.batch_size}: best rate {one.learning_rate:.3g}" for one in rates],
            hoverinfo="text",
        )
    ]
