"""Training curves, drawn."""

import math
from typing import Any

import plotly.graph_objects as go

from batchlab.views.figure_data import CurveLine, Curves
from batchlab.views.figures.layout import axis, log_ticks, new_figure, value_axis
from batchlab.views.palette import batch_size_colors

HEIGHT = 420
LABEL_HEIGHT = 0.05
LABEL_WIDTH = 0.17


def draw_curves(data: Curves) -> go.Figure:
    """Return the curves, each labeled at its end with its batch size, from blue (small) to orange (large)."""
    lines = sorted(data.lines, key=lambda line: line.batch_size)
    colors = batch_size_colors(len(lines))
    values = [value for line in lines for value in line.mean if value is not None]
    y_axis = value_axis(data.y_label, values, unit=data.unit, log_scale=data.log_y)
    traces = [_band(line, color, data.log_y) for line, color in zip(lines, colors, strict=True) if line.highlighted]
    traces += [_line(line, color, data.unit) for line, color in zip(lines, colors, strict=True)]
    figure = new_figure(data.title, traces, x_axis=_x_axis(data), y_axis=y_axis, height=HEIGHT)
    limits = figure.layout.xaxis.range, y_axis["range"]
    ends = [_end(line, data) for line in lines]
    shares = [((x - limits[0][0]) / (limits[0][1] - limits[0][0]), y) for x, y in ends]
    heights = _label_heights(shares, limits[1], LABEL_HEIGHT * (limits[1][1] - limits[1][0]))
    for line, color, (x, _), height in zip(lines, colors, ends, heights, strict=True):
        text = f"<b>{line.batch_size}</b>" if line.highlighted else str(line.batch_size)
        label = {"text": text, "showarrow": False, "xanchor": "left", "xshift": 6, "font": {"color": color, "size": 13}}
        figure.add_annotation(x=x, y=height, **label)
    longest = max(len(str(line.batch_size)) for line in lines)
    return figure.update_layout(showlegend=False, margin_t=figure.layout.margin.t - 44, margin_r=20 + 9 * longest)


def _x_axis(data: Curves) -> dict[str, Any]:
    low = min(line.x[0] for line in data.lines)
    high = max(line.x[-1] for line in data.lines)
    if not data.log_x:
        return axis(data.x_label, range=[0, high * 1.01], showgrid=False, showline=True, nticks=6, tickformat=",")
    limits = [math.log10(low) - 0.02, math.log10(high) + 0.02]
    return axis(data.x_label, type="log", range=limits, showgrid=False, showline=True, **log_ticks(low, high))


def _line(line: CurveLine, color: str, unit: str) -> Any:
    return go.Scatter(
        x=line.x,
        y=line.mean,
        mode="lines+markers",
        line={"color": color, "width": 3.5 if line.highlighted else 1.8},
        marker={"size": 4},
        name=str(line.batch_size),
        hovertemplate=f"batch size {line.batch_size}: %{{y:.4g}}{unit} at %{{x:,}}<extra></extra>",
    )


def _band(line: CurveLine, color: str, log_scale: bool) -> Any:
    """Return the interval of one curve as a closed area; where its lower limit cannot be drawn, to half the mean."""
    known = [
        (x, max(low, mean / 2) if log_scale else low, high)
        for x, mean, low, high in zip(line.x, line.mean, line.low, line.high, strict=True)
        if mean is not None and low is not None and high is not None
    ]
    return go.Scatter(
        x=[x for x, _, _ in known] + [x for x, _, _ in reversed(known)],
        y=[low for _, low, _ in known] + [high for _, _, high in reversed(known)],
        fill="toself",
        fillcolor=f"rgba({', '.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))}, 0.18)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )


def _end(line: CurveLine, data: Curves) -> tuple[float, float]:
    """Return the last point of a curve, in the scales of the axes."""
    x, y = next((x, y) for x, y in zip(reversed(line.x), reversed(line.mean), strict=True) if y is not None)
    return math.log10(x) if data.log_x else float(x), math.log10(y) if data.log_y else y


def _label_heights(ends: list[tuple[float, float]], limits: list[float], gap: float) -> list[float]:
    """Return heights for labels at the ends (share of the width, height) such that no two overlap on a phone.

    Going up, a label is raised above those beside it; then, going down from the upper limit, lowered again.
    """
    order = sorted(range(len(ends)), key=lambda index: ends[index][1])
    heights = [height for _, height in ends]
    for position, index in enumerate(order):
        below = [other for other in order[:position] if abs(ends[other][0] - ends[index][0]) < LABEL_WIDTH]
        heights[index] = max([heights[index], *(heights[other] + gap for other in below)])
    for position, index in reversed(list(enumerate(order))):
        above = [other for other in order[position + 1 :] if abs(ends[other][0] - ends[index][0]) < LABEL_WIDTH]
        heights[index] = min([heights[index], limits[1], *(heights[other] - gap for other in above)])
    return heights
