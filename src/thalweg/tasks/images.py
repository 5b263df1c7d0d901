"""Reading images from the original files: MNIST's IDX, CIFAR's batches, packed or not, alone or in their archive."""

import gzip
import hashlib
import lzma
import pickle
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from thalweg.tasks.examples import Examples
from thalweg.tasks.folder import VARIABLE, data_missing

Part = Literal["train", "test"]
Arrays = tuple[np.ndarray, np.ndarray]  # images (n, channels, height, width) and labels (n,), both uint8

UNPACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.decompress, ".xz": lzma.decompress}
IDX_IMAGES, IDX_LABELS = 0x803, 0x801  # the first four bytes: unsigned bytes in three dimensions, and in one
PIXELS = 255


@dataclass(frozen=True)
class Piece:
    """A file: its name when unpacked, and the checksum of what is in it then, as "sha256:..."."""

    name: str
    checksum: str


@dataclass(frozen=True)
class Form:
    """One of the forms in which a data set is distributed: the pieces of each part, and how they are decoded.

    Each image of CIFAR has `labels` of them, of which number `label` is the class.
    """

    train: tuple[Piece, ...]
    test: tuple[Piece, ...]
    decode: Literal["idx", "cifar", "cifar python"]
    labels: int = 1
    label: int = 0
    archive: str | None = None  # a tar file that may stand in place of the pieces

    def pieces(self, part: Part) -> tuple[Piece, ...]:
        return self.train if part == "train" else self.test

    def decoded(self, contents: list[bytes]) -> Arrays:
        """Images and labels from the bytes of all pieces of a part."""
        if self.decode == "idx":
            return idx(*contents)
        if self.decode == "cifar":
            return cifar(contents, self.labels, self.label)
        return cifar_python(contents, self.label)


@dataclass(frozen=True)
class ImageSet:
    """A data set of images: its folder below the data folder, its shape, and the forms its files may have there."""

    title: str
    folder: str
    shape: tuple[int, int, int]
    classes: int
    forms: tuple[Form, ...]
    origin: str


@dataclass(frozen=True)
class ImageData:
    """The examples of a part, read when they are first called for: inputs x/255, float32 of (n, channels, h, w)."""

    images: ImageSet
    part: Part
    folder: Path | None

    def __call__(self) -> Examples:
        images, labels = _read(self)[0]
        return Examples(torch.from_numpy(images).to(torch.float32) / PIXELS, torch.from_numpy(labels).to(torch.int64))

    def checksums(self) -> dict[str, str]:
        """The SHA-256 of each file when unpacked."""
        return _read(self)[1]

    def look(self) -> None:
        """Raises DataMissing where the files are not there; reads none."""
        _found(self)


def idx(images: bytes, labels: bytes) -> Arrays:
    """Images and labels from the two files of MNIST's format."""
    kind, count, height, width = struct.unpack(">4I", images[:16])
    label_kind, label_count = struct.unpack(">2I", labels[:8])
    if (kind, label_kind) != (IDX_IMAGES, IDX_LABELS) or count != label_count:
        raise ValueError(f"not IDX files of as many images as labels: {images[:16].hex()} and {labels[:8].hex()}")
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(count, 1, height, width)
    return pixels.copy(), np.frombuffer(labels, np.uint8, offset=8).copy()


def cifar(contents: list[bytes], labels: int, label: int) -> Arrays:
    """Images and one label of each from CIFAR's binary batches: records of a byte a label, then the image's planes."""
    records = np.concatenate([np.frombuffer(content, np.uint8) for content in contents])
    records = records.reshape(-1, labels + 3 * 32 * 32)
    return records[:, labels:].reshape(-1, 3, 32, 32).copy(), records[:, label].copy()


def cifar_python(contents: list[bytes], label: int) -> Arrays:
    """Images and labels from CIFAR-100's Python batches: pickles, of which nothing is run but what makes an array."""
    batches = [_ArraysOnly(BytesIO(content), encoding="bytes").load() for content in contents]
    images = np.concatenate([batch[b"data"] for batch in batches])
    numbers = np.concatenate([batch[(b"coarse_labels", b"fine_labels")[label]] for batch in batches])
    return images.reshape(-1, 3, 32, 32).astype(np.uint8), numbers.astype(np.uint8)


class _ArraysOnly(pickle.Unpickler):
    """Refuses whatever a pickle names beyond NumPy's arrays: another pickle could run any program."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "_reconstruct": np.zeros(0).__reduce__()[0],
            "ndarray": np.ndarray,
            "dtype": np.dtype,
            "encode": lambda text, encoding: text.encode(encoding),
        }
        if name not in known or module.split(".")[0] not in ("numpy", "_codecs"):
            raise pickle.UnpicklingError(f"an array of images has no need of {module}.{name}")
        return known[name]


@cache
def _read(data: ImageData) -> tuple[Arrays, dict[str, str]]:
    images = data.images
    form, paths = _found(data)
    contents = [_content(path, piece) for path, piece in zip(paths, form.pieces(data.part), strict=True)]
    for path, piece, content in zip(paths, form.pieces(data.part), contents, strict=True):
        algorithm, _, expected = piece.checksum.partition(":")
        found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise ValueError(
                f"{path} does not hold the original {piece.name}: its {algorithm} is {found}, expected {expected}"
            )
    pixels, labels = form.decoded(contents)
    if pixels.shape[1:] != images.shape or len(pixels) != len(labels) or labels.max() >= images.classes:
        raise ValueError(
            f"{images.title} should have images of {images.shape} in {images.classes} classes, but {data.folder} holds "
            f"{pixels.shape} with {len(labels)} labels up to {labels.max()}"
        )
    names = [f"{images.folder}/{piece.name}" for piece in form.pieces(data.part)]
    sums = [hashlib.sha256(content).hexdigest() for content in contents]
    return (pixels, labels), dict(zip(names, sums, strict=True))


def _found(data: ImageData) -> tuple[Form, list[Path]]:
    """The first form of which all pieces of the part are there, and the file of each piece. Raises DataMissing."""
    images = data.images
    folder = data.folder / images.folder if data.folder else None
    for form in images.forms:
        paths = [_path(folder, piece, form.archive) if folder else None for piece in form.pieces(data.part)]
        there = [path for path in paths if path is not None]
        if len(there) == len(paths):
            return form, there
    wanted = " or ".join(f"{images.folder}/{form.pieces(data.part)[0].name}" for form in images.forms)
    raise data_missing(
        images.title,
        data.folder,
        wanted,
        f"name a folder that holds it, as it is or packed (.gz, .xz), by --data-dir or {VARIABLE}",
        f"download {images.origin} and put its files into {images.folder}/ of such a folder",
    )


def _path(folder: Path, piece: Piece, archive: str | None) -> Path | None:
    names = [*(f"{piece.name}{ending}" for ending in UNPACK), *([archive] if archive else [])]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _content(path: Path, piece: Piece) -> bytes:
    """The unpacked bytes of a piece from its own file, or from an archive that has it."""
    try:
        if path.name.removeprefix(piece.name) in UNPACK:
            return UNPACK[path.name.removeprefix(piece.name)](path.read_bytes())
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile() and Path(member.name).name == piece.name:
                    file = tar.extractfile(member)
                    return file.read() if file else b""
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from error
    raise ValueError(f"{path} has no file {piece.name} in it")
