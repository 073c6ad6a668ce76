from xml.etree import ElementTree

from svg_chart import Line, share_chart

SVG = "{http://www.w3.org/2000/svg}"


def test_a_chart_is_sound_xml_with_a_line_for_each_series() -> None:
    lines = (Line("a & b", "#111111", ((8, 0.1), (64, 0.5))), Line("c", "#222222", ((8, 0.2),), dashed=True))
    root = ElementTree.fromstring(share_chart("shares < 1", lines))
    drawn = [one for one in root.iter(f"{SVG}polyline")]
    assert [one.get("stroke") for one in drawn[:2]] == ["#111111", "#222222"]
    assert drawn[1].get("stroke-dasharray") is not None
    assert "a & b" in [text.text for text in root.iter(f"{SVG}text")]


def test_doubling_the_batch_size_is_the_same_distance_everywhere() -> None:
    line = Line("a", "#111111", ((8, 0.0), (16, 0.5), (32, 1.0)))
    root = ElementTree.fromstring(share_chart("t", (line,)))
    points = next(root.iter(f"{SVG}polyline")).get("points") or ""
    xs, ys = zip(*(map(float, pair.split(",")) for pair in points.split()), strict=True)
    assert abs((xs[2] - xs[1]) - (xs[1] - xs[0])) < 0.2
    assert ys[0] > ys[1] > ys[2]
