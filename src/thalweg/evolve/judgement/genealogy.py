"""Where a candidate comes from: its line of descent, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Birth:
    """How a candidate came to be: from which parents, by which operation, in which batch; its equations and score.

    `score` is minus infinity where it was never finite.
    """

    id: int
    parents: tuple[int, ...]
    operation: str
    born: int
    equations: str
    score: float


def line_of_descent(births: Iterable[Birth], of: int) -> tuple[Birth, ...]:
    """From a founder to the candidate, one a generation: of two parents the better, of equals the one named first.

    A parent that there is no record of ends the line. Raises ValueError where the candidate has no record, or where
    somebody is their own ancestor.
    """
    known = _by_id(births, of)
    line, seen = [known[of]], {of}
    while parents := [known[parent] for parent in line[-1].parents if parent in known]:
        parent = max(parents, key=lambda birth: birth.score)  # the first of equals
        if parent.id in seen:
            raise ValueError(f"candidate {parent.id} is its own ancestor; the records are not of one evolution")
        seen.add(parent.id)
        line.append(parent)
    return tuple(reversed(line))


def ancestors(births: Iterable[Birth], of: int) -> tuple[Birth, ...]:
    """The candidate and all that it descends from, oldest first, by batch and then by id.

    Raises ValueError where the candidate has no record.
    """
    known = _by_id(births, of)
    seen, waiting = {of}, [of]
    while waiting:
        new = [parent for parent in known[waiting.pop()].parents if parent in known and parent not in seen]
        seen.update(new)
        waiting += new
    return tuple(sorted((known[one] for one in seen), key=lambda birth: (birth.born, birth.id)))


def _by_id(births: Iterable[Birth], of: int) -> Mapping[int, Birth]:
    known = {birth.id: birth for birth in births}
    if of not in known:
        raise ValueError(f"there is no record of candidate {of!r}; give one of the {len(known)} that are recorded")
    return known
