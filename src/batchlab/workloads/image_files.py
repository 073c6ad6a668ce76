"""Where the IDX files of MNIST and Fashion-MNIST are looked for; torch is not needed to find out."""

import os
from dataclasses import dataclass
from pathlib import Path

from batchlab.errors import DataMissing

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILE_NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """An image data set: its names, more places where it may lie, how to get it, mean and sd of its pixels in 0..1."""

    title: str
    folder: str
    torchvision_folder: str
    pixel_mean: float
    pixel_sd: float
    more_places: tuple[str, ...] = ()
    advice: str = ""


MNIST = ImageSet("MNIST", "mnist", "MNIST", pixel_mean=0.1307, pixel_sd=0.3081)
FASHION_MNIST = ImageSet(
    "Fashion-MNIST",
    "fashion-mnist",
    "FashionMNIST",
    pixel_mean=0.2860,
    pixel_sd=0.3530,
    more_places=("~/.keras/datasets/fashion-mnist", "/usr/share/datasets/fashion-mnist"),
    advice="`apt install dataset-fashion-mnist` puts them in place on Debian and Ubuntu; elsewhere ",
)


def places(image_set: ImageSet, data_dir: Path | None = None) -> tuple[Path, ...]:
    """Return the folders that may hold the four files, in the order in which they are tried.

    A `data_dir` is the only place then: its subfolders first, as the two data sets have the same file names. Without
    one: under $BATCHLAB_DATA, then torchvision's usual ./data, then where other packages put the files.
    """
    inside = (Path(image_set.folder), Path(image_set.torchvision_folder) / "raw")
    if data_dir is not None:
        return (*(data_dir / folder for folder in inside), data_dir)
    root = os.environ.get("BATCHLAB_DATA")
    own = tuple(Path(root) / folder for folder in inside) if root else ()
    more = tuple(Path(place).expanduser() for place in image_set.more_places)
    return (*own, *(Path("data").absolute() / folder for folder in inside), *more)


def find_files(image_set: ImageSet, data_dir: Path | None = None) -> dict[str, Path]:
    """Return the path of each of FILE_NAMES, all in the first place that has the four of them, plain or as .gz.

    Raises:
        DataMissing: no place has them; the message names all places and says how to get the files.
    """
    tried = places(image_set, data_dir)
    for place in tried:
        files = _files_in(place)
        if len(files) == len(FILE_NAMES):
            return files
    raise DataMissing(_missing(image_set, tried, given=data_dir is not None))


def _files_in(place: Path) -> dict[str, Path]:
    candidates = [(name, place / f"{name}{suffix}") for name in FILE_NAMES for suffix in (".gz", "")]
    return {name: path for name, path in candidates if path.is_file()}


def _missing(image_set: ImageSet, tried: tuple[Path, ...], *, given: bool) -> str:
    looked = ", ".join(f"{place}{_lacks(place)}" for place in tried)
    unset = "" if given or os.environ.get("BATCHLAB_DATA") else " (BATCHLAB_DATA is not set)"
    return (
        f"{image_set.title} needs the files {', '.join(FILE_NAMES[:-1])} and {FILE_NAMES[-1]} (plain or .gz) in one "
        f"folder, but they are not in any of {looked}{unset}; {image_set.advice}put them into one folder and name it "
        f"with --data DIR, or set BATCHLAB_DATA to the folder above {image_set.folder}/."
    )


def _lacks(place: Path) -> str:
    files = _files_in(place)
    return f" (lacks {', '.join(name for name in FILE_NAMES if name not in files)})" if files else ""
