"""An argument parser whose mistakes are `UsageError`s, one line each."""

import argparse
from typing import Any, NoReturn

from batchlab.errors import UsageError


class Parser(argparse.ArgumentParser):
    """`argparse`'s parser with errors raised, whole option names only and texts printed as they are written."""

    def __init__(self, **keywords: Any) -> None:
        """Take `argparse`'s own keywords."""
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **keywords)

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` that leads to the help."""
        raise UsageError(f"{message}; see `{self.prog} --help`.")
