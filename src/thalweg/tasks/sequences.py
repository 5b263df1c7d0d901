"""Tasks over sequences of tokens: modular addition, and the next character of any text."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thalweg.tasks.examples import Examples
from thalweg.tasks.folder import DataMissing
from thalweg.tasks.hashes import file_hash
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import gru, transformer
from thalweg.tasks.task import Task

MODULUS = 31  # sums that were held out are learnt in 60 epochs with weight decay; with 23 numbers not in 240
WINDOW = 32  # characters
STRETCHES = (0.8, 0.1, 0.1)  # of a text: the first trains, the second validates, the last tests
FEWEST_WINDOWS = 4  # in each stretch
Part = Literal["train", "val", "test"]
Kind = Literal["transformer", "gru"]


def modular_addition() -> Task:
    """a + b modulo 31 from the tokens a and b: all 961 pairs (Power et al. 2022), for a small transformer."""
    model = partial(transformer, MODULUS, 2, MODULUS, width=32, heads=4, layers=1)
    return _modular_addition(model, "modular_addition", "Modular addition, transformer", epochs=60)


def modular_addition_gru() -> Task:
    """a + b modulo 31 from the tokens a and b: all 961 pairs (Power et al. 2022), for a recurrent network."""
    model = partial(gru, MODULUS, MODULUS, width=64)
    return _modular_addition(model, "modular_addition_gru", "Modular addition, GRU", epochs=80)


def characters(path: str | Path, network: Kind = "transformer") -> Task:
    """The next character, at each of the 32 places of a window, in a text file in UTF-8.

    The text is cut into three consecutive stretches, 80/10/10, and each of them into windows that do not overlap; so no
    character is in two of them. The alphabet is that of the whole text, in the order of Unicode. Raises DataMissing
    where there is no such file, ValueError where it is no text or too short a one.
    """
    path = Path(path).expanduser().absolute()
    stretches = _Text(path, "train"), _Text(path, "val"), _Text(path, "test")
    gru_or_not = "_gru" if network == "gru" else ""
    return Task(
        partial(_character_network, path, network),
        cross_entropy,
        *stretches,
        metric=ACCURACY,
        name=f"chars{gru_or_not}_{_plain(path.stem)}",
        title=f"Characters of {path.name}, {'GRU' if network == 'gru' else 'transformer'}",
        batch_size=64,
        epochs=5,
        source=str(path),
    )


def _modular_addition(model: Callable[[torch.Generator], nn.Module], name: str, title: str, epochs: int) -> Task:
    return Task(
        model,
        cross_entropy,
        _sums,
        metric=ACCURACY,
        name=name,
        title=title,
        batch_size=64,
        epochs=epochs,
        source="all pairs, made here",
    )


@cache
def _sums() -> Examples:
    numbers = torch.arange(MODULUS)
    pairs = torch.cartesian_prod(numbers, numbers)
    return Examples(pairs, pairs.sum(dim=1) % MODULUS)


@dataclass(frozen=True)
class _Text:
    """One stretch of a text file, as windows of token numbers and of those one place further."""

    path: Path
    part: Part

    def __call__(self) -> Examples:
        self.look()
        _, tokens = _read(self.path)
        sizes = [int(share * len(tokens)) for share in STRETCHES[1:]]
        stretch = tokens.split([len(tokens) - sum(sizes), *sizes])[("train", "val", "test").index(self.part)]
        windows = (len(stretch) - 1) // WINDOW
        if windows < FEWEST_WINDOWS:
            needed = round(FEWEST_WINDOWS * (WINDOW + 1) / min(STRETCHES))
            raise ValueError(f"{self.path} is too short: it has {len(tokens)} characters and needs {needed}")
        inputs, targets = stretch[: windows * WINDOW], stretch[1 : windows * WINDOW + 1]
        return Examples(inputs.reshape(windows, WINDOW), targets.reshape(windows, WINDOW))

    def checksums(self) -> dict[str, str]:
        self.look()
        return {self.path.name: file_hash(self.path)}

    def look(self) -> None:
        if not self.path.is_file():
            raise DataMissing(f"there is no text file {self.path}: give the path of one, as in chars:my_text.txt")


@cache
def _read(path: Path) -> tuple[str, Tensor]:
    """The alphabet of a text, and its characters as numbers in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    points = torch.frombuffer(bytearray(text.encode("utf-32-le")), dtype=torch.int32) if text else torch.zeros(0)
    alphabet, tokens = points.unique(return_inverse=True)
    return "".join(map(chr, alphabet.tolist())), tokens


def _character_network(path: Path, network: Kind, generator: torch.Generator) -> nn.Module:
    size = len(_read(path)[0])
    if network == "gru":
        return gru(size, size, generator, width=64, every_place=True)
    return transformer(size, WINDOW, size, generator, width=64, heads=4, layers=1, every_place=True)


def _plain(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
