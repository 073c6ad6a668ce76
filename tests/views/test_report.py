import errno
import functools
import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

import findings_cases
from batchlab.errors import BatchlabError, UsageError
from batchlab.records import to_json
from batchlab.views.repeat import repeat_command
from batchlab.views.report import render_report, write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
BROWSER_ITSELF = "not an origin"
REFUSALS = [(errno.EACCES, "Permission denied"), (errno.ENOSPC, "No space left on device")]


def write(case, path):
    findings = findings_cases.CASES[case]()
    return write_report(findings, findings_cases.record_of(findings), path)


def page_of(findings):
    """Return the page without the drawing library."""
    return render_report(findings, findings_cases.record_of(findings)).replace(get_plotlyjs(), "")


@functools.cache
def page_of_case(case):
    return page_of(findings_cases.CASES[case]())


def text_of(page):
    """Return what a reader sees: no scripts, no styles, no tags, every white space one blank."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_what_is_infinite_in_the_findings_is_null_on_the_page_and_in_json():
    findings = to_json(findings_cases.with_target(), non_finite=lambda _: None)
    assert json.loads(json.dumps(findings, allow_nan=False))["tradeoff"]["regions"][2]["high"] is None
    assert "Infinity" not in page_of_case("target")


@pytest.mark.parametrize("case", findings_cases.CASES)
def test_every_case_opens_with_its_answer_and_tells_every_warning_and_note(case):
    findings = findings_cases.CASES[case]()
    text = text_of(page_of_case(case))
    assert text.index(findings.answer.sentence) < text.index(findings.answer.confidence)
    assert all(said in text for said in (*findings.answer.warnings, *findings.notes))


def test_parts_come_in_the_order_of_their_weight():
    headings = re.findall(r"<h2>(.*?)</h2>", page_of_case("tied"))
    assert headings == [
        *("Use this", "Before you rely on it", "By batch size", "Learning rate", "While training"),
        *("Under other budgets", "Every trial", "To repeat it", "How to read this"),
    ]


def test_todays_setting_comes_before_the_batch_sizes_with_its_sentence():
    page = page_of_case("current")
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[:3] == ["Use this", "Today's setting", "By batch size"]
    assert findings_cases.with_current().current.sentence in text_of(page)
    assert "allows for that one having been picked as the best of several" in text_of(page)


def test_under_a_target_its_sentences_figures_and_definition_have_a_part_of_their_own():
    page, findings = page_of_case("target"), findings_cases.with_target()
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[headings.index("By batch size") + 1] == "To the target"
    text = text_of(page)
    assert all(said in text for said in (*findings.to_target.sentences, findings.tradeoff.definition))
    assert 'id="plot-target"' in page and 'id="plot-costs"' in page
    assert "target not reached by most seeds; some seeds level off short of the target" in text
    assert "To the target" not in page_of_case("tied")


def test_the_recommended_setting_can_be_copied_as_lines():
    block = re.search(r'<pre id="setting">(.*?)</pre>', page_of_case("tied"), re.DOTALL)
    assert html.unescape(block.group(1)).splitlines() == [
        *("batch_size = 64", "learning_rate = 0.1562", "micro_batch_size = 64", "gradient_accumulation_steps = 1"),
        *("n_steps = 337", 'optimizer = "sgd"', "momentum = 0.9"),
    ]


def test_nothing_is_recommended_where_there_is_no_signal():
    assert "Use this" not in page_of_case("no-signal")


def test_the_command_on_the_page_is_the_one_that_repeats_the_study():
    findings = findings_cases.wide()
    block = re.search(r'<pre id="command"[^>]*>(.*?)</pre>', page_of(findings), re.DOTALL)
    shown = html.unescape(re.sub(r"<[^>]+>", "", block.group(1)))
    assert shown == repeat_command(findings_cases.record_of(findings))


def test_without_a_search_the_page_says_that_learning_rates_were_not_searched():
    text = text_of(page_of_case("single"))
    assert "Learning rates were not searched in this study: 0.1 at every batch size." in text


def test_text_of_the_user_cannot_become_markup():
    page = page_of_case("wide")
    assert "alert(1)" in page and "<script>alert(1)" not in page
    assert "<b>name</b>" not in page and "<i>range</i>" not in page and "<boom>" not in page


def test_figure_data_cannot_end_their_script_element():
    findings = findings_cases.tied()
    metric = replace(findings.metric, name="</script><script>alert(2)</script>")
    page = page_of(replace(findings, metric=metric))
    for block in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        json.loads(block)
    assert "<script>alert(2)" not in page


def test_the_page_names_nothing_to_load_and_forbids_loading():
    page = page_of_case("wide")
    assert not re.search(r"""(?:src|href|action)\s*=|@import|url\(|https?://""", page)
    assert "default-src 'none'" in page


def test_the_drawing_library_is_in_the_page_once():
    findings = findings_cases.tied()
    page = render_report(findings, findings_cases.record_of(findings))
    assert page.count(get_plotlyjs()) == 1


def test_a_report_is_written_whole_and_leaves_nothing_else(tmp_path):
    path = write("tied", tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert os.listdir(tmp_path) == ["report.html"]


def test_an_older_report_is_replaced(tmp_path):
    (tmp_path / "report.html").write_text("old")
    assert "<!doctype html>" in write("tied", tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_missing_folder_is_one_error(tmp_path):
    with pytest.raises(UsageError) as caught:
        write("tied", tmp_path / "nowhere" / "report.html")
    assert str(caught.value) == (
        f"A report needs a folder that exists, but there is no {tmp_path / 'nowhere'}; create it or give another path."
    )


def test_a_folder_in_place_of_a_file_is_one_error(tmp_path):
    with pytest.raises(UsageError) as caught:
        write("tied", tmp_path)
    assert str(caught.value) == (
        f"A report needs the path of a file, but {tmp_path} is a folder; give, say, {tmp_path / 'report.html'}."
    )


@pytest.mark.parametrize(("number", "reason"), REFUSALS)
def test_a_folder_that_takes_no_file_is_one_error_and_the_older_report_stays(tmp_path, monkeypatch, number, reason):
    target = tmp_path / "report.html"
    target.write_text("old")

    def refuse(self, *args, **keywords):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(BatchlabError) as caught:
        write("tied", target)
    assert str(caught.value) == (
        f"A report needs a folder that can be written, but writing {target} failed ({reason}); "
        "give a path in another folder."
    )
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_refused_by_the_system_itself(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BatchlabError, match=r"failed \(Permission denied\); give a path in another folder\.$"):
        write("tied", tmp_path / "report.html")


def browse(path, folder):
    """Return the page's DOM after its scripts have run, and every address it asked the network for."""
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a Chromium, and none is installed")
        pytest.skip("no Chromium is installed")
    log = folder / "net.json"
    places = (f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--virtual-time-budget=5000")
    command = [BROWSER, *QUIET, *places, "--dump-dom", path.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return found.stdout, requests_in(log)


def requests_in(log):
    """Return the web addresses that pages asked for; the browser asks for some on its own behalf."""
    lines = [line.rstrip(",\n") for line in log.read_text().splitlines() if '"url":' in line]
    parameters = [json.loads(line).get("params", {}) for line in lines]
    asked = [
        one["url"] for one in parameters if "url" in one and one.get("initiator", BROWSER_ITSELF) != BROWSER_ITSELF
    ]
    return [address for address in asked if address.startswith(("http:", "https:", "ws:", "wss:"))]


def test_in_a_browser_every_figure_is_drawn_and_nothing_is_asked_of_the_network(tmp_path):
    dom, asked = browse(write("tied", tmp_path / "report.html"), tmp_path)
    figures = dom.split('id="plot-')[1:]
    assert len(figures) == 5
    assert all('class="main-svg"' in figure for figure in figures)
    assert asked == []


def test_a_page_that_does_ask_the_network_is_noticed(tmp_path):
    page = tmp_path / "asks.html"
    page.write_text("<!doctype html><img src='http://127.0.0.1:9/asked.png'>")
    assert browse(page, tmp_path)[1] == ["http://127.0.0.1:9/asked.png"]
