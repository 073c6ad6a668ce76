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
Restorer = Callable[[Any], Any]

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
    # In the order of how often they come: a trial's curve is hundreds of numbers.
    if isinstance(value, float):
        return value if math.isfinite(value) else non_finite(value)
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [to_json(item, non_finite=non_finite) for item in value]
    if isinstance(value, dict):
        return {str(key): to_json(item, non_finite=non_finite) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name), non_finite=non_finite) for name in _names(type(value))}
    return value


def from_json(record: type[Record], data: Any) -> Record:
    """Return the record of type `record` that `to_json` turned into `data`.

    >>> from batchlab.records import Budget
    >>> from_json(Budget, {"kind": "epochs", "value": "inf"})
    Budget(kind='epochs', value=inf)

    Raises:
        ValueError: `data` has another format number than `record`.
    """
    kind: Any = record
    return typing.cast(Record, _restorer(kind)(data))


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
def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(record))


@functools.cache
def _restorer(kind: Any) -> Restorer:
    """Return what restores values of a type from JSON; types are looked at once, values by the million."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _restorer_of_record(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        each = _restorer(args[0])
        return lambda data: tuple(map(each, data))
    if origin is tuple:
        parts = [_restorer(item) for item in args]
        return lambda data: tuple(restore(value) for restore, value in zip(parts, data, strict=True))
    if origin in (typing.Union, types.UnionType):
        return _restorer_of_member(args)
    return float if kind is float else _as_it_is


def _restorer_of_member(kinds: tuple[Any, ...]) -> Restorer:
    """Return what restores a value that has one of several types, told by its JSON type."""
    lists = next((_restorer(kind) for kind in kinds if typing.get_origin(kind) is tuple), _as_it_is)
    records: list[Any] = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    objects = _restorer(records[0]) if records else _as_it_is
    texts = _as_it_is if str in kinds or float not in kinds else float
    numbers = float if float in kinds and int not in kinds else _as_it_is

    def restore(data: Any) -> Any:
        if data is None or isinstance(data, bool):
            return data
        if isinstance(data, str):
            return texts(data)
        return (lists if isinstance(data, list) else objects if isinstance(data, dict) else numbers)(data)

    return restore


def _restorer_of_record(record: type) -> Restorer:
    hints = typing.get_type_hints(record)
    restorers = {name: _restorer(hints[name]) for name in _names(record)}
    expected = next((field.default for field in dataclasses.fields(record) if field.name == "format"), None)

    def restore(data: dict[str, Any]) -> Any:
        if expected is not None and data.get("format") != expected:
            raise ValueError(f"expected a record of format {expected}, got {data.get('format')!r}")
        return record(**{name: restorers[name](value) for name, value in data.items()})

    return restore


def _as_it_is(data: Any) -> Any:
    return data
