from pathlib import Path
from typing import Any

import quality_page
from evidence_cases import write
from quality_page import page

REACHED = {"value": 1.083, "low": 1.021, "high": 1.149, "n_reached": 10, "n": 10}


def advice(**changes: Any) -> dict[str, Any]:
    row = {"workload": "w", "objective": "time", "rule": "probe", "rate": "probe's", "cell": [64, 0.1], "share": 0.013}
    return row | {"regret": REACHED} | changes


def test_the_page_is_what_the_evidence_gives() -> None:
    assert quality_page.PAGE.read_text(encoding="utf-8") == page()


def test_what_was_not_measured_names_the_command_that_would(tmp_path: Path) -> None:
    assert "`python benchmarks/answer_cost.py --write` does it." in page(tmp_path)


def test_each_advice_has_a_line_and_probes_a_summary(tmp_path: Path) -> None:
    rule = advice(rule="largest", rate="own", share=None, regret=REACHED | {"n_reached": 8})
    write(tmp_path, "regret", [advice(), advice(regret=REACHED | {"value": 1.2}), rule], aim="aim: 1.10")
    text = page(tmp_path)
    assert "- Time, 2 probes: regret 1.14 at the median, 1.20 at worst, 1.3% of the table's cost." in text
    assert "| w | time | probe | 64@0.1 | 1.08 (1.02 to 1.15) | 1.3% |" in text
    assert "| w | time | largest, own rate | 64@0.1 | at least 1.08, 8 of 10 reached |  |" in text


def test_searches_are_summed_up_by_workload(tmp_path: Path) -> None:
    study = {"workload": "w", "method": "study", "share": 0.1, "regret": REACHED}
    write(tmp_path, "answer-cost", [study, study | {"share": 0.3, "regret": None}], aim="aim: .10")
    assert "| w | study | 20.0% | inf | inf | 1 of 2 |" in page(tmp_path)


def test_the_monitor_has_its_cost_and_its_width(tmp_path: Path) -> None:
    spread = {"median": 0.02, "low": -0.01, "high": 0.04}
    found = {"value": 200.4, "low": 150.0, "high": "inf", "factor": "inf"}
    row = {"case": "MLP", "mode": "one device", "step_us": {"median": 1500.0}, "every": 20, "default_added": spread}
    write(tmp_path, "noise-overhead", [row | {"default": found, "each": found, "true": 210.0}], steps=1000)
    line = "| MLP, one device | 1.5 | 20 | +2.0% (-1.0% to +4.0%) | 210 | 200 (150 to inf) | inf | inf |"
    assert line in page(tmp_path)


def test_the_quadratic_has_its_steps_beside_what_is_known_of_them(tmp_path: Path) -> None:
    row = {"quadratic": "wide", "batch_size": 64, "steps": 240.2, "low": 236.0, "high": 244.4, "closed_form": 1238}
    rates = [{"race": 1, "batch_size": size, "over_best": over} for size, over in ((8, 1.4), (16, 1.0), (32, 1.1))]
    figures = {"steps": [row | {"simulated": None, "off": 0.0091}], "rates": rates}
    write(tmp_path, "quadratic-end-to-end", figures, seeds=10, runs=1000, races=1)
    text = page(tmp_path)
    assert "| wide | 64 | 240 (236 to 244) | 1,238 |  | +0.9% |" in text
    assert "3 batch sizes in all: 1.10 at the median, 1.40 at 90 %,\n1.40 at worst (batch size 8)" in text


def test_the_critical_batch_size_has_its_coverage(tmp_path: Path) -> None:
    row = {"name": "plain", "coverage": 0.9545, "critical": 256.0, "median": 255.6, "sd of ln": 0.06, "unbounded": 0.01}
    write(tmp_path, "tradeoff-coverage", [row], repetitions=2000)
    assert "| plain | 0.955 | 256 | 256 | 0.06 | 1% |" in page(tmp_path)


def test_a_race_has_its_worlds_and_its_false_claims(tmp_path: Path) -> None:
    spread = {"median": 0.05, "90%": 0.1, "95%": 0.14, "worst": 0.23}
    found = {"worlds": 150, "dropped_the_best_by_more_than_5%": 0}
    found |= {"cost": spread, "regret": spread, "regret_to_table": spread}
    figures = {name: found for name in ("all", "quadratic", "soft")} | {"control": {"studies": 200, "false_claims": 9}}
    write(tmp_path, "search-simulated", figures)
    text = page(tmp_path)
    assert "| soft | 150 | 0.05 | 0.14 | 0.23 | 0.05 | 0.14 | 0.23 | 0.05 | 0.14 | 0.23 | 0 |" in text
    assert "200 times: 9 claimed a difference" in text
