"""The noise scale along training, gradient norms by batch size, and interference, drawn."""

import math
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from batchlab.views.figure_data.measurements import InterferenceByPairs, NoiseAlongTraining, NormsByBatchSize
from batchlab.views.figures.layout import axis, batch_size_axis, log_ticks, new_figure, value_axis
from batchlab.views.palette import NEUTRAL, batch_size_colors

# How far above everything else an interval without an upper end is drawn.
ENDLESS = 4.0
SYMBOLS = ("circle", "diamond", "square", "cross")
# Between the checkpoints at one kind of pair, of the distance to the next kind.
APART = 0.12
CONFIG = {"displayModeBar": False, "responsive": True}


def draw_noise_along_training(data: NoiseAlongTraining) -> go.Figure:
    """Return the noise scale over steps, both logarithmic, with the batch size as a dotted line."""
    values = [number for point in data.points for number in (point.value, point.low or None, point.high)]
    extent = [number for number in [*values, float(data.batch_size)] if number]
    top = ENDLESS * max(extent)
    color = batch_size_colors(1)[0]
    known = [point for point in data.points if point.value is not None]
    low = [max(point.low, min(extent) / ENDLESS) for point in data.points]
    high = [top if point.high is None else point.high for point in data.points]
    bars = _bars([point.step for point in data.points], low, high, color)
    markers = go.Scatter(
        x=[point.step for point in known],
        y=[point.value for point in known],
        mode="lines+markers",
        name="noise scale",
        marker={"color": color, "size": 9},
        line={"color": color, "width": 1},
        text=[f"step {point.step:,}: {point.value:,.3g}" for point in known],
        hoverinfo="text",
    )
    steps = [point.step for point in data.points] or [1]
    limits = [math.log10(min(steps) / 1.3), math.log10(max(steps) * 1.3)]
    x_axis = axis("Optimizer steps", type="log", range=limits, **log_ticks(min(steps) / 1.3, max(steps) * 1.3))
    y_axis = value_axis("Noise scale, examples", extent, unit="", log_scale=True)
    trained = go.Scatter(
        x=[min(steps) / 2, max(steps) * 2],
        y=[data.batch_size] * 2,
        mode="lines",
        name=f"batch size trained with, {data.batch_size}",
        line={"color": NEUTRAL, "dash": "dot"},
        hoverinfo="name",
    )
    return new_figure(data.title, [bars, markers, trained], x_axis=x_axis, y_axis=y_axis)


def draw_norms_by_batch_size(data: NormsByBatchSize) -> go.Figure:
    """Return norms with their quantiles over batch size, one color and symbol a checkpoint."""
    colors = batch_size_colors(max(2, len(data.curves)))
    traces = []
    for index, curve in enumerate(data.curves):
        places = [math.log2(size) for size in curve.batch_sizes]
        marker = {"color": colors[index], "size": 9, "symbol": SYMBOLS[index % len(SYMBOLS)]}
        name, line = curve.label, {"color": colors[index], "dash": "dash", "width": 1}
        traces += [
            go.Scatter(x=places, y=curve.root_mean_square, mode="markers", name=name, marker=marker),
            go.Scatter(x=places, y=curve.law, mode="lines", name=f"{name}, law", line=line),
            _bars(places, curve.low, curve.high, colors[index]),
        ]
    values = [
        value for curve in data.curves for value in (*curve.low, *curve.root_mean_square, *curve.high) if value > 0
    ]
    lowest = max(min(values), 1e-4 * max(values))
    y_axis = value_axis("Gradient norm, mean loss", [lowest, max(values)], unit="", log_scale=True)
    sizes = sorted({size for curve in data.curves for size in curve.batch_sizes})
    return new_figure(data.title, traces, x_axis=batch_size_axis(sizes), y_axis=y_axis)


def draw_interference_by_pairs(data: InterferenceByPairs) -> go.Figure:
    """Return the mean cosine by kind of pair, one color and symbol a checkpoint, with 0 as a line."""
    colors = batch_size_colors(max(2, len(data.checkpoints)))
    kinds = list(dict.fromkeys(kind for point in data.checkpoints for kind in point.kinds))
    traces, values = [], [0.0]
    for index, point in enumerate(data.checkpoints):
        shift = APART * (index - (len(data.checkpoints) - 1) / 2)
        places = [kinds.index(kind) + shift for kind in point.kinds]
        ends = [
            (mean, mean) if low is None or high is None else (low, high)
            for mean, low, high in zip(point.cosines, point.low, point.high, strict=True)
        ]
        marker = {"color": colors[index], "size": 9, "symbol": SYMBOLS[index % len(SYMBOLS)]}
        traces += [
            go.Scatter(x=places, y=point.cosines, mode="markers", name=point.label, marker=marker),
            _bars(places, [low for low, _ in ends], [high for _, high in ends], colors[index]),
        ]
        values += [end for pair in ends for end in pair]
    x_axis = axis("", tickvals=list(range(len(kinds))), ticktext=kinds, range=[-0.6, len(kinds) - 0.4], showgrid=False)
    y_axis = value_axis("Mean cosine of two gradients", values, unit="", log_scale=False)
    figure = new_figure(data.title, traces, x_axis=x_axis, y_axis=y_axis)
    figure.add_hline(y=0, line={"color": NEUTRAL, "dash": "dot", "width": 1})
    return figure


def _bars(x: Sequence[float], low: Sequence[float], high: Sequence[float], color: str) -> go.Scatter:
    """Return vertical lines from low to high, as one trace with gaps."""
    places = [place for at in x for place in (at, at, None)]
    heights = [height for ends in zip(low, high, strict=True) for height in (*ends, None)]
    line = {"color": color, "width": 2}
    return go.Scatter(x=places, y=heights, mode="lines", line=line, showlegend=False, hoverinfo="skip")


def write_page(figures: list[tuple[go.Figure, str]], path: Path, *, head: str = "", tail: str = "") -> None:
    """Write figures with their captions as one HTML file that opens without a network, between two pieces of HTML."""
    parts = [
        f"{figure.to_html(full_html=False, include_plotlyjs=index == 0, config=CONFIG)}\n<p>{caption}</p>"
        for index, (figure, caption) in enumerate(figures)
    ]
    page = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>batchlab</title></head>\n'
    page += '<body style="max-width: 60rem; margin: auto; font-family: system-ui, sans-serif">\n'
    path.write_text(page + "\n".join((head, *parts, tail)) + "\n</body></html>\n", encoding="utf-8")
