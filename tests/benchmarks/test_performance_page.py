from pathlib import Path
from typing import Any

import performance_page
from evidence_cases import write
from performance_page import chart, newest, page

SPREAD = {"median": 2.0, "low": 1.5, "high": 2.5}
PEER = {
    "alone_steps_per_s": SPREAD,
    "everywhere_steps_per_s": SPREAD,
    "alone_ratio": {"median": 1.9, "low": 1.7, "high": 2.1},
    "everywhere_ratio": {"median": 1.3, "low": 1.2, "high": 1.4},
}
STUDY = {"model": "mlp", "batch_size": 32, "steps": 1024, "study_steps_per_s": {"median": 4321.0}}
ENGINE = [STUDY | {"peers": {"data-loader": PEER}}]
STEPS = [
    {"network": "small", "batch_size": 8, "share": 0.041},
    {"network": "small", "batch_size": 64, "share": 0.172},
    {"network": "wide", "batch_size": 8, "share": 0.9},
]


def engine_settings(busy: float) -> dict[str, Any]:
    return {
        "images": "MNIST",
        "epochs": 16,
        "rounds": 3,
        "processes": 2,
        "versions": {"torch": "2.13.0"},
        "busy_cores_before": busy,
    }


def test_the_page_is_what_the_evidence_gives() -> None:
    assert performance_page.PAGE.read_text(encoding="utf-8") == page()


def test_the_chart_is_what_the_evidence_gives() -> None:
    drawn = chart()
    assert performance_page.CHART.exists() == (drawn is not None)
    assert drawn is None or performance_page.CHART.read_text(encoding="utf-8") == drawn


def test_what_was_not_measured_names_the_command_that_would(tmp_path: Path) -> None:
    assert page(tmp_path).count("Not measured yet: `python benchmarks/") == 4
    assert "`python benchmarks/loop_overhead.py --write` does it." in page(tmp_path)
    assert chart(tmp_path) is None


def test_the_last_day_counts_and_names_that_end_alike_do_not(tmp_path: Path) -> None:
    write(tmp_path, "engine", [1], date="2026-01-02")
    write(tmp_path, "engine", [2], date="2026-02-01")
    write(tmp_path, "steam-engine", [3], date="2026-03-01")
    record = newest("engine", tmp_path)
    assert record is not None and record["figures"] == [2]


def test_a_section_says_when_where_and_at_which_commit(tmp_path: Path) -> None:
    write(tmp_path, "engine", ENGINE, **engine_settings(busy=0.1))
    told = "*Measured 2026-01-02 on P, 2 cores, Linux, Python 3.11.1, torch 2.13.0, at commit abc1234.*"
    assert told in page(tmp_path)
    assert "Others used" not in page(tmp_path)


def test_a_busy_machine_is_told(tmp_path: Path) -> None:
    write(tmp_path, "engine", ENGINE, **engine_settings(busy=1.4))
    assert "Others used 1.4 cores when this began" in page(tmp_path)


def test_ratios_stand_in_both_columns_with_their_range(tmp_path: Path) -> None:
    write(tmp_path, "engine", ENGINE, **engine_settings(busy=0.1))
    text = page(tmp_path)
    assert "| MLP 784-256-10, batch size | 32 |\n| --- | ---: |\n| steps of one run | 1,024 |\n" in text
    assert "| the study, steps/s | 4,321 |" in text
    assert "| PyTorch with DataLoader | 1.90 (1.70 to 2.10) |" in text
    assert "| PyTorch with DataLoader | 1.30 (1.20 to 1.40) |" in text


def test_shares_stand_by_network_and_batch_size_with_gaps_left_empty(tmp_path: Path) -> None:
    write(tmp_path, "roofline", [{"threads": 1, "limit_flops_per_s": 9e10, "steps": STEPS}])
    text = page(tmp_path)
    assert "**1 thread: the limit is 90 GFLOP/s**" in text
    assert "| small | 4.1% | 17.2% |\n| wide | 90.0% |  |\n" in text
    assert "small, 1 thread" in (chart(tmp_path) or "")


def test_growth_start_idle_cores_and_driver_are_told(tmp_path: Path) -> None:
    row = {"quantity": "trials", "value": 512, "steps_per_s": 12345.0}
    memory = {"driver_mib": 60.0, "worker_mib": 300.0, "all_processes_mib": 500.0}
    driver = {"trials": 5000, "driver_s": 2.0, "driver_and_store_s": 10.0, "share": 0.021, "store_mib": 20.0}
    idle = {"trials": 87, "trial_s": 0.5, "idle_share": 0.03, "idle_share_at_end": 0.01}
    figures = {"growth": [row | memory], "start_s": SPREAD, "idle": idle, "driver": [driver]}
    write(tmp_path, "scaling", figures, steps=200)
    text = page(tmp_path)
    assert "| trials 512 | 12,345 | 60 | 300 | 500 |" in text
    assert "first trial: 2.0 s (1.5 to 2.5)" in text
    assert "stood idle 3.0% of the time, 1.0% at its end" in text
    assert "| 5,000 | 2.00 | 10.00 | 2.00 | 2.1% | 20.0 |" in text


def test_the_loop_beside_a_script_is_told(tmp_path: Path) -> None:
    row = {"case": "MLP", "script_us": 200.0, "loop_us": 190.0, "ratio": 0.95, "ratio_low": 0.9, "ratio_high": 1.0}
    write(tmp_path, "loop-overhead", [row], batch_size=32)
    assert "| MLP | 200 | 190 | 0.950 (0.900 to 1.000) |" in page(tmp_path)
