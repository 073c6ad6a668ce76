"""The store at an address: in memory, a SQLite file or a PostgreSQL database."""

import os
from collections.abc import Callable

from batchlab.errors import MissingPackage
from batchlab.studies.mounts import network_advice, read_mounts
from batchlab.studies.store import Store
from batchlab.studies.store_addresses import DEFAULT_STORE, IN_MEMORY, kind_of, store_path


def open_store(
    address: str | os.PathLike[str] = DEFAULT_STORE,
    *,
    create: bool = True,
    on_notice: Callable[[str], None] = lambda _: None,
) -> Store:
    """Return the store at a path, at sqlite:///PATH or in a PostgreSQL database, or a new one in memory for "memory:".

    Args:
        address: where it is.
        create: whether it may be made where there is none yet.
        on_notice: told in a sentence what the user should know of the place, now and later.

    Raises:
        StoreError: the place cannot be used; with `create=False` also where there is no store yet.
    """
    place = kind_of(address)
    if place == "memory":
        from batchlab.studies.memory_store import MemoryStore

        return MemoryStore()
    try:
        from batchlab.studies.sql_file import SqliteFile
        from batchlab.studies.sql_server import PostgresServer
        from batchlab.studies.sql_store import SqlStore
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "A store in a file needs the package sqlalchemy, which is not installed; run `pip install sqlalchemy`, "
            f'or keep the study in memory with the store "{IN_MEMORY}".'
        ) from error
    if place == "server":
        return SqlStore(PostgresServer(os.fspath(address), create=create, on_notice=on_notice), on_notice)
    path = store_path(address)
    if (advice := network_advice(path, read_mounts())) is not None:
        on_notice(advice)
    return SqlStore(SqliteFile(path, create=create), on_notice)
