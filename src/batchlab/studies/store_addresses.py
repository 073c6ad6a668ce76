"""Where a store is: the address that a user gives, and what of it may be shown."""

import os
import re
from pathlib import Path
from typing import Literal

from batchlab.errors import StoreError

DEFAULT_STORE = "batchlab.db"
IN_MEMORY = "memory:"
SERVER_EXAMPLE = "postgresql+psycopg://USER@HOST/DATABASE"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SERVER_SCHEMES = ("postgresql+psycopg", "postgresql", "postgres")
# Up to the last @: a password with an @ in it is wrong in an address, and is still not to be seen.
_PASSWORD = re.compile(r"(?<=://)([^:/?@]*):.*@")
_PASSWORD_OPTION = re.compile(r"([?&])[^=&]*password=[^&]*", re.IGNORECASE)


def kind_of(address: str | os.PathLike[str]) -> Literal["memory", "file", "server"]:
    """Return what an address means.

    >>> kind_of("batchlab.db"), kind_of("postgresql+psycopg://ann@db.example.org/studies")
    ('file', 'server')

    Raises:
        StoreError: it names another kind of database.
    """
    text = os.fspath(address)
    if text == IN_MEMORY:
        return "memory"
    scheme = _SCHEME.match(text)
    if scheme is None or text.startswith("sqlite:///"):
        return "file"
    if scheme.group(1).lower() in _SERVER_SCHEMES:
        return "server"
    # Only the scheme is repeated: an address may hold a password.
    raise StoreError(
        f"A store is a path, sqlite:///PATH or {SERVER_EXAMPLE}, got an address that starts with {scheme.group()}; "
        f"give a path, as in {DEFAULT_STORE}."
    )


def store_path(address: str | os.PathLike[str]) -> Path:
    """Return the absolute path that a path or sqlite:///PATH means.

    >>> store_path("sqlite:////data/batchlab.db").as_posix()
    '/data/batchlab.db'
    """
    path = os.fspath(address).removeprefix("sqlite:///")
    if not path:
        raise StoreError(f"A store is a file, got an empty path; give one, as in {DEFAULT_STORE}.")
    return Path(path).expanduser().absolute()


def server_address(address: str) -> str:
    """Return the address of a server with the one driver that is supported."""
    return f"postgresql+psycopg://{address.partition('://')[2]}"


def shown(address: str | os.PathLike[str]) -> str:
    """Return what people may see of an address: a path in full, a server without its password.

    >>> shown("postgresql://ann:secret@db.example.org/studies?sslmode=require")
    'postgresql+psycopg://ann:***@db.example.org/studies?sslmode=require'
    """
    kind = kind_of(address)
    if kind == "server":
        text = _PASSWORD.sub(r"\1:***@", server_address(os.fspath(address)))
        return _PASSWORD_OPTION.sub(r"\1password=***", text)
    return str(store_path(address)) if kind == "file" else IN_MEMORY
