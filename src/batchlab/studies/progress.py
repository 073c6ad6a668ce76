"""What a running study tells whoever watches it."""

import shlex
from dataclasses import dataclass
from typing import Protocol

from batchlab.records import LIVE_PREFIX, StudySpec
from batchlab.studies.store_addresses import DEFAULT_STORE, IN_MEMORY, store_path


@dataclass(frozen=True, slots=True)
class ProgressState:
    """Where a study stands.

    `total` is the driver's guess while the search for learning rates may still grow. `running` has one short text per
    trial at work, `best` says what leads so far, `seconds_left` is None until there is something to judge by.
    """

    study_name: str
    stage: str
    done: int
    total: int
    running: tuple[str, ...]
    best: str | None
    seconds: float
    seconds_left: float | None


class Progress(Protocol):
    """Someone who watches a study; both calls return quickly."""

    def update(self, state: ProgressState) -> None:
        """Show where the study stands now."""

    def notice(self, text: str) -> None:
        """Show one line that stays."""


class Quiet:
    """Nobody watches."""

    def update(self, state: ProgressState) -> None:
        """Do nothing."""

    def notice(self, text: str) -> None:
        """Do nothing."""


def how_to_go_on(spec: StudySpec, name: str, url: str) -> str:
    """Return what to do to have a study finished that has stopped."""
    if spec.workload.startswith(LIVE_PREFIX):
        return "go on by calling `batchlab.study` again with the same arguments, or `batchlab.resume(workload=...)`"
    place = url.removeprefix("sqlite:///")
    is_default = place in (IN_MEMORY, str(store_path(DEFAULT_STORE)))
    store = "" if is_default else f" --store {shlex.quote(place)}"
    return f"go on with `batchlab resume {shlex.quote(name)}{store}`"


def last_line(text: str | None) -> str:
    """Return the last line of a traceback, which says what was raised."""
    return (text or "").strip().splitlines()[-1] if (text or "").strip() else "nothing was said"
