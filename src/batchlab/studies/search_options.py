"""How learning rates are searched, and what a race to a target confirms: the options, read."""

from collections.abc import Mapping
from typing import Any

from batchlab.errors import UsageError
from batchlab.studies.option_values import one_of

SEARCHES = ("grid", "model")
CONFIRM = ("contenders", "all")


def read_search(value: Any, needs: Mapping[str, bool]) -> str:
    """Return the search asked for.

    Args:
        value: grid, or model for a race to the target.
        needs: what the model search needs, in words, and whether the study has it.
    """
    missing = [need for need, is_met in needs.items() if not is_met]
    if one_of("search", value, SEARCHES) == "model" and missing:
        raise UsageError(f"The model search needs {' and '.join(missing)}, got a study without; use grid.")
    return str(value)


def read_confirm(value: Any) -> str:
    """Return which batch sizes a race confirms."""
    return one_of("confirm", value, CONFIRM)
