"""Where the values of a foreach step are kept: in place wherever what was there is read no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thalweg.rules.program import Kind


@dataclass(frozen=True)
class Operation:
    """One operation on lists: `result = call(*operands, more)`, in place `call_(operand, the others, more)`.

    `over`: which operands it may be done in place of. `own`: the state whose next value it is a part of, and whose
    storage it may therefore take. `each`: instead of a call, an expression for each parameter, of `_x0`, `_x1`, ...
    `into`: the state that it writes, where that is all it does. `scratch`: how many tensors of one parameter's size it
    makes beside its result.
    """

    result: str
    kind: Kind
    operands: tuple[str, ...]
    call: str = ""
    more: str = ""
    each: str = ""
    over: tuple[int, ...] = ()
    own: str = ""
    into: str = ""
    scratch: int = 0

    def text(self, storage: Mapping[str, str]) -> str:
        operands = [storage[operand] for operand in self.operands]
        if self.each:
            names = ", ".join(["w", *(f"_x{i}" for i in range(len(operands)))])
            return f"[{self.each} for {names} in zip({', '.join(['w', *operands])})]"
        return f"{self.call}({', '.join(operands)}{self.more})"

    def text_in_place(self, storage: Mapping[str, str], over: int) -> str:
        operands = [storage[operand] for operand in self.operands]
        operands.insert(0, operands.pop(over))
        return f"{self.call}_({', '.join(operands)}{self.more})"


def stored(
    operations: list[Operation], columns: tuple[str, ...], kinds: Mapping[str, Kind]
) -> tuple[list[str], frozenset[tuple[int, int]]]:
    """The operations as lines, with storage for every value, and what they need of temporaries (see `ForeachStep`)."""
    last = {operand: i for i, operation in enumerate(operations) for operand in operation.operands}
    storage = {column: column for column in columns}
    kind_stored = {column: kinds[column] for column in columns}
    lines: list[str] = []
    live: set[str] = set()
    needs: set[tuple[int, int]] = set()

    def is_free(place: str, i: int) -> bool:
        return all(last.get(value, -1) <= i for value, where in storage.items() if where == place)

    for i, operation in enumerate(operations):
        read = list(dict.fromkeys(storage[operand] for operand in operation.operands))
        if operation.into:
            storage[operation.result] = operation.into
            if read != [operation.into]:
                lines.append(f"_copy({operation.into}, {read[0]})")
        else:
            for over in operation.over:
                place = storage[operation.operands[over]]
                allowed = place not in columns or place == operation.own
                if allowed and kind_stored[place] == operation.kind and is_free(place, i):
                    lines.append(operation.text_in_place(storage, over))
                    storage[operation.result] = place
                    break
            else:
                lines.append(f"{operation.result} = {operation.text(storage)}")
                storage[operation.result] = operation.result
                kind_stored[operation.result] = operation.kind
                live.add(operation.result)
        needs.add((sum(kind_stored[place] == Kind.WEIGHT for place in live), operation.scratch))
        for place in read:
            if place in live and is_free(place, i) and storage[operation.result] != place:
                lines.append(f"del {place}")
                live.discard(place)
    return lines, frozenset(needs)
