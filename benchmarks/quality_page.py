"""Write docs/quality.md, how far its answers can be trusted, from the newest evidence: no figure comes from elsewhere.

python benchmarks/quality_page.py
"""

import statistics
from collections.abc import Callable
from pathlib import Path

from evidence_page import DOCS, EVIDENCE, ROOT, Record, newest, section, table

PAGE = DOCS / "quality.md"

HEAD = """# How far its answers can be trusted

Written by `python benchmarks/quality_page.py` from the newest files in [`evidence/`](../evidence); `make evidence`
measures everything anew. Aims are named, whether they were met or not.
"""

REGRET = """
Exhaustive tables of four workloads say what is best: every batch size and learning rate of a box, with the best cells
run again with fresh seeds. *Regret* is the cost to the target with the setting advised over that with the table's best,
ten fresh seeds on both sides, with a 95 % interval; *cost* is the examples that finding it took, over those of the
table. The rules of thumb take the workload's own learning rate, or the one that the first probe gives for their batch
size. "No target" is a probe that is not told the target by which it is judged.
"""

ANSWER = """
The same tables. A study to the target (`--search model`) beside random search and Optuna's TPE in the table's own box,
which stop when they have spent what the study has. Medians over up to {n} searches a method and workload.
"""

WORLDS = """
{worlds} worlds without training, with known truths: noisy quadratics by their closed form, and responses of another
shape than the search fits, each with its own critical batch size, machine and noise. *Cost* is the examples of a race
to the target over those of an exhaustive table, *regret* the true time at its answer over that of the best setting
there is, *to the table* over that of the table's best cell.
"""

CLAIMS = """
The same race between arms of one batch size, {studies} times: {false_claims} claimed a difference, and 5 in 100 may.
"""

QUADRATICS = """
Real training on noisy quadratics, whose tuned steps to the target are known: a race that confirms every batch size with
{seeds} seeds. In 4,000 dimensions the loss of a run is nearly its expectation, and the steps are held against the
closed form. In the built-in `quadratic` (100 dimensions) the loss of a run scatters by a quarter, so that it is at the
target sooner than the expected loss is: there they are held against simulated runs, {runs:,} at each of 50 rates. Aim:
within 5 % at every batch size.
"""

RATES = """
Ten seeds are too few to tell there what a learning rate costs. By simulated runs at the rates that {races} races
chose, steps over those at the best rate, {n} batch sizes in all: {median:.2f} at the median, {most:.2f} at 90 %,
{worst:.2f} at worst (batch size {at}).
"""

TRADEOFF = """
Simulated studies with a known critical batch size, {repetitions:,} each: how often its 95 % interval holds the truth,
the median of the estimates, and the standard deviation of their logarithms. 10 batch sizes of 3 seeds whose steps
scatter by 10 %, 10 % of the runs censored, where nothing else is said.
"""

OVERHEAD = """
What the monitor adds to a step, blocks of steps with and without it in turn (median and its 95 % interval), and the
interval it has after {steps:,} steps at a model that stands still, so that the true noise scale is known. *Each* is the
width with every step measured. The aim is 3 % for a width of a factor 2.
"""

COVERAGE = """
Synthetic gradients with a known noise scale, {steps} steps, {repetitions:,} repetitions: how often the 95 % interval
holds the truth. b examples a micro-batch, k micro-batches a step. With gradients of low effective rank the signal of
400 steps may be lost in the noise: then the interval has no upper limit, and the median of the estimates says little.
"""

LAW = """
The mean of |g_B|² over |G|² + tr(Σ)/B, {draws:,} draws and more of each size, with its standard error: 1 where the law
holds. *Exact* is the noise scale from every example's gradient, *blocks* that of `measure_noise` with its interval.
"""

CONTROLS = """
Studies in which all batch sizes are the same one: claims of a difference are false ones, and at most 5 in 100 are to
make any.
"""


def page(folder: Path = EVIDENCE) -> str:
    """Return the page."""
    parts: tuple[tuple[str, str, Callable[[Record], str]], ...] = (
        ("What a probe's advice loses", "regret", regret),
        ("What a study costs, and what it loses", "answer-cost", answer_cost),
        ("A race in worlds with a known truth", "search-simulated", worlds),
        ("Steps to the target of the noisy quadratic", "quadratic-end-to-end", quadratics),
        ("Intervals of the critical batch size", "tradeoff-coverage", tradeoff),
        ("False claims", "control-aa", controls),
        ("Intervals of the noise scale", "noise-scale-coverage", coverage),
        ("What the monitor costs", "noise-overhead", overhead),
        ("The gradient-norm law on real data", "gradient-norm-law", law),
        ("Kills", "kill-resume", kills),
        ("Other faults", "faults", faults),
    )
    return HEAD + "".join(section(title, name, newest(name, folder), write) for title, name, write in parts)


