"""The tables that the interpreter runs through: the programs of all members, what they keep, and blocks of weights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

from thalweg.evolve.machine.encoding import Encoded
from thalweg.evolve.machine.interpreter import BLOCK, PITCH, Kept, Programs, Scratch, Weights


def programs_of(codes: Sequence[Encoded], tensors: int, total: int) -> Programs:
    """The programs of members with so many tensors and weights. Members of one rule share its code."""
    own = list(dict.fromkeys(codes))
    begins = dict(zip(own, _starts(len(code.code) for code in own), strict=False))
    passes = dict(zip(own, _starts(len(code.passes) for code in own), strict=False))

    def column(values: Iterable[int]) -> np.ndarray:
        return np.fromiter(values, dtype=np.int64, count=len(codes))

    return Programs(
        code=np.concatenate([code.code for code in own]),
        passes=np.concatenate([code.passes + begins[code] for code in own]),
        begin=column(begins[code] for code in codes),
        scalars=column(begins[code] + code.ends[0] for code in codes),
        keeping=column(begins[code] + code.ends[1] for code in codes),
        early=column(begins[code] + code.ends[2] for code in codes),
        first_pass=column(passes[code] for code in codes),
        last_pass=column(passes[code] + len(code.passes) for code in codes),
        first_group=column(0 if code.packed else 1 for code in codes),
        last_group=column(1 if code.packed else 1 + tensors for code in codes),
        slots=_starts(len(code.first) for code in codes),
        tensor_states=_starts(len(code.tensor_states) * tensors for code in codes),
        weight_states=_starts(len(code.weight_states) * total for code in codes),
        slot_count=column(len(code.first) for code in codes),
        tensor_state_count=column(len(code.tensor_states) for code in codes),
    )


def kept_at_first(codes: Sequence[Encoded], programs: Programs, dtype: str) -> Kept:
    """What members whose states all begin at 0 carry into their first step."""
    return Kept(
        np.concatenate([code.first for code in codes]),
        np.zeros(programs.tensor_states[-1], dtype),
        np.zeros(programs.weight_states[-1], dtype),
    )


def kept_by(places: np.ndarray, kept: Kept, programs: Programs) -> Kept:
    """What some of the members carry, in the order of their places."""
    starts = (programs.slots, programs.tensor_states, programs.weight_states)
    pieces = ([flat[at[i] : at[i + 1]] for i in places] for flat, at in zip(kept, starts, strict=True))
    return Kept(*map(np.concatenate, pieces))


@lru_cache(maxsize=64)
def weights_of(sizes: tuple[int, ...]) -> Weights:
    """How a member's tensors of these sizes are cut into blocks; the addresses are still to be filled in.

    The first group is of all tensors one behind another, the others are the tensors.
    """
    offsets = [0, *accumulate(sizes)]
    groups: list[tuple[int, ...]] = []
    blocks: list[tuple[int, ...]] = []
    pieces: list[tuple[int, ...]] = []
    for begin, end in [(0, offsets[-1]), *pairwise(offsets)]:
        first_block = len(blocks)
        for start in range(begin, end, BLOCK):
            first_piece, stop = len(pieces), min(start + BLOCK, end)
            pieces += _pieces(offsets, start, stop)
            blocks.append((start, stop - start, first_piece, len(pieces)))
        groups.append((first_block, len(blocks), end - begin))
    return Weights(
        np.zeros((len(sizes), 2), dtype=np.int64),
        np.array(sizes, dtype=np.int64),
        np.array(groups, dtype=np.int64),
        np.array(blocks, dtype=np.int64).reshape(-1, 4),
        np.array(pieces, dtype=np.int64).reshape(-1, 3),
    )


def _pieces(offsets: list[int], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """The parts of tensors between two weights: which, from which weight of it on, how many."""
    tensor = bisect_right(offsets, start) - 1
    while start < stop:
        end = min(stop, offsets[tensor + 1])
        if end > start:
            yield tensor, start - offsets[tensor], end - start
        start, tensor = end, tensor + 1


def scratch_for(codes: Sequence[Encoded], weights: Weights, dtype: str) -> Scratch:
    """A thread's own memory, enough for every member."""
    registers, slots = (max(sizes) for sizes in zip(*((code.registers, code.slots) for code in codes), strict=True))
    pieces = int(np.diff(weights.blocks[:, 2:]).max(initial=0))
    return Scratch(
        np.zeros((registers, PITCH), dtype),
        np.zeros(slots, dtype),
        np.zeros(slots),
        np.zeros((pieces, 3), dtype=np.int64),
    )


def _starts(lengths: Iterable[int]) -> np.ndarray:
    """Where each of several stretches begins, and where the last one ends: int64, one longer than the lengths."""
    return np.array([0, *accumulate(lengths)], dtype=np.int64)
