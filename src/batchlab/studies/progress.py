"""What a running study tells whoever watches it."""

from dataclasses import dataclass
from typing import Protocol


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
