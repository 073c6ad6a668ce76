"""What a target takes, drawn: steps by batch size, and time against examples."""

import math
from typing import Any

import plotly.graph_objects as go

from batchlab.views.figure_data import StepsToTarget, TimeAndExamples
from batchlab.views.figures.layout import axis, batch_size_axis, log_ticks, new_figure, value_axis
from batchlab.views.palette import BAND, NEUTRAL, PLACE_MARKS
from batchlab.views.wording import format_seconds

POINT = PLACE_MARKS["ties"].color
CURVE = PLACE_MARKS["best"].color
ALARM = PLACE_MARKS["failed"].color
RUN_MARKERS = {
    "one seed": {"symbol": "circle-open", "size": 6, "color": POINT},
    "out of budget": {"symbol": "triangle-up-open", "size": 9, "color": ALARM},
    "levels off": {"symbol": "x-thin", "size": 8, "color": ALARM, "line": {"color": ALARM, "width": 1.5}},
}
# How far apart, in log2 of the batch size, the means and the single runs stand, so that neither hides the other.
BESIDE = 0.13
# A region narrower than this factor has no room for its name.
LEAST_NAMED = 1.8


def draw_steps_to_target(data: StepsToTarget) -> go.Figure:
    """Return steps over batch size on log scales: the runs, their means, the fitted curve with its band and regions."""
    y_axis = value_axis(data.label, _steps_extent(data), unit="", log_scale=True)
    traces = [*_curve(data), *_runs(data), _means(data)]
    figure = new_figure(data.title, traces, x_axis=batch_size_axis(data.batch_sizes), y_axis=y_axis, height=460)
    for name, low, high in data.regions:
        if high < data.batch_sizes[-1]:
            figure.add_vline(x=math.log2(high), line={"color": NEUTRAL, "width": 1, "dash": "dash"})
        if high / low >= LEAST_NAMED:
            note = {"text": name.replace(" ", "<br>"), "showarrow": False, "yref": "paper", "yanchor": "top"}
            place = (math.log2(low) + math.log2(high)) / 2
            figure.add_annotation(x=place, y=1, **note, font={"color": NEUTRAL, "size": 11})
    if data.critical is not None:
        _mark_critical(figure, math.log2(data.critical))
    return figure


def draw_time_and_examples(data: TimeAndExamples) -> go.Figure:
    """Return time over examples to the target on log scales, a point a batch size, those not beaten joined."""
    seconds = [
        value for point in data.points for value in (point.seconds, point.seconds_low, point.seconds_high) if value
    ]
    y_axis = value_axis("Time to the target", seconds, unit="", log_scale=True)
    y_axis["ticktext"] = [format_seconds(value) for value in y_axis["tickvals"]]
    examples = [point.examples for point in data.points]
    low, high = min(examples) / 1.25, max(examples) * 1.25
    limits = [math.log10(low), math.log10(high)]
    x_axis = axis(
        "Examples to the target", type="log", range=limits, showgrid=False, showline=True, **log_ticks(low, high)
    )
    traces = [_front(data), *(_costs(data, thrifty) for thrifty in (True, False)), *_fastest(data)]
    figure = new_figure(data.title, [one for one in traces if one.x], x_axis=x_axis, y_axis=y_axis)
    for point in data.points:
        is_fastest = point.batch_size == data.fastest
        place = {"x": math.log10(point.examples), "y": math.log10(point.seconds), "xanchor": "left"}
        text = f"<b>{point.batch_size}</b>" if is_fastest else str(point.batch_size)
        font = {"color": POINT if point.thrifty else NEUTRAL}
        figure.add_annotation(text=text, showarrow=False, xshift=14 if is_fastest else 7, yshift=10, font=font, **place)
    return figure


def _mark_critical(figure: go.Figure, place: float) -> None:
    """Draw the critical batch size as a dotted line that ends below the names of the regions."""
    line = {"color": CURVE, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=0.86, yref="paper", line=line)
    note = {"text": "critical", "showarrow": False, "yref": "paper", "yanchor": "bottom", "textangle": -90}
    figure.add_annotation(x=place, y=0.02, xanchor="right", **note, font={"color": CURVE, "size": 11})


