"""`Checkpoint`: a search in a file, from which the same search goes on."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from thalweg.files import write_atomically
from thalweg.search.checks import checked_number

_FORMAT = "thalweg search 1"
_SPARING = 20.0  # times as long as the last copy of the state took, no other is made
_LONG = 20  # numbers that are written out; more are told by a digest
_LINE = 80  # letters that are


class Checkpoint:
    """A file that holds one search, named by what it was asked for, and is written every so many seconds.

    In between the state is kept in memory, as often as that takes little of the time, and written when whatever is done
    within `guarded` ends by an exception, Ctrl-C too: so the file never holds half a step.

    Raises ValueError where the file cannot be written, or holds something else, or `every` is no such time.
    """

    def __init__(self, path: str | Path, asked: dict[str, Any], every: float) -> None:
        try:
            self.path = Path(path)
        except TypeError as error:
            raise ValueError(f"store must be the path of a file, got {path!r:.80}") from error
        self.every = checked_number("store_every", every)
        if not self.every >= 0:
            raise ValueError(f"store_every must be >= 0 seconds, got {every!r}")
        self.asked = {name: _in_words(value) for name, value in asked.items()}
        if not self.path.parent.is_dir():
            raise ValueError(f"store must be in a folder that is there, got {str(path)!r}")
        self._saved = monotonic()
        self._whole: dict[str, Any] | None = None  # the last whole state, where the file has an older one
        self._rests_until = 0.0

    def load(self) -> dict[str, Any] | None:
        """The state of the search that was kept here; None where there is no file."""
        if not self.path.exists():
            return None
        asked, state = self._read()
        for name in self.asked | asked:  # in our order, which has first what says most
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
        self._saved, self._whole = monotonic(), None

    def take(self, state: Callable[[], dict[str, Any]]) -> None:
        """Is told when a step is done, and the state, which `state` copies, is whole."""
        begun = monotonic()
        if self.due:
            self.save(state())
        elif begun >= self._rests_until:
            self._whole = state()
            self._rests_until = monotonic() + _SPARING * (monotonic() - begun)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Around steps: where one raises, the last whole state is written."""
        try:
            yield
        except BaseException:
            if self._whole is not None:
                self.save(self._whole)
            raise

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return monotonic() - self._saved >= self.every

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a search was asked for, and its state."""
        refusal = f"store must be a file that a search wrote, but {str(self.path)!r}"
        try:
            with warnings.catch_warnings(action="ignore"):  # of torch, on files of another kind
                kept = torch.load(self.path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise ValueError(f"{refusal} cannot be read: {error.strerror or error}") from error
        except Exception as error:  # whatever torch's reader raises on other bytes; what it says is a page on pickles
            raise ValueError(f"{refusal} is none; name another one, or remove it") from error
        if not isinstance(kept, dict) or not kept.keys() >= {"asked", _FORMAT}:
            raise ValueError(f"{refusal} is none; name another one, or remove it")
        return kept["asked"], kept[_FORMAT]


def _in_words(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() <= _LONG:
            return str(value.tolist())
        digest = hashlib.sha256(value.double().cpu().contiguous().numpy().tobytes()).hexdigest()
        return f"{tuple(value.shape)} with digest {digest[:16]}"
    if isinstance(value, str) and len(value) > _LINE:
        digest = hashlib.sha256(value.encode()).hexdigest()
        return f"{' '.join(value.split())[:_LINE]}... with digest {digest[:16]}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_in_words(part)}" for name, part in value.items())
    return str(value)
