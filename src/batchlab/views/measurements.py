"""A measurement in a terminal, and as a page of figures."""

import os
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchlab.analyze.gradient_norms import NormTable
from batchlab.analyze.measurements import CheckpointFindings, Claim, MeasurementFindings, say_noise_scale
from batchlab.errors import BatchlabError
from batchlab.numerics.interference import Interference

VERDICT_STYLES = {"holds": "green", "does not hold": "red", "undecided": "yellow"}


def print_measurement(findings: MeasurementFindings, console: Console) -> None:
    """Print what was measured: the answer, how sure, and the tables behind them."""
    console.print(Text(findings.answer, "bold"))
    console.print(Text(findings.confidence))
    console.print()
    console.print(_along_training(findings))
    for checkpoint in findings.checkpoints:
        if checkpoint.norms is not None:
            console.print()
            console.print(
                Text(f"Gradient norms at step {checkpoint.step:,}, {checkpoint.norms.n_draws:,} draws of each size")
            )
            console.print(_norms(checkpoint.norms))
    compared = [checkpoint for checkpoint in findings.checkpoints if checkpoint.interference is not None]
    if compared:
        console.print()
        console.print(Text(f"Gradients of two {findings.unit}s: do they agree?"))
        console.print(_interference(compared))
    if findings.claims:
        console.print()
        console.print(_claims(findings.claims))
    console.print()
    notes = [note for checkpoint in findings.checkpoints for note in checkpoint.notes]
    for note in dict.fromkeys([*notes, *findings.notes]):
        console.print(Text(f"- {note}", "dim"))


def write_measurement(findings: MeasurementFindings, path: str | os.PathLike[str]) -> Path:
    """Write the figures of a measurement as one HTML file that opens without a network, and return its path.

    Raises:
        BatchlabError: the file cannot be written there.
    """
    from batchlab.views.figure_data import measurements as data
    from batchlab.views.figures import measurements as draw

    noise, norms, pairs = (
        data.noise_along_training(findings),
        data.norms_by_batch_size(findings),
        data.interference_by_pairs(findings),
    )
    figures = [(draw.draw_noise_along_training(noise), escape(noise.caption))]
    if norms is not None:
        figures.append((draw.draw_norms_by_batch_size(norms), escape(norms.caption)))
    if pairs is not None:
        figures.append((draw.draw_interference_by_pairs(pairs), escape(pairs.caption)))
    target = Path(path)
    try:
        draw.write_page(figures, target)
    except OSError as error:
        raise BatchlabError(
            f"Figures need a folder that can be written, but writing {target} failed ({error.strerror}); give a path "
            "in another folder."
        ) from error
    return target


def _along_training(findings: MeasurementFindings) -> Table:
    headings = ("Step", "Examples", "Training loss", f"Noise scale, {findings.unit}s", "Blocks")
    bent = any(point.curvature_noise_scale is not None for point in findings.checkpoints)
    table = _table(*headings, *(["Weighted by curvature"] if bent else []))
    for point in findings.checkpoints:
        table.add_row(
            f"{point.step:,}",
            f"{point.examples:,}",
            f"{point.loss:.4g}",
            say_noise_scale(point.noise_scale),
            str(point.noise_scale.n_blocks),
            *([""] if bent and point.curvature_noise_scale is None else []),
            *([] if point.curvature_noise_scale is None else [say_noise_scale(point.curvature_noise_scale)]),
        )
    return table


def _norms(norms: NormTable) -> Table:
    rescaled = f"sd at the mean of {norms.reference_batch_size}"
    table = _table("Batch size", "Mean", "sd", rescaled, "Mean, sum form", "sd, sum form", "Law", "Regime")
    for row in norms.rows:
        numbers = (row.mean, row.sd, row.rescaled_sd, row.sum_mean, row.sum_sd)
        cells = [f"{number:.3g}" for number in numbers]
        table.add_row(str(row.batch_size), *cells, f"{row.law_ratio - 1:+.1%}", row.regime)
    return table


def _interference(checkpoints: list[CheckpointFindings]) -> Table:
    table = _table("Step", "Kind", "Mean cosine", "That agree", "Pairs")
    table.columns[1].justify = "left"
    for checkpoint in checkpoints:
        found = checkpoint.interference
        assert found is not None
        kinds = (("all", found.every), ("same class", found.same_class), ("different classes", found.different_class))
        for kind, pairs in kinds:
            if pairs is not None and pairs.n_pairs:
                table.add_row(f"{checkpoint.step:,}", kind, *_pair_cells(pairs))
    return table


def _pair_cells(pairs: Interference) -> tuple[str, str, str]:
    cosine = f"{pairs.cosine.mean:.3f}"
    if pairs.cosine.low is not None and pairs.cosine.high is not None:
        cosine += f" ({pairs.cosine.low:.3f} to {pairs.cosine.high:.3f})"
    return cosine, f"{(1 + pairs.sign.mean) / 2:.0%}", f"{pairs.n_pairs:,}"


def _claims(claims: tuple[Claim, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Here", no_wrap=True)
    table.add_column("Step", justify="right")
    table.add_column("Claim")
    for claim in claims:
        text = Text(claim.text).append(f"\n{claim.evidence}", "dim")
        table.add_row(Text(claim.verdict, VERDICT_STYLES[claim.verdict]), f"{claim.step:,}", text)
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
