"""A study as one HTML file that opens anywhere, without a network."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from batchlab.analyze.findings import StudyFindings
from batchlab.errors import BatchlabError, UsageError
from batchlab.records import StudyRecord
from batchlab.views import figure_data, figures
from batchlab.views.control_tables import control_parts
from batchlab.views.repeat import is_repeatable, repeat_parts
from batchlab.views.report_tables import batch_size_table, current_table, settings_table, trials_table
from batchlab.views.wording import (
    BUDGET_NAMES,
    format_seconds,
    interval_words,
    judged_margin,
    race_note,
    seeds_words,
    sentence_case,
    verdict_words,
)


def write_report(findings: StudyFindings, record: StudyRecord, path: str | os.PathLike[str]) -> Path:
    """Write the report of a study as one HTML file and return its path; a file of that name is replaced whole.

    Args:
        findings: What the analysis says.
        record: The study behind it, for the table of trials and the settings.
        path: The file to write, in a folder that exists.

    Raises:
        UsageError: The path is a folder, or in a folder that does not exist.
        BatchlabError: The file cannot be written there.
    """
    target = Path(path)
    if target.is_dir():
        advice = target / "report.html"
        raise UsageError(f"A report needs the path of a file, but {target} is a folder; give, say, {advice}.")
    if not target.parent.is_dir():
        raise UsageError(
            f"A report needs a folder that exists, but there is no {target.parent}; create it or give another path."
        )
    page = render_report(findings, record)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        _remove(part)
        raise BatchlabError(
            f"A report needs a folder that can be written, but writing {target} failed ({error.strerror}); "
            "give a path in another folder."
        ) from error
    return target


def render_report(findings: StudyFindings, record: StudyRecord) -> str:
    """Return the report as HTML: text escaped, styles and the drawing library inside, nothing loaded from outside."""
    environment = Environment(
        loader=PackageLoader("batchlab.views"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["capitalize_first"] = sentence_case
    settings = settings_table(findings, record)
    return environment.get_template("report.html.j2").render(
        findings=findings,
        record=record,
        answer=findings.answer,
        recommended=_recommended_lines(findings),
        drawings=_drawings(findings),
        batch_sizes=batch_size_table(findings),
        budgets=[(words, verdict_words(findings.under_other_budgets.get(key))) for key, words in BUDGET_NAMES.items()],
        current=current_table(findings),
        controls=control_parts(findings),
        trials=trials_table(findings, record),
        settings=settings,
        settings_by_name=dict(settings),
        command=repeat_parts(record),
        is_repeatable=is_repeatable(record),
        seeds=seeds_words(findings),
        interval=interval_words(findings),
        has_intervals=any(row.valid_metric.low is not None for row in findings.batch_sizes),
        level=f"{100 * findings.level:g}",
        margin=judged_margin(findings),
        race_note=None if findings.race is None else race_note(findings.race),
        n_trials=findings.trials.done + findings.trials.stopped,
        duration=format_seconds(findings.seconds),
        plotly=Markup(get_plotlyjs()),
    )


def _drawings(findings: StudyFindings) -> dict[str, dict[str, Any] | None]:
    """Return every figure by name: title, caption and drawing; None where there is nothing to draw."""
    is_race = findings.race is not None
    by_size = figure_data.metric_by_batch_size(findings) if findings.batch_sizes and not is_race else None
    return {
        "metric": _drawing(by_size, figures.draw_metric_by_batch_size),
        "rates": _drawing(figure_data.learning_rate_map(findings), figures.draw_learning_rate_map),
        "scouting": _drawing(figure_data.scouting_map(findings), figures.draw_scouting_map),
        "search": _drawing(figure_data.expected_best(findings), figures.draw_curves),
        "examples": _drawing(figure_data.curves(findings), figures.draw_curves),
        "steps": _drawing(figure_data.curves(findings, "steps"), figures.draw_curves),
        "target": _drawing(figure_data.steps_to_target(findings), figures.draw_steps_to_target),
        "costs": _drawing(figure_data.time_and_examples(findings), figures.draw_time_and_examples),
        "budgets": None
        if is_race
        else _drawing(figure_data.budget_comparison(findings), figures.draw_budget_comparison),
    }


def _drawing(data: Any, draw: Callable[[Any], go.Figure]) -> dict[str, Any] | None:
    """Return a figure for the page, which sets title and caption itself so that they wrap and can be read aloud."""
    if data is None:
        return None
    figure = draw(data)
    top = 40 if figure.layout.showlegend is not False else 12
    figure.update_layout(title=None, margin_t=top, height=figure.layout.height - (figure.layout.margin.t - top))
    return {
        "title": data.title,
        "caption": data.caption,
        "height": figure.layout.height,
        "json": Markup(_script_safe(figure.to_json())),
    }


def _script_safe(text: str) -> str:
    """Return JSON that cannot end the script element it stands in."""
    assert json.loads(text) is not None
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _recommended_lines(findings: StudyFindings) -> tuple[str, ...]:
    """Return the recommended setting as lines of Python to copy."""
    recommended = findings.answer.recommended
    if recommended is None:
        return ()
    rows = [row for row in findings.batch_sizes if row.batch_size == recommended.batch_size]
    lines = [f"batch_size = {recommended.batch_size}", f"learning_rate = {recommended.learning_rate:.4g}"]
    for row in rows:
        lines += [
            f"micro_batch_size = {row.micro_batch_size}",
            f"gradient_accumulation_steps = {row.gradient_accumulation_steps}",
            f"n_steps = {row.n_steps}",
        ]
    lines.append(f'optimizer = "{findings.optimizer}"')
    lines += [f"{key} = {value!r}" for key, value in findings.optimizer_settings if key != "lr"]
    return tuple(lines)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
