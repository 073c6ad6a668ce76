"""The scouting trials of a race, drawn."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from batchlab.views.figure_data import ScoutingMap, ScoutingMark
from batchlab.views.figures.layout import batch_size_axis, learning_rate_axis, new_figure, place_marker
from batchlab.views.figures.learning_rates import class_names, class_of, optimum_traces
from batchlab.views.palette import EXCESS_CLASSES, NEUTRAL

SIZE, ROOM = 11, 0.4
OUTLINE = {"color": NEUTRAL, "width": 1}


def draw_scouting_map(data: ScoutingMap) -> go.Figure:
    """Return learning rate over batch size: a mark a scouting trial, and the fitted best rate as a line."""
    sizes = sorted({one.batch_size for one in data.marks} | {one.batch_size for one in data.optima})
    rates = [one.learning_rate for one in data.marks]
    rates += [limit for one in data.optima for limit in (one.low, one.high) if limit is not None]
    traces = optimum_traces(data.optima)
    for index, name in enumerate(class_names(data.edges, " times")):
        members = [one for one in data.marks if one.reached and one.ratio and class_of(one.ratio, data.edges) == index]
        traces += _marks(members, {"color": EXCESS_CLASSES[index], "symbol": "circle", "line": OUTLINE}, name)
    ended = [one for one in data.marks if not one.reached and not one.diverged]
    traces += _marks(ended, {"color": NEUTRAL, "symbol": "circle-open", "line": OUTLINE}, "ended before")
    traces += _marks([one for one in data.marks if one.diverged], place_marker("diverged"), "diverged")
    y_axis = learning_rate_axis(math.log2(min(rates)) - ROOM, math.log2(max(rates)) + ROOM)
    return new_figure(data.title, traces, x_axis=batch_size_axis(sizes), y_axis=y_axis, height=460)


def _marks(marks: Sequence[ScoutingMark], style: dict[str, Any], name: str) -> list[Any]:
    if not marks:
        return []
    return [
        go.Scatter(
            x=[math.log2(mark.batch_size) for mark in marks],
            y=[math.log2(mark.learning_rate) for mark in marks],
            mode="markers",
            marker=style | {"size": SIZE},
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
