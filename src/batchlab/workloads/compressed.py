"""Read a data file, compressed or not."""

import gzip
import zlib
from pathlib import Path

from batchlab.errors import DataCorrupt


def read_bytes(path: Path) -> bytes:
    """Return what is in a file; where its name ends in .gz, what was compressed.

    Raises:
        DataCorrupt: it cannot be read, or is not a complete gzip file.
    """
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise DataCorrupt(f"{path} should be readable, but is not: {cause.strerror}; mend its permissions.") from cause
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise DataCorrupt(
            f"{path} should be a complete gzip file, but ends early: it is truncated; replace it by a complete copy."
        ) from None
    except (gzip.BadGzipFile, zlib.error) as cause:
        raise DataCorrupt(
            f"{path} should be a gzip file, as its name ends in .gz, but it is not or is damaged ({cause}); "
            "replace it, or drop .gz from its name if it is not compressed."
        ) from None
