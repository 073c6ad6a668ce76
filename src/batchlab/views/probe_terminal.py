"""A probe in a terminal: the answer first, then how sure, then what it comes from."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchlab.analyze.probe_findings import ProbeFindings, say_rate
from batchlab.analyze.wording import say_seconds
from batchlab.views.probe_snippets import snippets

MISSING = "–"
MIB = 2**20


def print_probe(findings: ProbeFindings, console: Console) -> None:
    """Print what a probe found."""
    console.print(Text(findings.answer, "bold"))
    console.print(Text(findings.confidence))
    if findings.current is not None:
        console.print(Text(findings.current.sentence))
    if findings.price is not None:
        console.print(Text(f"At the price given, the way there costs {findings.price:.3g}."))
    console.print()
    console.print(_sizes(findings))
    predicted = findings.recommendation.predicted
    if predicted is not None:
        joules = "" if predicted.joules is None else f" With the recommended setting {predicted.joules:,.0f} J."
        console.print(Text(f"Steps and time {predicted.basis}.{joules}", "dim"))
    console.print()
    for reason in findings.recommendation.reasons:
        console.print(Text(f"- {reason.text} ({reason.kind})"))
    console.print(Text(f"- {_noise(findings)} (measured)"))
    for note in findings.notes:
        console.print(Text(f"- {note}", "dim"))
    for framework, lines in snippets(findings).items():
        console.print()
        console.print(Text(framework, "bold"))
        console.print(Text(lines), soft_wrap=True)
    console.print()
    console.print(Text(f"{say_seconds(findings.seconds)}, {findings.examples:,} examples", "dim"))


def _sizes(findings: ProbeFindings) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Batch size", "Learning rate", "Step", "Examples/s", "Memory", "Steps", "Time", "Relative cost"):
        table.add_column(heading, justify="right")
    for row in findings.speed:
        mark = "> " if row.batch_size == findings.recommendation.batch_size else ""
        parts = row.gradient_accumulation_steps
        size = f"{mark}{row.batch_size}" if parts == 1 else f"{mark}{row.batch_size} = {parts} x {row.micro_batch_size}"
        steps = row.predicted_steps
        table.add_row(
            size,
            say_rate(row.learning_rate),
            say_seconds(row.step_time_s),
            f"{row.examples_per_s:,.0f}",
            MISSING if row.peak_memory_bytes is None else f"{row.peak_memory_bytes / MIB:,.0f} MiB",
            MISSING if steps is None else f"{steps:,}",
            MISSING if steps is None else say_seconds(steps * row.step_time_s),
            f"{row.relative_cost:.2f} ({row.relative_cost_low:.2f}–{row.relative_cost_high:.2f})",
            style="bold" if mark else "",
        )
    return table


def _noise(findings: ProbeFindings) -> str:
    noise = findings.noise_scale
    if noise.low is None and noise.value is None:
        return "The noise scale of gradients was not measured, or could not be told."
    high = "no upper limit" if noise.high is None else f"{noise.high:,.0f}"
    value = "unresolved" if noise.value is None else f"{noise.value:,.0f}"
    low = 0 if noise.low is None else noise.low
    return (
        f"The noise scale after {noise.at_examples:,} examples: {value} ({low:,.0f} to {high}); it grows in training."
    )
