"""The map of learning rates by batch size, drawn."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from batchlab.views.figure_data import LearningRateCell, LearningRateMap, LearningRateOptimum
from batchlab.views.figures.layout import batch_size_axis, learning_rate_axis, new_figure
from batchlab.views.palette import EXCESS_CLASSES, HALO, NEUTRAL, OPTIMUM


def draw_learning_rate_map(data: LearningRateMap) -> go.Figure:
    """Return learning rate over batch size: a tile a learning rate tried, and the fitted optimum as a line."""
    sizes = sorted({cell.batch_size for cell in data.cells})
    spans = {(cell.batch_size, cell.learning_rate): span for cell, span in _spans(data.cells)}
    low = min(bottom for bottom, _ in spans.values())
    high = max(top for _, top in spans.values())
    traces: list[Any] = []
    for index, name in enumerate(class_names(data.edges)):
        members = [one for one in data.cells if one.excess is not None and class_of(one.excess, data.edges) == index]
        traces += _tiles(members, spans, _widths(sizes), color=EXCESS_CLASSES[index], name=name)
    traces += _tiles(
        [cell for cell in data.cells if cell.excess is None], spans, _widths(sizes), color=None, name="all diverged"
    )
    traces += optimum_traces(data.optima)
    y_axis = learning_rate_axis(low, high, showgrid=False)
    figure = new_figure(data.title, traces, x_axis=batch_size_axis(sizes), y_axis=y_axis, height=460)
    return figure.update_layout(barmode="overlay", bargap=0)


def _spans(cells: tuple[LearningRateCell, ...]) -> list[tuple[LearningRateCell, tuple[float, float]]]:
    """Return each cell with its lower and upper edge in log2: half-way to its neighbors at the same batch size."""
    spans = []
    for size in {cell.batch_size for cell in cells}:
        column = sorted((cell for cell in cells if cell.batch_size == size), key=lambda cell: cell.learning_rate)
        places = [math.log2(cell.learning_rate) for cell in column]
        middles = [(a + b) / 2 for a, b in pairwise(places)]
        first = 2 * places[0] - middles[0] if middles else places[0] - 0.5
        last = 2 * places[-1] - middles[-1] if middles else places[-1] + 0.5
        spans += list(zip(column, pairwise([first, *middles, last]), strict=True))
    return spans


def _widths(sizes: list[int]) -> dict[int, float]:
    """Return the width of each column in log2: the distance to the nearer neighbor."""
    gaps = [math.log2(b / a) for a, b in pairwise(sizes)] or [1.0]
    nearer = zip([gaps[0], *gaps], [*gaps, gaps[-1]], strict=True) if len(sizes) > 1 else [(1.0, 1.0)]
    return {size: min(pair) for size, pair in zip(sizes, nearer, strict=True)}


def class_of(value: float, edges: Sequence[float]) -> int:
    """Return the index of the class of a value, above so many of the edges."""
    return sum(1 for edge in edges if value > edge)


def class_names(edges: Sequence[float], unit: str = "") -> list[str]:
    """Return the name of each class, the last of them open.

    >>> class_names((1.5, 2.0), " times")
    ['up to 1.5 times', '1.5–2 times', 'above 2 times']
    """
    if not edges:
        return ["lowest"]
    between = [f"{a:g}–{b:g}{unit}" for a, b in pairwise(edges)]
    return [f"up to {edges[0]:g}{unit}", *between, f"above {edges[-1]:g}{unit}"]


def _tiles(
    cells: list[LearningRateCell],
    spans: dict[tuple[int, float], tuple[float, float]],
    widths: dict[int, float],
    *,
    color: str | None,
    name: str,
) -> list[Any]:
    """Return tiles of one color; hatched where some seeds diverged, crossed and without color where all did."""
    if not cells:
        return []
    found = [spans[cell.batch_size, cell.learning_rate] for cell in cells]
    shapes = ["x" if color is None else "/" if cell.n_diverged else "" for cell in cells]
    return [
        go.Bar(
            x=[math.log2(cell.batch_size) for cell in cells],
            base=[bottom for bottom, _ in found],
            y=[top - bottom for bottom, top in found],
            width=[0.97 * widths[cell.batch_size] for cell in cells],
            marker={
                "color": color or "rgba(128,134,142,0.12)",
                "line": {"width": 0},
                "pattern": {
                    "fillmode": "overlay",
                    "shape": shapes,
                    "size": 6,
                    "solidity": 0.25,
                    "fgcolor": NEUTRAL if color is None else HALO,
                },
            },
            name=name,
            text=[_hover(cell) for cell in cells],
            textposition="none",
            hoverinfo="text",
        )
    ]


def _hover(cell: LearningRateCell) -> str:
    found = "all seeds diverged" if cell.excess is None else f"loss {cell.excess:.3g} above the lowest"
    text = f"batch size {cell.batch_size}, learning rate {cell.learning_rate:.3g}<br>{found}"
    return f"{text}<br>{cell.n_seeds} seeds, {cell.n_diverged} diverged"


def optimum_traces(optima: Sequence[LearningRateOptimum]) -> list[Any]:
    """Return the fitted optimum as a line with bars, over a wider white one that sets it off; nothing without one."""
    if not optima:
        return []
    x = [math.log2(point.batch_size) for point in optima]
    y = [math.log2(point.learning_rate) for point in optima]
    above = [math.log2((point.high or point.learning_rate) / point.learning_rate) for point in optima]
    below = [math.log2(point.learning_rate / (point.low or point.learning_rate)) for point in optima]
    texts = [f"batch size {point.batch_size}: optimum {point.learning_rate:.3g}" for point in optima]
    return [
        go.Scatter(
            x=x,
            y=y,
            mode="lines+markers",
            line={"color": color, "width": width},
            marker={"color": color, "size": 6 + width},
            error_y={
                "array": above,
                "arrayminus": below,
                "symmetric": False,
                "color": color,
                "thickness": width,
                "width": 5,
            },
            name="fitted optimum",
            showlegend=color == OPTIMUM,
            text=texts,
            hoverinfo="text" if color == OPTIMUM else "skip",
        )
        for color, width in ((HALO, 5.0), (OPTIMUM, 2.0))
    ]
