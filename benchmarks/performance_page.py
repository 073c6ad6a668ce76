"""Write docs/performance.md and its chart from the newest evidence: no figure on the page comes from anywhere else.

python benchmarks/performance_page.py
"""

from collections.abc import Callable
from pathlib import Path

from batchlab.views.palette import batch_size_colors
from engine_cases import TITLES
from engine_processes import CONTESTANTS
from evidence_page import DOCS, EVIDENCE, ROOT, Record, newest, section, table
from svg_chart import Line, share_chart

PAGE, CHART = DOCS / "performance.md", DOCS / "performance-roofline.svg"

HEAD = """# How fast it is

Written by `python benchmarks/performance_page.py` from the newest files in [`evidence/`](../evidence); `make evidence`
measures everything anew. Each section says when, where and at which commit it was measured. Figures of another machine
will differ; ratios differ less, as both sides of a pair are measured in turn, in one run.
"""

ENGINE = """
SGD with momentum on {images} images, {epochs} epochs with a validation after each. Everybody makes the same steps on
the same images from a fresh network, in warm processes, with logging, checkpoints and progress bars off. A study is
clocked from the first trial that its driver sends to the last one stored, in SQLite on disk. On top of the peers' work
its trials evaluate the untrained network, fit the baseline and look at the training data once at the end. No side's
time contains starting Python, importing, and reading files. Runs are short, so that what a trainer costs at the start
and at every epoch weighs more than in long ones. The benchmark insists that everybody ends with about the same
validation loss. The cells say how many times as many steps a second the study makes: the median of {rounds} rounds, and
their range.
"""

COLUMNS = {
    "alone": "As people run them: peers in one process with torch's default threads, the study with its default of one "
    "process a core (here {n}).",
    "everywhere": "Everybody with one process a core, one thread each.",
}

ROOFLINE = """
A step's operations, counted by torch, over its time and over the best rate of a large float32 matrix product, measured
before and after on the same threads. Small batches of small networks are held up by the cost of starting each
operation; the wide network shows how near a step comes where the products are large.
"""

GROWTH = """
Studies of the digits driven from a fresh process, {steps} steps a trial. *Driver* and *worker* are resident memory,
shared pages included (the largest worker); *together* counts shared pages once.
"""

DRIVER = """
Trials that take no time, with the store in memory and in SQLite on disk, and what that is of the time that as many
trials of the digits take on this machine's cores ({trial_s:.2f} s each, measured in the same run).
"""

LOOP = """
The reference loop against the script that a user would write, whole runs in turn on one thread, batch size
{batch_size}. A ratio below 1 means that the loop is faster.
"""


def page(folder: Path = EVIDENCE) -> str:
    """Return the page."""
    sections: tuple[tuple[str, str, Callable[[Record], str]], ...] = (
        ("Against other ways to train", "engine", engine),
        ("Against a script of your own", "loop-overhead", loop_overhead),
        ("Share of the processor's limit", "roofline", roofline),
        ("As studies grow", "scaling", scaling),
    )
    return HEAD + "".join(section(title, name, newest(name, folder), write) for title, name, write in sections)


def chart(folder: Path = EVIDENCE) -> str | None:
    """Return the chart of shares by batch size, None where there is no evidence."""
    record = newest("roofline", folder)
    if record is None:
        return None
    networks = list(dict.fromkeys(step["network"] for step in record["figures"][0]["steps"]))
    colors = dict(zip(networks, batch_size_colors(len(networks)), strict=True))
    lines = []
    for found in record["figures"]:
        for network in networks:
            points = tuple((one["batch_size"], one["share"]) for one in found["steps"] if one["network"] == network)
            title = f"{network}, {_threads(found['threads'])}"
            lines.append(Line(title, colors[network], points, dashed=found["threads"] > 1))
    return share_chart("FLOP/s of a training step over those of the best matrix product", lines)


