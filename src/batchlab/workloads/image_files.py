"""Where the files of MNIST, Fashion-MNIST and CIFAR-10 are looked for; torch is not needed to find out."""

import os
from dataclasses import dataclass
from pathlib import Path

from batchlab.errors import DataMissing

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILE_NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
CIFAR_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
CIFAR_TEST = "test_batch.bin"


@dataclass(frozen=True, slots=True)
class ImageSet:
    """An image data set: its names, files, more places where it may lie, how to get it, and its pixels.

    Args:
        title: as printed.
        folders: inside a folder of data sets, ours first, then the usual one.
        pixel_mean, pixel_sd: of the training images, pixels in 0..1, one of each a channel.
        file_names: all of them, plain or as .gz, lie in one folder.
        more_places: outside the folders of data sets.
        advice: how to get it, the beginning of a sentence.
    """

    title: str
    folders: tuple[str, ...]
    pixel_mean: tuple[float, ...]
    pixel_sd: tuple[float, ...]
    file_names: tuple[str, ...] = FILE_NAMES
    more_places: tuple[str, ...] = ()
    advice: str = ""


MNIST = ImageSet("MNIST", ("mnist", "MNIST/raw"), pixel_mean=(0.1307,), pixel_sd=(0.3081,))
FASHION_MNIST = ImageSet(
    "Fashion-MNIST",
    ("fashion-mnist", "FashionMNIST/raw"),
    pixel_mean=(0.2860,),
    pixel_sd=(0.3530,),
    more_places=("~/.keras/datasets/fashion-mnist", "/usr/share/datasets/fashion-mnist"),
    advice="`apt install dataset-fashion-mnist` puts them in place on Debian and Ubuntu; elsewhere ",
)
CIFAR10 = ImageSet(
    "CIFAR-10",
    ("cifar10", "cifar-10-batches-bin"),
    pixel_mean=(0.4914, 0.4822, 0.4465),
    pixel_sd=(0.2470, 0.2435, 0.2616),
    file_names=(*CIFAR_TRAIN, CIFAR_TEST),
    advice="they are those of the binary version, cifar-10-binary.tar.gz (cifar-10-batches-py is another format); ",
)


def places(image_set: ImageSet, data_dir: Path | None = None) -> tuple[Path, ...]:
    """Return the folders that may hold the files, in the order in which they are tried.

    A `data_dir` is the only place then: its subfolders first, as some data sets have the same file names. Without
    one: under $BATCHLAB_DATA, then torchvision's usual ./data, then where other packages put the files.
    """
    inside = image_set.folders
    if data_dir is not None:
        return (*(data_dir / folder for folder in inside), data_dir)
    root = os.environ.get("BATCHLAB_DATA")
    own = tuple(Path(root) / folder for folder in inside) if root else ()
    more = tuple(Path(place).expanduser() for place in image_set.more_places)
    return (*own, *(Path("data").absolute() / folder for folder in inside), *more)


def find_files(image_set: ImageSet, data_dir: Path | None = None) -> dict[str, Path]:
    """Return the path of each file by its name, all in the first place that has all of them, plain or as .gz.

    Raises:
        DataMissing: no place has them; the message names all places and says how to get the files.
    """
    tried = places(image_set, data_dir)
    for place in tried:
        files = _files_in(place, image_set.file_names)
        if len(files) == len(image_set.file_names):
            return files
    raise DataMissing(_missing(image_set, tried, given=data_dir is not None))


def _files_in(place: Path, names: tuple[str, ...]) -> dict[str, Path]:
    candidates = [(name, place / f"{name}{suffix}") for name in names for suffix in (".gz", "")]
    return {name: path for name, path in candidates if path.is_file()}


def _missing(image_set: ImageSet, tried: tuple[Path, ...], *, given: bool) -> str:
    names = image_set.file_names
    looked = ", ".join(f"{place}{_lacks(place, names)}" for place in tried)
    unset = "" if given or os.environ.get("BATCHLAB_DATA") else " (BATCHLAB_DATA is not set)"
    return (
        f"{image_set.title} needs the files {', '.join(names[:-1])} and {names[-1]} (plain or .gz) in one "
        f"folder, but they are not in any of {looked}{unset}; {image_set.advice}put them into one folder and name it "
        f"with --data DIR, or set BATCHLAB_DATA to the folder above {image_set.folders[0]}/."
    )


def _lacks(place: Path, names: tuple[str, ...]) -> str:
    files = _files_in(place, names)
    return f" (lacks {', '.join(name for name in names if name not in files)})" if files else ""
