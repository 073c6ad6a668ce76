"""Records as JSON, both ways, and the hash that is a record's identity.

`to_json` gives plain JSON types and `from_json` restores the very record, floats to the last bit; infinities and NaN
travel as the strings "inf", "-inf" and "nan".
"""

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Record = TypeVar("Record")

# The metadata of a field that came to a record after some were hashed: at its default it is left out of the hash.
LATER: Mapping[str, bool] = types.MappingProxyType({"later": True})


def to_json(value: Any, *, non_finite: Callable[[float], str | None] = str) -> Any:
    """Return `value` (a record, or anything made of records and plain data) as plain JSON types.

    Args:
        value: what to turn into JSON.
        non_finite: what becomes of infinities and NaN; their names by default, which `from_json` reads back.

    >>> from batchlab.records import Budget
    >>> to_json(Budget("epochs", float("inf")))
    {'kind': 'epochs', 'value': 'inf'}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_json(getattr(value, field.name), non_finite=non_finite) for field in fields}
    if isinstance(value, dict):
        return {str(key): to_json(item, non_finite=non_finite) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item, non_finite=non_finite) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return non_finite(value)
    return value


def from_json(record: type[Record], data: Any) -> Record:
    """Return the record of type `record` that `to_json` turned into `data`.

    >>> from batchlab.records import Budget
    >>> from_json(Budget, {"kind": "epochs", "value": "inf"})
    Budget(kind='epochs', value=inf)

    Raises:
        ValueError: `data` has another format number than `record`.
    """
    return typing.cast(Record, _restore(record, data))


def identity(record: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the record's canonical JSON.

    Fields with the metadata `LATER` count from the day they are used: what was hashed before keeps its identity.
    """
    plain = {
        field.name: to_json(getattr(record, field.name))
        for field in dataclasses.fields(record)
        if not (field.metadata.get("later") and getattr(record, field.name) == field.default)
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _hints(record: type) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _restore(kind: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _restore_record(kind, data)
    if data is None:
        return None
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        kinds = [args[0]] * len(data) if len(args) == 2 and args[1] is Ellipsis else list(args)
        return tuple(_restore(item, value) for item, value in zip(kinds, data, strict=True))
    if origin in (typing.Union, types.UnionType):
        return _restore_member(args, data)
    if kind is float:
        return float(data)
    return data


def _restore_member(kinds: tuple[Any, ...], data: Any) -> Any:
    if isinstance(data, list):
        return _restore(next(kind for kind in kinds if typing.get_origin(kind) is tuple), data)
    if isinstance(data, dict):
        return _restore(next(kind for kind in kinds if dataclasses.is_dataclass(kind)), data)
    if isinstance(data, str) and str in kinds:
        return data
    if float in kinds and int not in kinds:
        return float(data)
    return data


def _restore_record(record: type, data: dict[str, Any]) -> Any:
    hints = _hints(record)
    expected = next((f.default for f in dataclasses.fields(record) if f.name == "format"), None)
    if expected is not None and data.get("format") != expected:
        raise ValueError(f"expected a record of format {expected}, got {data.get('format')!r}")
    return record(**{name: _restore(hints[name], value) for name, value in data.items()})
