"""Images at a scale: of each data set the first ones, which are in no order, averaged over squares of pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch.nn.functional import avg_pool2d

from thalweg.race.seeds import Seed, Stream
from thalweg.tasks import Examples
from thalweg.tasks.folder import data_folder
from thalweg.tasks.images import ImageData, ImageSet
from thalweg.tasks.vision import IMAGE_SETS

CIFAR_BATCH = 10_000  # images in a file of CIFAR-10


@dataclass(frozen=True)
class Amount:
    """How many images train, validate and test (None: all that there are of the test part), each shrunk to 1/`shrink`
    of its height and width."""

    train: int
    validation: int
    test: int | None
    shrink: int


@dataclass(frozen=True)
class Parts:
    """What trains, what chooses the weights, and what tests."""

    train: Examples
    validation: Examples
    test: Examples


def parts_of(name: str, data_dir: Path | None, amount: Amount, seed: Seed) -> Parts:
    """A data set as a seed cuts it, less the mean image of what trains. Raises DataMissing."""
    both, test = read_images(name, data_dir, amount)
    rows = torch.randperm(len(both), generator=seed.generator(Stream.SPLIT))
    train, validation = both[rows[: amount.train]], both[rows[amount.train :]]
    mean = train.inputs.mean(dim=0)
    return Parts(*(Examples(part.inputs - mean, part.targets) for part in (train, validation, test)))


def training_images(name: str, data_dir: Path | None, amount: Amount) -> Examples:
    """Those that train and validate, uncut and from 0 to 1. Raises DataMissing."""
    return read_images(name, data_dir, amount)[0]


@lru_cache(maxsize=2)
def read_images(name: str, data_dir: Path | None, amount: Amount) -> tuple[Examples, Examples]:
    """Those that train and validate, and those that test, from 0 to 1. Raises DataMissing."""
    return first_images(IMAGE_SETS[name], data_dir, amount.train + amount.validation, amount.test, amount.shrink)


def first_images(
    images: ImageSet, data_dir: Path | None, train: int | None, test: int | None, shrink: int
) -> tuple[Examples, Examples]:
    """So many of both parts of a data set (None: all), shrunk. Raises DataMissing."""
    folder = data_folder(data_dir)
    read = images if train is None else _beginning(images, train)
    parts = ImageData(read, "train", folder)()[:train], ImageData(images, "test", folder)()[:test]
    return _shrunk(parts[0], shrink), _shrunk(parts[1], shrink)


def _beginning(images: ImageSet, count: int) -> ImageSet:
    """The same set with no more training files than so many images take: CIFAR's take long to unpack."""
    files = -(-count // CIFAR_BATCH)
    forms = (replace(form, train=form.train[:files]) if form.decode == "cifar" else form for form in images.forms)
    return replace(images, forms=tuple(forms))


def _shrunk(part: Examples, pixels: int) -> Examples:
    return Examples(avg_pool2d(part.inputs, pixels), part.targets) if pixels > 1 else part