def _steps_extent(data: StepsToTarget) -> list[float]:
    found = [value for point in data.points for value in (point.steps, point.low, point.high) if value is not None]
    found += [run.steps for run in data.runs] + [point.steps for point in data.curve]
    positive = [value for value in found if 0 < value < math.inf]
    # Room for the names of the regions.
    return [*positive, max(positive) * (max(positive) / min(positive)) ** 0.12] if data.regions else positive


def _curve(data: StepsToTarget) -> list[Any]:
    if not data.curve:
        return []
    known = [(math.log2(point.batch_size), point) for point in data.curve if point.low is not None]
    band = go.Scatter(
        x=[x for x, _ in known] + [x for x, _ in reversed(known)],
        y=[point.low for _, point in known] + [point.high for _, point in reversed(known)],
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )
    line = go.Scatter(
        x=[math.log2(point.batch_size) for point in data.curve],
        y=[point.steps for point in data.curve],
        mode="lines",
        line={"color": CURVE, "width": 2.5},
        name="fitted curve",
        text=[f"batch size {point.batch_size:.0f}: {point.steps:,.3g} steps by the curve" for point in data.curve],
        hoverinfo="text",
    )
    return [band, line] if known else [line]


def _runs(data: StepsToTarget) -> list[Any]:
    return [
        go.Scatter(
            x=[math.log2(run.batch_size) + BESIDE for run in runs],
            y=[run.steps for run in runs],
            mode="markers",
            name=kind,
            marker=marker,
            text=[f"batch size {run.batch_size}: {run.steps:,.4g} steps, {kind}" for run in runs],
            hoverinfo="text",
        )
        for kind, marker in RUN_MARKERS.items()
        if (runs := [run for run in data.runs if run.kind == kind and run.steps > 0])
    ]


def _means(data: StepsToTarget) -> Any:
    points = data.points
    return go.Scatter(
        x=[math.log2(point.batch_size) for point in points],
        y=[point.steps for point in points],
        error_y={
            "array": [0.0 if point.high is None else point.high - point.steps for point in points],
            "arrayminus": [0.0 if point.low is None else point.steps - point.low for point in points],
            "symmetric": False,
            "color": POINT,
            "thickness": 1.6,
            "width": 4,
        },
        mode="markers",
        name="mean",
        marker={"symbol": "circle", "size": 10, "color": POINT},
        text=[
            f"batch size {point.batch_size}: {point.steps:,.4g} steps<br>{point.n_reached} of {point.n_seeds} seeds"
            for point in points
        ],
        hoverinfo="text",
    )


def _front(data: TimeAndExamples) -> Any:
    front = sorted((point.examples, point.seconds) for point in data.points if point.thrifty)
    return go.Scatter(
        x=[examples for examples, _ in front],
        y=[seconds for _, seconds in front],
        mode="lines",
        line={"color": POINT, "width": 1.5, "dash": "dot"},
        showlegend=False,
        hoverinfo="skip",
    )


def _costs(data: TimeAndExamples, thrifty: bool) -> Any:
    points = [point for point in data.points if point.thrifty == thrifty]
    color = POINT if thrifty else NEUTRAL
    return go.Scatter(
        x=[point.examples for point in points],
        y=[point.seconds for point in points],
        error_y={
            "array": [0.0 if point.seconds_high is None else point.seconds_high - point.seconds for point in points],
            "arrayminus": [0.0 if point.seconds_low is None else point.seconds - point.seconds_low for point in points],
            "symmetric": False,
            "color": color,
            "thickness": 1.4,
            "width": 4,
        },
        mode="markers",
        name="not beaten in both" if thrifty else "beaten in both",
        marker={
            "symbol": "circle" if thrifty else "triangle-down-open",
            "size": 10,
            "color": color,
            "line": {"color": color, "width": 2},
        },
        text=[
            f"batch size {point.batch_size}: {format_seconds(point.seconds)}, {point.examples:,.4g} examples"
            for point in points
        ],
        hoverinfo="text",
    )


def _fastest(data: TimeAndExamples) -> list[Any]:
    """Return a ring around the fastest batch size."""
    return [
        go.Scatter(
            x=[point.examples],
            y=[point.seconds],
            mode="markers",
            name="fastest",
            marker={"symbol": "circle-open", "size": 26, "color": NEUTRAL, "line": {"color": NEUTRAL, "width": 2}},
            hoverinfo="skip",
        )
        for point in data.points
        if point.batch_size == data.fastest
    ]
