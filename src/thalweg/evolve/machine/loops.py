"""The machine's loop: every member's instructions over its weights.

Written once, and bound by `interpreter` to a dtype of weights and to what depends on it. Where memory is known by its
address, the address is good: `Machine` has checked what lies there.
"""

from __future__ import annotations

from typing import Any

from thalweg.evolve.machine.opcodes import STATES

# Stand-ins for what is another for each dtype: the dtype and its size, casts, and the branches of `dispatch`.
_T: Any = None
_ITEM: Any = None
_pointer: Any = None
carray: Any = None
scalar_values: Any = None
values: Any = None
block: Any = None


def run(programs, weights, kept, scratch, clocks, active, first, last):  # type: ignore[no-untyped-def]
    """Steps the members from `first` to before `last`."""
    code, passes, groups, blocks = programs.code, programs.passes, weights.groups, weights.blocks
    registers, slots, totals, pieces = scratch.registers, scratch.slots, scratch.totals, scratch.pieces
    pitch = groups[0, 2] * _ITEM
    for member in range(first, last):
        if not active[member]:
            continue
        count = programs.slot_count[member]
        scalars = kept.slots[programs.slots[member] : programs.slots[member] + count]
        scalars[0] = clocks[member]
        scalar_values(code, programs.begin[member], programs.scalars[member], scalars, scalars, totals, 0)
        for i in range(count):
            slots[i] = _T(scalars[i])
        scalar_values(code, programs.scalars[member], programs.keeping[member], scalars, scalars, totals, 0)
        at = programs.tensor_states[member]
        states = kept.weight_states.ctypes.data + programs.weight_states[member] * _ITEM
        for group in range(programs.first_group[member], programs.last_group[member]):
            of_tensor = kept.tensor_states[at : at + programs.tensor_state_count[member]]
            at += len(of_tensor)
            totals[:] = 0.0
            values(code, programs.keeping[member], programs.early[member], slots, of_tensor, totals, groups[group, 2])
            begin = programs.early[member]
            for p in range(programs.first_pass[member], programs.last_pass[member]):
                for b in range(groups[group, 0], groups[group, 1]):
                    place(pieces, weights.addresses, weights.sizes, weights.pieces, blocks[b, 2], blocks[b, 3], member)
                    memory = (pieces, blocks[b, 3] - blocks[b, 2], states + blocks[b, 0] * _ITEM, pitch)
                    block(code, begin, passes[p, 0], registers, slots, totals, blocks[b, 1], memory)
                values(code, passes[p, 0], passes[p, 1], slots, of_tensor, totals, groups[group, 2])
                begin = passes[p, 1]


def place(placed, addresses, sizes, pieces, first, last, member):  # type: ignore[no-untyped-def]
    """Works out where in memory a member's pieces are."""
    for k in range(first, last):
        tensor = pieces[k, 0]
        inside = (member * sizes[tensor] + pieces[k, 1]) * _ITEM
        placed[k - first, 0] = addresses[tensor, 0] + inside
        placed[k - first, 1] = addresses[tensor, 1] + inside
        placed[k - first, 2] = pieces[k, 2]


def load(register, source, n, memory):  # type: ignore[no-untyped-def]
    """Fills a register, of which the address is given, with a block of weights, gradients or a state."""
    pieces, count, states, pitch = memory
    if source >= STATES:
        copy(states + (source - STATES) * pitch, register, n)
        return
    for k in range(count):
        copy(pieces[k, source], register, pieces[k, 2])
        register += pieces[k, 2] * _ITEM


def store(register, target, n, memory):  # type: ignore[no-untyped-def]
    """The reverse."""
    pieces, count, states, pitch = memory
    if target >= STATES:
        copy(register, states + (target - STATES) * pitch, n)
        return
    for k in range(count):
        copy(register, pieces[k, target], pieces[k, 2])
        register += pieces[k, 2] * _ITEM


def copy(source, target, n):  # type: ignore[no-untyped-def]
    """Copies so many values from one address to another."""
    old, new = carray(_pointer(source), (n,), _T), carray(_pointer(target), (n,), _T)
    for i in range(n):
        new[i] = old[i]
