"""From Python: probe a workload for the batch size to train with, in minutes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchlab.analyze.probe_findings import ProbeFindings, ProbeMemory, ProbeNoise, ProbeRecommendation, ProbeRow
from batchlab.errors import UsageError
from batchlab.records import LIVE_PREFIX, Budget

if TYPE_CHECKING:
    import plotly.graph_objects

    from batchlab.workload import Workload

BUDGETS = ("epochs", "examples", "steps")


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe that was made, with what it found."""

    findings: ProbeFindings

    @property
    def recommendation(self) -> ProbeRecommendation:
        """Return what to train with, and why."""
        return self.findings.recommendation

    @property
    def memory(self) -> ProbeMemory:
        """Return the largest batch size that fits."""
        return self.findings.max_batch_size

    @property
    def speed(self) -> tuple[ProbeRow, ...]:
        """Return one row a batch size: what a step takes, and what the whole way is expected to."""
        return self.findings.speed

    @property
    def noise(self) -> ProbeNoise:
        """Return the noise scale of gradients."""
        return self.findings.noise_scale

    @property
    def snippets(self) -> dict[str, str]:
        """Return lines to paste, by framework."""
        from batchlab.views.probe_snippets import snippets

        return snippets(self.findings)

    def plot(self) -> "plotly.graph_objects.Figure":
        """Return the figure of the expected cost by batch size."""
        from batchlab.views.figures.probe import draw_cost_by_batch_size

        return draw_cost_by_batch_size(self.findings)

    def report(self, path: str | os.PathLike[str] = "batchlab-probe.html") -> Path:
        """Write the page, one self-contained HTML file, and return its path."""
        from batchlab.views.figures.probe import write_probe

        return write_probe(self.findings, Path(path))


def probe(
    workload: "str | Workload",
    objective: str = "time",
    current: Any = None,
    *,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Probe:
    """Return which batch size and learning rate to train with, from short runs on this machine.

    Args:
        workload: a built-in name, `file.py:attribute`, `package.module:attribute`, or a `Workload`.
        objective: time (the shortest training), examples (the least computation) or energy, where it can be counted.
        current: today's setting, "64@1e-3" or (64, 1e-3): what it loses is said.
        progress: told in words how it gets on.
        options: one of `epochs`, `examples`, `steps`, the length of the training to come; `target`, the validation
            metric that it is to reach; `seed`, `device`, `data_dir`, `max_minutes`, `price_per_hour`.

    Raises:
        UsageError: an option is wrong; nothing was run.
        WorkloadError: the workload or its data cannot be used.
    """
    from batchlab.studies.probe_options import ProbeOptions
    from batchlab.studies.probing import probe_workload
    from batchlab.workloads.loading import load_workload

    given = {kind: options.pop(kind) for kind in BUDGETS if options.get(kind) is not None}
    if len(given) > 1:
        raise UsageError(f"A probe has one of epochs, examples and steps, got {' and '.join(given)}; keep one of them.")
    budget = next((Budget(kind, float(value)) for kind, value in given.items()), None)
    try:
        asked = ProbeOptions(objective=objective, current=current, budget=budget, **options)
    except TypeError as error:
        raise UsageError(f"`probe` takes the options its help lists, got another ({error}); leave it out.") from None
    if isinstance(workload, str):
        loaded, reference = load_workload(workload, data_dir=asked.data_dir), workload
    else:
        loaded, reference = workload, LIVE_PREFIX + workload.name
    return Probe(probe_workload(loaded, reference, asked, progress or (lambda _: None)))
