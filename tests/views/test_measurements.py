import io

import pytest
from rich.console import Console

import measurement_cases as cases
from batchlab.analyze.measurements import say_noise_scale
from batchlab.errors import BatchlabError
from batchlab.views.measurements import print_measurement, write_measurement


def printed(findings, width=120):
    out = io.StringIO()
    print_measurement(findings, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_the_answer_comes_first_then_how_sure():
    findings = cases.findings()
    text = " ".join(printed(findings, 400).split("\n")[:2])
    assert text == f"{findings.answer} {findings.confidence}"


def test_every_checkpoint_and_claim_is_shown():
    findings = cases.findings()
    text = printed(findings)
    assert "Gradient norms at step 10, 100 draws of each size" in text
    assert sum(line.startswith("does not hold") for line in text.splitlines()) == 8
    assert "- Examples were drawn with replacement." in text


def test_the_noise_scale_weighted_by_curvature_has_its_column():
    first, last = cases.checkpoint(10), cases.checkpoint(500, curvature_noise_scale=cases.noise(7000))
    lines = printed(cases.findings(first, last)).splitlines()
    assert next(line for line in lines if "Training loss" in line).strip().endswith("curvature")
    assert sum(say_noise_scale(cases.noise(7000)) in line for line in lines) == 1
    assert "Weighted by curvature" not in printed(cases.findings())


def test_pairs_of_examples_are_compared_by_kind():
    lines = printed(cases.findings(cases.checkpoint(10))).splitlines()
    start = lines.index("Gradients of two examples: do they agree?")
    assert [line.split()[1] for line in lines[start + 2 : start + 5]] == ["all", "same", "different"]
    agree = (1 + cases.pairs().every.sign.mean) / 2
    assert f"{agree:.0%}" in lines[start + 2] and lines[start + 2].endswith("190")


def test_what_was_not_measured_is_left_out():
    text = printed(cases.findings(cases.checkpoint(norms=None, interference=None, order=None, notes=("Why not.",))))
    assert "Gradient norms" not in text and "do they agree" not in text and "- Why not." in text


def test_the_page_opens_without_a_network(tmp_path):
    page = write_measurement(cases.findings(), tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("plotly-graph-div") == 3 and "<script src=" not in page
    assert "5 to 95% quantiles" in page


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(BatchlabError, match=r"^Figures need a folder that can be written, but writing .* failed \("):
        write_measurement(cases.findings(), tmp_path / "missing" / "page.html")