def engine(record: Record) -> str:
    """Return the tables of `engine.py`: a ratio for each peer, network and batch size, in both columns."""
    settings, rows = record["settings"], record["figures"]
    versions = ", ".join(f"{name} {version}" for name, version in settings["versions"].items())
    text = ENGINE.format(**settings) + f"\nVersions: {versions}.\n"
    for column, words in COLUMNS.items():
        text += f"\n**{words.format(n=settings['processes'])}**\n"
        for model in dict.fromkeys(row["model"] for row in rows):
            of_model = [row for row in rows if row["model"] == model]
            text += "\n" + _engine_table(TITLES[model], of_model, column)
    return text


def _engine_table(title: str, rows: list[Record], column: str) -> str:
    heads = [f"{title}, batch size", *(str(row["batch_size"]) for row in rows)]
    body = [
        ["steps of one run", *(f"{row['steps']:,}" for row in rows)],
        ["the study, steps/s", *(f"{row['study_steps_per_s']['median']:,.0f}" for row in rows)],
    ]
    for one in CONTESTANTS:
        cells = [row["peers"].get(one.name) for row in rows]
        if any(cells):
            body.append([one.title, *("" if peer is None else _ratio(peer[f"{column}_ratio"]) for peer in cells)])
    return table(heads, body)


def loop_overhead(record: Record) -> str:
    """Return the table of `loop_overhead.py`."""
    body = [
        [
            row["case"],
            f"{row['script_us']:,.0f}",
            f"{row['loop_us']:,.0f}",
            f"{row['ratio']:.3f} ({row['ratio_low']:.3f} to {row['ratio_high']:.3f})",
        ]
        for row in record["figures"]
    ]
    heads = ["", "script, µs a step", "loop, µs a step", "loop over script, median and range"]
    return LOOP.format(**record["settings"]) + "\n" + table(heads, body)


def roofline(record: Record) -> str:
    """Return the tables of `roofline.py`, one for each number of threads, below the chart."""
    text = ROOFLINE + f"\n![Share of the limit by batch size]({CHART.name})\n"
    for found in record["figures"]:
        steps = {(one["network"], one["batch_size"]): one for one in found["steps"]}
        networks, sizes = (list(dict.fromkeys(key[index] for key in steps)) for index in (0, 1))
        body = [[network, *(_share(steps.get((network, size))) for size in sizes)] for network in networks]
        limit = found["limit_flops_per_s"] / 1e9
        text += f"\n**{_threads(found['threads'])}: the limit is {limit:,.0f} GFLOP/s**\n\n"
        text += table(["batch size", *map(str, sizes)], body)
    return text


def scaling(record: Record) -> str:
    """Return the parts of `scaling.py`."""
    figures = record["figures"]
    start, idle = figures["start_s"], figures["idle"]
    names = ("driver_mib", "worker_mib", "all_processes_mib")
    rows = [
        [f"{row['quantity']} {row['value']:,}", f"{row['steps_per_s']:,.0f}", *(f"{row[name]:,.0f}" for name in names)]
        for row in figures["growth"]
    ]
    text = GROWTH.format(**record["settings"]) + "\n"
    text += table(["", "steps/s", "driver, MiB", "worker, MiB", "together, MiB"], rows)
    text += (
        f"\nFrom the command to its first trial: {start['median']:.1f} s ({start['low']:.1f} to {start['high']:.1f})."
    )
    text += f" In a tuned study of {idle['trials']} trials the cores stood idle {idle['idle_share']:.1%} of the time,"
    text += f" {idle['idle_share_at_end']:.1%} at its end, where some wait for the last trials.\n"
    rows = [
        [
            f"{row['trials']:,}",
            f"{row['driver_s']:.2f}",
            f"{row['driver_and_store_s']:.2f}",
            f"{1e3 * row['driver_and_store_s'] / row['trials']:.2f}",
            f"{row['share']:.1%}",
            f"{row['store_mib']:.1f}",
        ]
        for row in figures["driver"]
    ]
    heads = ["trials", "driver, s", "with the store, s", "ms a trial", "share of real trials", "file, MiB"]
    return text + DRIVER.format(**idle) + "\n" + table(heads, rows)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _ratio(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['low']:.2f} to {spread['high']:.2f})"


def _share(step: Record | None) -> str:
    return "" if step is None else f"{step['share']:.1%}"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    drawn = chart()
    if drawn is not None:
        CHART.write_text(drawn, encoding="utf-8")
    print(f"Written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
