"""The metric by batch size, drawn."""

import math
from typing import Any

import plotly.graph_objects as go

from batchlab.views.figure_data import MetricByBatchSize, MetricPoint
from batchlab.views.figures.layout import batch_size_axis, new_figure, place_marker, value_axis
from batchlab.views.palette import BAND, NEUTRAL, PLACE_MARKS


def draw_metric_by_batch_size(data: MetricByBatchSize) -> go.Figure:
    """Return the metric over batch size: means with intervals, a symbol a place, a band of the margin."""
    sizes = sorted([point.batch_size for point in data.points] + [size for size, _ in data.unmeasured])
    y_axis = value_axis(data.label, _extent(data), unit=data.unit, log_scale=data.log_scale)
    places = [place for place in PLACE_MARKS if any(point.place == place for point in data.points)]
    traces = [_points(data, place) for place in places]
    traces += _recommended(data) + _test_dashes(data) + _unmeasured(data, y_axis)
    x_axis = batch_size_axis(sizes)
    traces += _baseline(data, x_axis["range"])
    figure = new_figure(data.title, traces, x_axis=x_axis, y_axis=y_axis)
    if data.band is not None:
        low, high = _clipped(data, data.band[0]), data.band[1]
        figure.add_hrect(y0=low, y1=high, fillcolor=BAND, line_width=0, layer="below")
    return figure


def _extent(data: MetricByBatchSize) -> list[float]:
    """Return the values the vertical axis must hold."""
    found = [value for point in data.points for value in (point.value, point.low, point.high, point.test)]
    found += [*(data.band or ()), data.baseline]
    kept = [_clipped(data, value) for value in found if value is not None]
    return kept or [0.0, 1.0]


def _clipped(data: MetricByBatchSize, value: float) -> float:
    """Return the value, or on a log scale a third of the lowest mean where it is lower than can be drawn."""
    return max(value, min(point.value for point in data.points) / 3) if data.log_scale else value


def _points(data: MetricByBatchSize, place: str) -> go.Scatter:
    points = [point for point in data.points if point.place == place]
    above = [point.value if point.high is None else point.high for point in points]
    below = [point.value if point.low is None else _clipped(data, point.low) for point in points]
    color = PLACE_MARKS[place].color
    bars = {
        "array": [high - point.value for high, point in zip(above, points, strict=True)],
        "arrayminus": [point.value - low for low, point in zip(below, points, strict=True)],
        "symmetric": False,
        "color": color,
        "thickness": 1.6,
        "width": 4,
    }
    return go.Scatter(
        x=[math.log2(point.batch_size) for point in points],
        y=[point.value for point in points],
        error_y=bars,
        mode="markers",
        name=place,
        marker=place_marker(place),
        text=[_hover(point, data.unit) for point in points],
        hoverinfo="text",
    )


def _hover(point: MetricPoint, unit: str) -> str:
    text = f"batch size {point.batch_size}: {point.value:.4g}{unit}, {point.place}"
    if point.low is not None and point.high is not None:
        text += f"<br>interval {point.low:.4g} to {point.high:.4g}{unit}"
    return f"{text}<br>{point.n_seeds} seeds"


def _test_dashes(data: MetricByBatchSize) -> list[Any]:
    points = [point for point in data.points if point.test is not None]
    if not points:
        return []
    return [
        go.Scatter(
            x=[math.log2(point.batch_size) for point in points],
            y=[point.test for point in points],
            mode="markers",
            name="test",
            marker={"symbol": "line-ew", "size": 15, "color": NEUTRAL, "line": {"color": NEUTRAL, "width": 2}},
            text=[f"batch size {point.batch_size}: test {point.test:.4g}{data.unit}" for point in points],
            hoverinfo="text",
        )
    ]


def _recommended(data: MetricByBatchSize) -> list[Any]:
    """Return a ring around the recommended batch size."""
    return [
        go.Scatter(
            x=[math.log2(point.batch_size)],
            y=[point.value],
            mode="markers",
            name="recommended",
            marker={"symbol": "circle-open", "size": 26, "color": NEUTRAL, "line": {"color": NEUTRAL, "width": 2}},
            hoverinfo="skip",
        )
        for point in data.points
        if point.batch_size == data.recommended
    ]


def _unmeasured(data: MetricByBatchSize, y_axis: dict[str, Any]) -> list[Any]:
    """Return the sizes without a mean as crosses at the bad end of the axis."""
    bottom, top = y_axis["range"]
    edge = bottom + 0.04 * (top - bottom) if data.higher_is_better else top - 0.04 * (top - bottom)
    height = 10**edge if data.log_scale else edge
    return [
        go.Scatter(
            x=[math.log2(size) for size, why in data.unmeasured if why == place],
            y=[height for _, why in data.unmeasured if why == place],
            mode="markers",
            name=place,
            cliponaxis=False,
            marker=place_marker(place),
            hoverinfo="name",
        )
        for place in sorted({why for _, why in data.unmeasured})
    ]


def _baseline(data: MetricByBatchSize, limits: list[float]) -> list[Any]:
    """Return the constant guess as a dotted line, where the data name one."""
    if data.baseline is None:
        return []
    line = {"color": NEUTRAL, "dash": "dot", "width": 1.5}
    text = f"constant guess: {data.baseline:.4g}{data.unit}"
    height = [data.baseline, data.baseline]
    return [go.Scatter(x=limits, y=height, mode="lines", line=line, name="constant guess", text=text, hoverinfo="text")]
