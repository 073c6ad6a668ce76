"""The comparison under each budget, drawn."""

import math

import plotly.graph_objects as go

from batchlab.views.figure_data import BudgetComparison
from batchlab.views.figures.layout import axis, batch_size_axis, new_figure, place_marker
from batchlab.views.palette import NEUTRAL, PLACE_MARKS


def draw_budget_comparison(data: BudgetComparison) -> go.Figure:
    """Return one row a budget and one symbol a batch size: who is best, ties, is undecided or worse."""
    cells = [(index, size, place) for index, row in enumerate(data.rows) for size, place in row.places]
    traces = [
        go.Scatter(
            x=[math.log2(size) for _, size, found in cells if found == place],
            y=[index for index, _, found in cells if found == place],
            mode="markers",
            name=place,
            marker=place_marker(place, size=12),
            text=[
                f"{data.rows[index].name}, batch size {size}: {place}" for index, size, found in cells if found == place
            ],
            hoverinfo="text",
            cliponaxis=False,
        )
        for place in PLACE_MARKS
        if any(found == place for _, _, found in cells)
    ]
    count = len(data.rows)
    names = [row.name.replace(" ", "<br>", 1) for row in data.rows]
    y_axis = axis("", tickvals=list(range(count)), ticktext=names, range=[count - 0.5, -0.5])
    x_axis = batch_size_axis(data.batch_sizes)
    figure = new_figure(data.title, traces, x_axis=x_axis, y_axis=y_axis, height=130 + 52 * count)
    for index, row in enumerate(data.rows):
        if not row.places:
            note = {"text": "cannot be given; see the notes", "showarrow": False, "font": {"color": NEUTRAL}}
            figure.add_annotation(x=0.5, xref="paper", y=index, **note)
    return figure
