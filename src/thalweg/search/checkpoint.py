"""`Checkpoint`: a search in a file, from which the same search goes on."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from thalweg.files import write_atomically
from thalweg.search.checks import checked_number

_FORMAT = "thalweg search 1"
_LONG = 20  # numbers that are written out; more are told by a digest


class Checkpoint:
    """A file that holds one search, named by what it was asked for, and is written every so many seconds.

    Raises ValueError where the file cannot be written, or holds something else, or `every` is no such time.
    """

    def __init__(self, path: str | Path, asked: dict[str, Any], every: float) -> None:
        self.path, self.every = Path(path), checked_number("store_every", every)
        if not self.every >= 0:
            raise ValueError(f"store_every must be >= 0 seconds, got {every!r}")
        self.asked = {name: _in_words(value) for name, value in asked.items()}
        if not self.path.parent.is_dir():
            raise ValueError(f"store must be in a folder that is there, got {str(path)!r}")
        self._saved = monotonic()

    def load(self) -> dict[str, Any] | None:
        """The state of the search that was kept here; None where there is no file."""
        if not self.path.exists():
            return None
        try:
            with warnings.catch_warnings(action="ignore"):  # of torch, on files of another kind
                kept = torch.load(self.path, map_location="cpu", weights_only=True)
            asked, state = kept["asked"], kept[_FORMAT]
        except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(
                f"store must be a file that a search wrote, but {str(self.path)!r} is none: {error!s:.200}"
            ) from error
        for name in asked.keys() | self.asked.keys():
            if asked.get(name) != self.asked.get(name):
                raise ValueError(
                    f"store {str(self.path)!r} holds another search: its {name} is {asked.get(name)}, not "
                    f"{self.asked.get(name)}; ask for the same, or keep this one in another file"
                )
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Keeps the state, whole or not at all."""
        content = io.BytesIO()
        torch.save({"asked": self.asked, _FORMAT: state}, content)
        write_atomically(self.path, content.getvalue())
        self._saved = monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return monotonic() - self._saved >= self.every


def _in_words(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() <= _LONG:
            return str(value.tolist())
        digest = hashlib.sha256(value.double().cpu().contiguous().numpy().tobytes()).hexdigest()
        return f"{tuple(value.shape)} with digest {digest[:16]}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_in_words(part)}" for name, part in value.items())
    return str(value)
