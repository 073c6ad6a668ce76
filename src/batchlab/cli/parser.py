"""An argument parser whose mistakes are `UsageError`s, one line each."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from batchlab.errors import UsageError


class Parser(argparse.ArgumentParser):
    """`argparse`'s parser with errors raised, whole option names only and texts printed as they are written."""

    def __init__(self, **keywords: Any) -> None:
        """Take `argparse`'s own keywords."""
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **keywords)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Return what the arguments say; an unknown option is answered with the one nearest to it."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            hint = self._nearest(next((word for word in unknown if word.startswith("-")), ""))
            self.fail(f"unrecognized arguments: {' '.join(unknown)}", f"did you mean {hint}?" if hint else None)
        return found

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` that leads to the help."""
        self.fail(message)

    def fail(self, message: str, advice: str | None = None) -> NoReturn:
        """Raise a `UsageError` with advice, by default to see the help."""
        raise UsageError(f"{message}; {advice or f'see `{self.prog} --help`.'}")

    def _nearest(self, word: str) -> str | None:
        """Return the option whose name is most like this one, without the dashes, which all have in common."""
        names = {option.lstrip("-"): option for option in self._option_string_actions}
        near = difflib.get_close_matches(word.partition("=")[0].lstrip("-"), names, n=1)
        return names[near[0]] if near else None
