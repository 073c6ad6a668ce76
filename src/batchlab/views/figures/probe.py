"""The cost that a probe expects by batch size, drawn, and its page."""

import math
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from batchlab.analyze.probe_findings import ProbeFindings, say_rate
from batchlab.analyze.wording import say_seconds
from batchlab.errors import BatchlabError
from batchlab.views.figures.layout import batch_size_axis, new_figure, place_marker, value_axis
from batchlab.views.figures.measurements import write_page
from batchlab.views.palette import NEUTRAL
from batchlab.views.probe_snippets import snippets

CAPTION = (
    "Bars: the central 95 % of the draws of the fitted model. Star: recommended; dot: at most 5 % dearer than it; "
    "triangle: dearer."
)
STYLE = "table {border-collapse: collapse} th, td {text-align: right; padding: .2rem .8rem} pre {overflow-x: auto}"


def draw_cost_by_batch_size(findings: ProbeFindings) -> go.Figure:
    """Return the expected cost over that of the recommended setting, with the central 95 % of the draws."""
    advice, rows = findings.recommendation, findings.speed
    traces = []
    for row in rows:
        size = row.batch_size
        place = "best" if size == advice.batch_size else "ties" if size in advice.tied_batch_sizes else "worse"
        at = math.log2(size)
        span = [row.relative_cost_low, row.relative_cost_high]
        line = {"color": NEUTRAL, "width": 2}
        traces += [
            go.Scatter(x=[at, at], y=span, mode="lines", line=line, showlegend=False, hoverinfo="skip"),
            go.Scatter(
                x=[at],
                y=[row.relative_cost],
                mode="markers",
                marker=place_marker(place),
                showlegend=False,
                text=f"{size}: {row.relative_cost:.2f}",
                hoverinfo="text",
            ),
        ]
    values = [value for row in rows for value in (row.relative_cost_low, row.relative_cost_high)]
    y_axis = value_axis(
        f"{advice.objective.capitalize()} to the target, recommended = 1", values, unit="", log_scale=True
    )
    sizes = [row.batch_size for row in rows]
    title = f"Expected {advice.objective} by batch size, each at its own learning rate"
    return new_figure(title, traces, x_axis=batch_size_axis(sizes), y_axis=y_axis)


def write_probe(findings: ProbeFindings, path: Path) -> Path:
    """Write the figure, the reasons and the lines to paste as one HTML file, and return its path.

    Raises:
        BatchlabError: the file cannot be written there.
    """
    sure = [findings.confidence, findings.current.sentence if findings.current else ""]
    head = f"<h1>{escape(findings.answer)}</h1>" + "".join(f"<p>{escape(one)}</p>" for one in sure if one)
    try:
        write_page([(draw_cost_by_batch_size(findings), CAPTION)], path, head=head, tail=_details(findings))
    except OSError as error:
        raise BatchlabError(
            f"The page needs a folder that can be written, but writing {path} failed ({error.strerror}); give a path "
            "in another folder."
        ) from error
    return path


def _details(findings: ProbeFindings) -> str:
    """Return the table, the reasons, what else to know, and the lines to paste as HTML."""
    heads = ("Batch size", "Learning rate", "Step", "Examples/s", "Steps", "Relative cost")
    rows = [
        (
            str(row.batch_size),
            say_rate(row.learning_rate),
            say_seconds(row.step_time_s),
            f"{row.examples_per_s:,.0f}",
            "" if row.predicted_steps is None else f"{row.predicted_steps:,}",
            f"{row.relative_cost:.2f} ({row.relative_cost_low:.2f} to {row.relative_cost_high:.2f})",
        )
        for row in findings.speed
    ]
    cells = [f"<tr>{''.join(f'<th>{one}</th>' for one in heads)}</tr>"]
    cells += [f"<tr>{''.join(f'<td>{one}</td>' for one in row)}</tr>" for row in rows]
    reasons = [f"{one.text} ({one.kind})" for one in findings.recommendation.reasons]
    items = "".join(f"<li>{escape(one)}</li>" for one in (*reasons, *findings.notes))
    lines = "".join(f"<h3>{name}</h3><pre>{escape(text)}</pre>" for name, text in snippets(findings).items())
    return f"<style>{STYLE}</style><table>{''.join(cells)}</table><ul>{items}</ul>{lines}"