def regret(record: Record) -> str:
    """Return the table of `regret.py`, and how all probes did together."""
    rows = record["figures"]
    body = [
        [
            row["workload"],
            row["objective"],
            row["rule"] if row["share"] is not None else f"{row['rule']}, {row['rate']} rate",
            "none" if row["cell"] is None else f"{row['cell'][0]}@{row['cell'][1]:.4g}",
            _regret(row["regret"]),
            "" if row["share"] is None else f"{row['share']:.1%}",
        ]
        for row in rows
    ]
    heads = ["workload", "objective", "who", "setting", "regret", "cost"]
    return REGRET + "\n" + _probes(rows) + f"\n{record['settings']['aim'].capitalize()}.\n\n" + table(heads, body, 4)


def _probes(rows: list[Record]) -> str:
    text = ""
    for objective in dict.fromkeys(row["objective"] for row in rows):
        own = [row for row in rows if row["rule"] == "probe" and row["objective"] == objective]
        values = [row["regret"]["value"] for row in own if row["regret"] is not None]
        share = statistics.median(row["share"] for row in own)
        text += (
            f"- {objective.capitalize()}, {len(own)} probes: regret {statistics.median(values):.2f} at the median, "
            f"{max(values):.2f} at worst, {share:.1%} of the table's cost.\n"
        )
    return text


