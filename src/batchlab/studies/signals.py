"""Ctrl-C while a study runs."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_ctrl_c(on_interrupt: Callable[[bool], None]) -> Iterator[None]:
    """Call `on_interrupt(again)` at each Ctrl-C inside a `with`, with False the first time and True from then on.

    Outside the main thread, where signals cannot be taken, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = False

    def handle(signum: int, frame: object) -> None:
        nonlocal seen
        again, seen = seen, True
        on_interrupt(again)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
