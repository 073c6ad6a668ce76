"""Find a user's text, read it, and cut it by position; torch is not needed for that."""

import os
from dataclasses import dataclass
from pathlib import Path

from batchlab.errors import DataCorrupt, DataMissing

FOLDER = "text"
VALID_SHARE = TEST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class TextParts:
    """A text in three pieces that follow each other."""

    train: str
    valid: str
    test: str


def find_text(data_dir: Path | None = None) -> Path:
    """Return the text file: `data_dir` itself, or the only .txt file in the first folder that has any.

    Folders are `data_dir`/text and `data_dir`; without a `data_dir`, $BATCHLAB_DATA/text and ./data/text.

    Raises:
        DataMissing: there is none, or it is not clear which.
    """
    if data_dir is not None and data_dir.is_file():
        return data_dir
    if data_dir is not None and not data_dir.exists():
        raise DataMissing(
            f"--data must name a text file or a folder that holds one, but there is nothing at {data_dir}; correct the "
            "path."
        )
    folders = _folders(data_dir)
    for folder in folders:
        files = sorted(folder.glob("*.txt"))
        if len(files) > 1:
            raise DataMissing(
                f"A text folder must hold one .txt file, but {folder} holds {len(files)}: "
                f"{', '.join(file.name for file in files)}; name one of them with --data FILE."
            )
        if files:
            return files[0]
    unset = "" if data_dir is not None or os.environ.get("BATCHLAB_DATA") else " (BATCHLAB_DATA is not set)"
    raise DataMissing(
        f"char-lm needs a text file, but there is no .txt file in any of {', '.join(map(str, folders))}{unset}; "
        f"name yours with --data FILE, or put it into {FOLDER}/ in the folder that BATCHLAB_DATA names."
    )


def read_text(path: Path) -> str:
    """Return the text in a UTF-8 file, its lines ended as in Python.

    Raises:
        DataCorrupt: it cannot be read, or is in another encoding.
    """
    try:
        # A byte order mark, which some editors write, is no part of the text.
        return path.read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise DataCorrupt(f"{path} should be readable, but is not: {cause.strerror}; mend its permissions.") from cause
    except UnicodeDecodeError as cause:
        raise DataCorrupt(
            f"{path} should be text in UTF-8, but its byte {cause.start} is not ({cause.reason}); save it as UTF-8."
        ) from None


def cut(text: str) -> TextParts:
    """Return the first 80 % of a text for training, the next 10 % for validation and the last 10 % for testing.

    Cut by position, not at random: pieces next to each other share their words.

    >>> cut("abcdefghij")
    TextParts(train='abcdefgh', valid='i', test='j')
    """
    n_valid, n_test = int(VALID_SHARE * len(text)), int(TEST_SHARE * len(text))
    n_train = len(text) - n_valid - n_test
    return TextParts(text[:n_train], text[n_train : n_train + n_valid], text[n_train + n_valid :])


def _folders(data_dir: Path | None) -> tuple[Path, ...]:
    if data_dir is not None:
        return data_dir / FOLDER, data_dir
    root = os.environ.get("BATCHLAB_DATA")
    return (*((Path(root) / FOLDER,) if root else ()), Path("data").absolute() / FOLDER)