def _regret(found: Record | None) -> str:
    if found is None:
        return "nothing found"
    if found["n_reached"] == 0:
        return f"not reached, at least {found['value']:.3g}"
    if found["n_reached"] < found["n"]:
        return f"at least {found['value']:.3g}, {found['n_reached']} of {found['n']} reached"
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def answer_cost(record: Record) -> str:
    """Return the table of `answer_cost.py`: a line a workload and method."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in record["figures"]:
        groups.setdefault((row["workload"], row["method"]), []).append(row)
    n = max(len(rows) for rows in groups.values())
    for row in record["figures"]:
        groups.setdefault(("all", row["method"]), []).append(row)
    body = []
    for (workload, method), rows in groups.items():
        values = [float("inf") if row["regret"] is None else row["regret"]["value"] for row in rows]
        missed = sum(row["regret"] is None or row["regret"]["n_reached"] < row["regret"]["n"] for row in rows)
        body.append(
            [
                workload,
                method,
                f"{statistics.median(row['share'] for row in rows):.1%}",
                f"{statistics.median(values):.2f}",
                f"{max(values):.2f}",
                f"{missed} of {len(rows)}",
            ]
        )
    heads = ["workload", "search", "cost", "regret, median", "worst", "missed the target at times"]
    return ANSWER.format(n=n) + f"\n{record['settings']['aim'].capitalize()}.\n\n" + table(heads, body, 2)


def controls(record: Record) -> str:
    """Return the count of `controls.py`."""
    found = record["figures"]
    return CONTROLS + f"\n{found['false_claims']} of {found['studies']} studies made a claim.\n"


def coverage(record: Record) -> str:
    """Return the table of `noise_scale_coverage.py`."""
    body = [
        [
            f"{row['truth']:,}",
            str(row["b"]),
            str(row["k"]),
            f"{row['effective_rank']:,}",
            f"{row['median']:,.0f}",
            f"{row['coverage']:.3f}",
            f"{row['unbounded']:.1%}",
        ]
        for row in record["figures"]
    ]
    heads = ["true noise scale", "b", "k", "effective rank", "median estimate", "coverage", "no upper limit"]
    return COVERAGE.format(**record["settings"]) + "\n" + table(heads, body)


def overhead(record: Record) -> str:
    """Return the table of `noise_overhead.py`."""
    body = []
    for row in record["figures"]:
        added, found = row["default_added"], row["default"]
        body.append(
            [
                f"{row['case']}, {row['mode']}",
                f"{row['step_us']['median'] / 1e3:,.1f}",
                str(row["every"]),
                f"{added['median']:+.1%} ({added['low']:+.1%} to {added['high']:+.1%})",
                f"{row['true']:,.0f}",
                f"{_number(found['value'])} ({_number(found['low'])} to {_number(found['high'])})",
                _number(found["factor"]),
                _number(row["each"]["factor"]),
            ]
        )
    heads = ["", "ms a step", "measures every", "adds", "true", "estimate", "width, factor", "each"]
    return OVERHEAD.format(**record["settings"]) + "\n" + table(heads, body)


def _number(value: float | str | None) -> str:
    if value is None:
        return "unresolved"
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def law(record: Record) -> str:
    """Return the table of `gradient_norm_law.py`."""
    body = [
        [
            f"{row['workload']}, {row['epochs']} epoch{'s' if row['epochs'] > 1 else ''}",
            *(f"{one:.3f} ± {error:.3f}" for one, error in zip(row["ratios"], row["standard_errors"], strict=True)),
            f"{row['exact']:,.0f}",
            f"{_number(row['blocks'])} ({_number(row['low'])} to {_number(row['high'])})",
        ]
        for row in record["figures"]
    ]
    heads = ["", *(f"B = {size}" for size in record["settings"]["batch_sizes"]), "exact", "blocks"]
    return LAW.format(**record["settings"]) + "\n" + table(heads, body)


def worlds(record: Record) -> str:
    """Return the table of `search_simulated.py`, and how often it claims a difference where there is none."""
    figures = record["figures"]
    parts = ("cost", "regret", "regret_to_table")
    body = []
    for name in ("quadratic", "soft", "all"):
        found = figures[name]
        spread = [f"{found[part][place]:.2f}" for part in parts for place in ("median", "95%", "worst")]
        body.append([name, str(found["worlds"]), *spread, str(found["dropped_the_best_by_more_than_5%"])])
    heads = [f"{part}, {place}" for part in ("cost", "regret", "to the table") for place in ("median", "95 %", "worst")]
    text = WORLDS.format(worlds=figures["all"]["worlds"]) + "\n"
    text += table(["worlds", "n", *heads, "dropped the best"], body, 1)
    return text + CLAIMS.format(**figures["control"])


def quadratics(record: Record) -> str:
    """Return the table of `quadratic_end_to_end.py`."""
    body = [
        [
            row["quadratic"],
            str(row["batch_size"]),
            f"{row['steps']:,.0f} ({row['low']:,.0f} to {row['high']:,.0f})",
            f"{row['closed_form']:,}",
            "" if row["simulated"] is None else f"{row['simulated']:,.0f}",
            f"{row['off']:+.1%}",
        ]
        for row in record["figures"]["steps"]
    ]
    heads = ["quadratic", "batch size", "steps (95 % interval)", "closed form", "simulated runs", "off by"]
    rates = sorted(record["figures"]["rates"], key=lambda row: row["over_best"])
    over = [row["over_best"] for row in rates]
    said = RATES.format(
        races=record["settings"]["races"],
        n=len(rates),
        median=statistics.median(over),
        most=over[int(0.9 * len(over))],
        worst=over[-1],
        at=rates[-1]["batch_size"],
    )
    return QUADRATICS.format(**record["settings"]) + "\n" + table(heads, body, 1) + said


def tradeoff(record: Record) -> str:
    """Return the table of `tradeoff_coverage.py`."""
    body = [
        [
            row["name"],
            f"{row['coverage']:.3f}",
            f"{row['critical']:,.0f}",
            f"{row['median']:,.3g}",
            f"{row['sd of ln']:.2f}",
            f"{row['unbounded']:.0%}",
        ]
        for row in record["figures"]
    ]
    heads = ["studies", "coverage", "true", "median", "sd of ln", "one end only"]
    return TRADEOFF.format(**record["settings"]) + "\n" + table(heads, body, 1)


def kills(record: Record) -> str:
    """Return what `kill_resume.py` counted."""
    found = record["figures"]
    same = "the same answer" if found["same_findings"] else "another answer"
    return (
        f"\nA study killed {found['kills']} times at random moments, resumed each time: {found['results']} trials, "
        f"{found['results_undisturbed']} undisturbed, and {same}.\n"
    )


def faults(record: Record) -> str:
    """Return the table of `faults.py`."""
    figures = dict(record["figures"])
    undisturbed = figures.pop("trials_undisturbed")["done"]
    body = [
        [name.replace("-", " "), str(found["trials"]["done"]), "yes" if found["same_trials_and_answer"] else "no"]
        for name, found in figures.items()
    ]
    text = f"\nOne study, disturbed in one way at a time; undisturbed it has {undisturbed} trials.\n\n"
    return text + table(["fault", "trials", "the same trials and answer"], body, 1)


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
