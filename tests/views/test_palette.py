import pytest

from batchlab.views import palette

PAPERS = (palette.PAPER_LIGHT, palette.PAPER_DARK)
DRAWN = sorted({mark.color for mark in palette.PLACE_MARKS.values()} | set(palette.batch_size_colors(14)))


def luminance(color):
    """Return the relative luminance of WCAG 2.1."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("color", DRAWN)
def test_every_mark_and_line_stands_out_by_three_to_one_on_light_and_dark_paper(color, paper):
    assert contrast(color, paper) >= 3.0


def test_neutral_text_in_figures_is_readable_on_both_papers():
    assert min(contrast(palette.NEUTRAL, paper) for paper in PAPERS) >= 4.0


def test_no_two_places_share_a_symbol():
    symbols = [mark.symbol for mark in palette.PLACE_MARKS.values()]
    assert len(set(symbols)) == len(symbols)


def test_classes_of_excess_grow_lighter_so_that_they_print_in_gray():
    values = [luminance(color) for color in palette.EXCESS_CLASSES]
    assert values == sorted(values)


@pytest.mark.parametrize("count", [1, 2, 7, 14])
def test_there_is_a_color_of_its_own_for_every_batch_size(count):
    assert len(set(palette.batch_size_colors(count))) == count
