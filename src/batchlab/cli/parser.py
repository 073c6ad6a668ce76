"""An argument parser whose mistakes are `UsageError`s, one line each and told together."""

import argparse
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from batchlab.errors import UsageError


@dataclass(frozen=True, slots=True)
class _Mistake:
    """Stands in for a value that could not be read."""

    messages: tuple[str, ...]


class Parser(argparse.ArgumentParser):
    """`argparse`'s parser with errors raised, whole option names only and texts printed as they are written."""

    def __init__(self, **keywords: Any) -> None:
        """Take `argparse`'s own keywords."""
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **keywords)

    def add_argument(self, *names: str, **keywords: Any) -> argparse.Action:
        """Add an argument; a `UsageError` of its `type` is kept until all arguments have been read."""
        if "type" in keywords:
            keywords["type"] = _patient(keywords["type"])
        return super().add_argument(*names, **keywords)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Return what the arguments say; an unknown option is answered with the one nearest to it."""
        found, unknown = self.parse_known_args(args, namespace)
        mistakes = [message for value in vars(found).values() for message in _messages(value)]
        if unknown:
            hint = self._nearest(next((word for word in unknown if word.startswith("-")), ""))
            advice = f"did you mean {hint}?" if hint else f"see `{self.prog} --help`."
            mistakes.insert(0, f"unrecognized arguments: {' '.join(unknown)}; {advice}")
        if mistakes:
            raise UsageError(*mistakes)
        return found

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` that leads to the help."""
        raise UsageError(f"{message}; see `{self.prog} --help`.")

    def _nearest(self, word: str) -> str | None:
        """Return the option whose name is most like this one, without the dashes, which all have in common."""
        names = {option.lstrip("-"): option for option in self._option_string_actions}
        near = difflib.get_close_matches(word.partition("=")[0].lstrip("-"), names, n=1)
        return names[near[0]] if near else None


def _patient(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reading(text: str) -> Any:
        try:
            return read(text)
        except UsageError as error:
            return _Mistake(error.mistakes)

    return reading


def _messages(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [value]
    return [message for part in parts if isinstance(part, _Mistake) for message in part.messages]
