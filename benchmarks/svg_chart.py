"""A line chart as SVG text: a logarithmic axis of batch sizes, an upright axis of shares from 0 to 100 %."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 28, 56
LINE_HEIGHT = 20
INK, PAPER, GRID = "#3a3f46", "#ffffff", "#e3e5e8"
FONT = "font-family='system-ui, sans-serif' font-size='13'"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its title, color and points (batch size, share), sizes rising; `dashed` for eyes without color."""

    title: str
    color: str
    points: tuple[tuple[int, float], ...]
    dashed: bool = False


def share_chart(title: str, lines: Sequence[Line]) -> str:
    """Return the SVG of shares by batch size; the legend stands below the axis."""
    sizes = sorted({size for line in lines for size, _ in line.points})
    low, high = math.log2(sizes[0]), math.log2(sizes[-1])
    bottom = HEIGHT - BOTTOM

    def x(size: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log2(size) - low) / (high - low or 1.0)

    def y(share: float) -> float:
        return bottom - (bottom - TOP) * share

    parts = [_text(LEFT, 18, title, "start")]
    for percent in range(0, 101, 20):
        at = y(percent / 100)
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{at:.1f}' y2='{at:.1f}' stroke='{GRID}'/>")
        parts.append(_text(LEFT - 8, at + 4, f"{percent} %", "end"))
    parts += [_text(x(size), bottom + 20, str(size), "middle") for size in sizes]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom + 42, "batch size", "middle"))
    for line in lines:
        parts.append(_path(line, " ".join(f"{x(size):.1f},{y(share):.1f}" for size, share in line.points)))
    for index, line in enumerate(lines):
        parts += _legend(line, HEIGHT + LINE_HEIGHT * index)
    height = HEIGHT + LINE_HEIGHT * len(lines) + 4
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img'>"
    paper = f"<title>{escape(title)}</title><rect width='{WIDTH}' height='{height}' fill='{PAPER}'/>"
    return "\n".join([head, paper, *parts, "</svg>", ""])


def _path(line: Line, points: str) -> str:
    dashes = " stroke-dasharray='6 4'" if line.dashed else ""
    return f"<polyline points='{points}' fill='none' stroke='{line.color}' stroke-width='2.5'{dashes}/>"


def _legend(line: Line, top: float) -> list[str]:
    return [_path(line, f"{LEFT},{top:.1f} {LEFT + 36},{top:.1f}"), _text(LEFT + 46, top + 4, line.title, "start")]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{INK}' {FONT}>{escape(text)}</text>"
