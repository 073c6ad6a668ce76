import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

import findings_cases
from batchlab.views.terminal import Places, print_study

WIDTHS = (40, 60, 80, 120, 200)
NUMBER = re.compile(r"\d+\.\d+")


def printed(findings, width=80, places=None, **options):
    out = options.pop("file", io.StringIO())
    print_study(findings, Console(file=out, width=width, **options), places=places)
    return out.getvalue() if isinstance(out, io.StringIO) else out.buffer.getvalue().decode(out.encoding)


def table_row(text, batch_size):
    return next(line for line in text.splitlines() if re.match(rf"(> )?\s*(> )?{batch_size} ", line))


def test_the_answer_comes_first_then_how_sure_then_the_warnings():
    findings = findings_cases.tied()
    lines = printed(findings, 200).splitlines()
    assert lines[:3] == [findings.answer.sentence, findings.answer.confidence, "! " + findings.answer.warnings[0]]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("case", findings_cases.CASES)
def test_no_line_of_a_study_is_wider_than_the_console(case, width):
    lines = printed(findings_cases.CASES[case](), width).splitlines()
    commands = ("Report", "Store", "Study")
    assert max(len(line) for line in lines if not line.startswith(commands)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_of_a_narrow_table_are_whole_numbers_of_the_wide_one(width):
    findings = findings_cases.resolved()
    wide = set(NUMBER.findall(table_row(printed(findings, 200), 64)))
    assert set(NUMBER.findall(table_row(printed(findings, width), 64))) <= wide


def test_the_narrowest_table_keeps_size_metric_with_interval_and_place():
    row = table_row(printed(findings_cases.resolved(), 30), 64)
    assert row.split() == ["64", "3.12", "(2.93–3.31)", "worse"]


def test_a_wide_console_shows_every_column():
    row = table_row(printed(findings_cases.resolved(), 120), 64)
    expected = "64 0.156 0.12–0.203 337 3.12 (2.93–3.31) 3.28 1.25 976 µs 329 ms worse"
    assert row.split() == expected.split()


def test_columns_without_a_value_are_left_out():
    text = printed(findings_cases.single(), 120)
    assert table_row(text, 48).split() == [">", "48", "0.05", "450", "3.12", "best"]


@pytest.mark.parametrize(("batch_size", "word"), [(256, "best"), (128, "ties"), (64, "undecided"), (8, "worse")])
def test_each_row_ends_with_its_place_as_a_word(batch_size, word):
    assert table_row(printed(findings_cases.wide()), batch_size).split()[-1] == word


def test_the_recommended_row_is_marked_and_the_mark_explained():
    text = printed(findings_cases.tied())
    assert table_row(text, 64).lstrip().startswith("> 64")
    assert ">: recommended." in text


def test_a_learning_rate_at_the_edge_is_starred_and_the_star_explained():
    text = printed(findings_cases.edge_of_range(), 120)
    assert "0.442*" in table_row(text, 512)
    assert "*: at the edge of the learning rates tried." in " ".join(text.split())


def test_each_budget_has_its_line_and_a_missing_one_says_so():
    lines = printed(findings_cases.underpowered()).splitlines()
    assert [line for line in lines if line.startswith("Under")] == [
        "Under equal examples  32 is best; 64 ties; 16 and 128 undecided",
        "Under equal steps     256 is best; 128 ties",
        "Under equal time      cannot be given; the notes say why",
    ]


def test_the_way_on_names_command_and_store_quoted_for_a_shell():
    lines = printed(findings_cases.wide(), places=Places(store="my store.db")).splitlines()
    assert lines[-3:] == [
        "Report  batchlab report 'wide <i>range</i>' --store 'my store.db'",
        "Store   my store.db",
        "Study   wide <i>range</i> (3f9a1c0e5b7d2468)",
    ]


def test_a_written_report_is_named_instead_of_the_command():
    assert "Report  /x/report.html" in printed(findings_cases.tied(), places=Places(report="/x/report.html"))


def test_names_with_brackets_are_printed_as_they_are():
    findings = findings_cases.tied()
    answer = replace(findings.answer, sentence="Use [bold]this[/bold] [/nothing].")
    assert printed(replace(findings, answer=answer)).startswith("Use [bold]this[/bold] [/nothing].")


def test_without_a_terminal_there_are_no_control_characters_or_trailing_spaces():
    text = printed(findings_cases.wide(), 120)
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_on_a_terminal_the_best_row_is_bold():
    text = printed(findings_cases.tied(), force_terminal=True, color_system="standard")
    best = next(line for line in text.splitlines() if "2.41" in line)
    assert best.startswith("\x1b[1m")


def test_an_encoding_without_dashes_gets_plain_characters():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    text = printed(findings_cases.tied(), file=file)
    assert "2.41 (2.24-2.58)" in text
    assert "472 us" in text


def test_what_todays_setting_loses_is_said_after_the_table():
    findings = findings_cases.with_current()
    lines = printed(findings, 300).splitlines()
    place = lines.index(findings.current.sentence)
    assert lines[place - 1].startswith("Error: mean of 5 seeds") and lines[place + 1] == ""


def test_under_a_target_the_table_has_steps_and_time_and_its_sentences_follow():
    findings = findings_cases.with_target()
    text = printed(findings, 140)
    assert table_row(text, 64).split()[-4:] == ["96.9", "94.6", "ms", "worse"]
    assert table_row(text, 512).split()[-3:] == ["–", "–", "worse"]
    lines = printed(findings, 300).splitlines()
    place = lines.index(findings.to_target.sentences[0])
    assert tuple(lines[place : place + 3]) == findings.to_target.sentences
    assert lines[place - 1] == lines[place + 3] == ""


def test_accumulation_is_told_below_the_table_only_where_there_was_any():
    text = " ".join(printed(findings_cases.with_current()).split())
    assert "256 ran as 2 micro-batches of 128, 512 as 4 micro-batches of 128." in text
    assert "micro-batches" not in printed(findings_cases.tied())


def test_what_was_tuned_beside_the_learning_rate_stands_beside_it():
    plain = findings_cases.single()
    settings = (("momentum", 0.93), ("weight_decay", 3e-4), ("warmup", 0.051), ("schedule", "cosine"))
    rows = tuple(replace(row, settings=settings) for row in plain.batch_sizes)
    row = table_row(printed(replace(plain, batch_sizes=rows), 160), 48)
    assert row.split() == [">", "48", "0.05", "0.93", "0.0003", "5.1%", "cosine", "450", "3.12", "best"]
