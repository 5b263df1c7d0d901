"""Published tables measured again: what papers claim, what comes of it here, and a verdict on every number.

A paper is a room of its own with `claims/*.csv` and a `PAPER`. To add one, make its room and name it in `PAPERS`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from importlib import import_module

from thalweg.reproduce.claims import Claim
from thalweg.reproduce.paper import Options, Paper, Part, Picture, Tell
from thalweg.reproduce.records import Measured, Records
from thalweg.reproduce.verdicts import Verdict

__all__ = [
    "ALL_PAPERS",
    "PAPERS",
    "Claim",
    "Measured",
    "Options",
    "Paper",
    "Part",
    "Picture",
    "Records",
    "Tell",
    "Verdict",
    "paper_named",
]


def _paper(name: str) -> Paper:
    return import_module(f"thalweg.reproduce.{name}").PAPER


_NAMES = ("adaswarm", "autolr", "gravity", "objectives", "position_wise", "survey")

ALL_PAPERS = "all"  # in place of a paper's name: every one of them
PAPERS: dict[str, Callable[[], Paper]] = {name: partial(_paper, name) for name in _NAMES}
"""The papers by their names; each is imported when it is called for."""


def paper_named(name: str) -> Paper:
    """The paper of that name, in either spelling. Raises ValueError for another one, with the name nearest to it."""
    key = name.replace("-", "_")
    if key in PAPERS:
        return PAPERS[key]()
    near = difflib.get_close_matches(key, PAPERS, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"paper must be one of {', '.join(PAPERS)}{meant}, got {name!r}")
