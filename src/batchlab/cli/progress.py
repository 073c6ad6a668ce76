"""How a study gets on, on stderr: a live bar in a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from batchlab.studies.progress import Progress, ProgressState, Quiet

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SECONDS_BETWEEN_LINES = 5.0
STAGES = {
    "tuning": "tuning learning rates",
    "confirming": "comparing batch sizes",
    "controls": "running controls",
    "timing": "timing steps",
    "complete": "done",
}


@contextmanager
def open_progress(*, quiet: bool) -> Iterator[Progress]:
    """Show a study's progress for the length of a `with`, in the way that stderr and the user allow."""
    if quiet:
        yield Quiet()
    elif not sys.stderr.isatty():
        yield PlainLines(sys.stderr)
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False)
        with Live(console=console, transient=True, redirect_stdout=False, refresh_per_second=5) as live:
            yield LiveBar(live)


@dataclass
class PlainLines:
    """Progress as lines, one every few seconds and one at each new stage."""

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    stage: str = ""
    due: float = 0.0

    def update(self, state: ProgressState) -> None:
        """Print a line when it is time for one."""
        if state.stage == self.stage and self.clock() < self.due:
            return
        self.stage, self.due = state.stage, self.clock() + SECONDS_BETWEEN_LINES
        best = f"; best so far {state.best}" if state.best else ""
        self.notice(f"{state.study_name}: {stage_words(state)}, {trial_words(state)}, {time_words(state)}{best}")

    def notice(self, text: str) -> None:
        """Print a line now."""
        print(text, file=self.stream, flush=True)


@dataclass(frozen=True)
class LiveBar:
    """Progress as a bar that is drawn in place."""

    live: "Live"

    def update(self, state: ProgressState) -> None:
        """Draw the bar anew."""
        self.live.update(draw_bar(state))

    def notice(self, text: str) -> None:
        """Print a line above the bar."""
        self.live.console.print(text, style="yellow", markup=False)


def draw_bar(state: ProgressState) -> "RenderableType":
    """Return the bar, with what is running and what is best so far below it."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 1))
    length = ProgressBar(total=max(state.total, 1), completed=state.done, width=30)
    bar.add_row(Text(state.study_name, "bold"), length, trial_words(state), Text(time_words(state), "cyan"))
    lines = [Text(f"  {stage_words(state)}" + (f"; best so far {state.best}" if state.best else ""))]
    if state.running:
        lines.append(Text(f"  running {', '.join(state.running)}", "dim", no_wrap=True, overflow="ellipsis"))
    return Group(bar, *lines)


def stage_words(state: ProgressState) -> str:
    """Return what the study is doing."""
    return STAGES.get(state.stage, state.stage)


def trial_words(state: ProgressState) -> str:
    """Return how many trials are done; while the search may grow, the whole is a guess and says so."""
    about = "about " if state.stage == "tuning" else ""
    return f"{state.done} of {about}{state.total} trials"


def time_words(state: ProgressState) -> str:
    """Return the time spent and the time left."""
    left = "" if state.seconds_left is None else f", about {clock_time(state.seconds_left)} left"
    return f"{clock_time(state.seconds)}{left}"


def clock_time(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours where there are any.

    >>> clock_time(61.2), clock_time(7325)
    ('1:01', '2:02:05')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
