"""What users' code prints: the first lines are shown, a flood is not, and the last lines explain a death."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_SHOWN = 10
KEPT = 12
LONGEST_LINE = 500


class Relay:
    """Passes on the first few different lines of all workers, and says once that there were more."""

    def __init__(self, show: Callable[[str], None]) -> None:
        """Lines go to `show`, from any thread."""
        self._show = show
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Take one line."""
        with self._lock:
            if line in self._seen or len(self._seen) > MOST_SHOWN:
                return
            self._seen.add(line)
            if len(self._seen) > MOST_SHOWN:
                line = "(more was printed, and is not shown)"
        self._show(f"| {line}")


class Tail(threading.Thread):
    """Reads a worker's stdout and stderr until they close, so that it never waits for a reader."""

    def __init__(self, descriptor: int, relay: Callable[[str], None]) -> None:
        """Read from `descriptor`, which is closed at the end."""
        super().__init__(daemon=True)
        self._descriptor, self._relay = descriptor, relay
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.start()

    def run(self) -> None:
        """Pass on what comes, line by line."""
        left = b""
        while content := _read(self._descriptor):
            *whole, left = (left + content).split(b"\n")
            for line in whole:
                self._take(line)
            left = left[-LONGEST_LINE:]
        self._take(left)
        os.close(self._descriptor)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()[:LONGEST_LINE]
        if text:
            self.lines.append(text)
            self._relay(text)

    def last_words(self) -> str:
        """Return the last lines of a process that has ended."""
        self.join(timeout=1)
        return "\n".join(self.lines)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Yield the two ends of a pipe; the writing end is closed on leaving, when a child has it."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(writing)
