"""The native step: numba loops generated from a rule, one pass over the weights where the rule reduces nothing.

`kernel` compiles; `Kernel.step` steps a whole bucket of parameters through a table of addresses. Nothing here checks
what the addresses point at: that is the optimizer's part (`thalweg.optim.native`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numba import float64, int64, njit, types

from thalweg.rules.lowering import Lowered, is_reduction, lower
from thalweg.rules.native_runtime import OPTIONS, runtime
from thalweg.rules.operators import MAXIMUM, MEAN, ROOT_OF_SUM
from thalweg.rules.plain import compiled, namespace, scalar_names, torch_text
from thalweg.rules.program import Apply, Equation, Kind, Node, Number, Read, write
from thalweg.rules.rule import Rule

# Addresses, slices (parameter, first byte, length), scalars, partial results a slice, results a parameter, from, to.
_SIGNATURE = types.void(int64[:, ::1], int64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], int64, int64)
_ARGUMENTS = "_addresses, _slices, _scalars, _partials, _results, _first, _last"

Loop = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int], None]


class Run(Protocol):
    """Calls a loop over all slices, on however many threads."""

    def __call__(self, loop: Callable[[int, int], None]) -> None: ...


@dataclass(frozen=True)
class Kernel:
    """A compiled step of a rule, under fixed flags, for one dtype.

    `columns`: what each column of the address table points at: w, g, and the states that are not scalar.
    `scalars(t, *hyperparameters, *scalar states)`: the values that the loops read, and the new scalar states.
    `passes`: the loops that reduce, each with the columns of results that it fills and how their slices are combined.
    `update`: the loop that writes weights and per-weight states. `finish`: the per-tensor states, where there are any.
    """

    columns: tuple[str, ...]
    scalars: Callable[..., tuple[tuple[float, ...], tuple[float, ...]]]
    passes: tuple[tuple[Loop, tuple[tuple[int, int], ...]], ...]
    update: Loop
    finish: Loop | None
    dtype: str
    width: int

    def step(self, addresses: np.ndarray, slices: np.ndarray, scalars: np.ndarray, sizes: np.ndarray, run: Run) -> None:
        """Steps the parameters of one bucket.

        `addresses`: int64 (parameters, columns). `slices`: int64 (slices, 3), ordered by parameter. `sizes`: the
        parameters' lengths. What is computed does not depend on how `run` spreads the slices over threads.
        """
        partials = np.empty((len(slices), self.width))
        results = np.empty((len(addresses), self.width))

        def over(loop: Loop) -> Callable[[int, int], None]:
            return lambda first, last: loop(addresses, slices, scalars, partials, results, first, last)

        for loop, reductions in self.passes:
            run(over(loop))
            for column, combined in reductions:
                results[:, column] = _over_slices(partials[:, column], combined, slices[:, 0], sizes, self.dtype)
        run(over(self.update))
        if self.finish is not None:
            self.finish(addresses, slices, scalars, partials, results, 0, len(addresses))


@lru_cache(maxsize=1024)
def kernel(rule: Rule, flags: frozenset[str], dtype: str) -> Kernel:
    """Compiles the step of a rule under the driver's flags for "float32" or "float64". Takes 0.2 to 1 s."""
    lowered = lower(rule.program, flags)
    columns = ("w", "g", *rule.program.tensor_states)
    printer = _Printer(lowered, columns)
    passes = [printer.reducing_pass(level) for level in range(max(lowered.levels.values(), default=-1) + 1)]
    update, finish = printer.update(rule.program.outputs), printer.finish(rule.program.outputs)
    names = runtime(dtype)

    def loop(name: str, source: str) -> Loop:
        return njit(_SIGNATURE, **OPTIONS)(compiled(source, name, dict(names)))

    return Kernel(
        columns,
        compiled(_scalar_source(rule, lowered), "scalars", namespace()),
        tuple((loop("reduce", source), reductions) for source, reductions in passes),
        loop("update", update),
        loop("finish", finish) if finish else None,
        dtype,
        len(lowered.levels),
    )


def _over_slices(partials: np.ndarray, combined: int, owners: np.ndarray, sizes: np.ndarray, dtype: str) -> np.ndarray:
    """The reduction of each parameter, of the partial results of its slices, taken in their order."""
    results = np.zeros(len(sizes))
    with np.errstate(over="ignore", invalid="ignore"):
        (np.maximum if combined == MAXIMUM else np.add).at(results, owners, partials)
        totals = results.astype(dtype)  # overflows where torch's sum in this dtype does
        if combined == ROOT_OF_SUM:
            return np.sqrt(totals)
        return totals / np.maximum(sizes, 1) if combined == MEAN else totals


def _scalar_source(rule: Rule, lowered: Lowered) -> str:
    after = [lowered.final[state] for state in rule.program.scalar_states]
    arguments = ", ".join(["t", *scalar_names(rule), *rule.program.scalar_states])
    lines = [f"def scalars({arguments}):"]
    for equation in lowered.needed([*lowered.scalars, *after]):
        lines.append(f"    {equation.name} = {torch_text(equation.value, lowered.kinds)}")
    values, states = (f"({''.join(f'{name}, ' for name in names)})" for names in (lowered.scalars, after))
    lines.append(f"    return {values}, {states}")
    return "\n".join(lines) + "\n"


class _Printer:
    """Prints the loops of a lowered program. The names that it brings begin with _, as no name of a rule can."""

    def __init__(self, lowered: Lowered, columns: tuple[str, ...]) -> None:
        self.lowered, self.columns = lowered, columns
        self.reductions = list(lowered.levels)  # the column of results that each reduction has

    def reducing_pass(self, level: int) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The loop that makes the reductions of one level, and for each its column and how slices are combined."""
        start, inside, end, arguments, fills = [], [], [], [], []
        for equation in self.lowered.equations:
            if self.lowered.levels.get(equation.name) != level:
                continue
            assert isinstance(equation.value, Apply)
            fold = equation.value.operator.fold
            assert fold is not None
            argument, column = _text(equation.value.arguments[0]), self.reductions.index(equation.name)
            total = f"_total{column}"
            start.append(f"{total} = {fold.start}")
            inside.append(f"{total} = {fold.step.format(total, argument)}")
            end.append(f"_partials[_k, {column}] = {fold.end.format(total)}")
            arguments.append(argument)
            fills.append((column, fold.combined))
        return self.loop("reduce", arguments, start, inside, end), tuple(fills)

    def update(self, outputs: Iterable[str]) -> str:
        """The loop that writes w and the per-weight states."""
        written = self.changed(outputs, Kind.WEIGHT)
        stores = [f"_array{self.columns.index(output)}[_j] = {name}" for output, name in written.items()]
        return self.loop("update", written.values(), [], stores, [], stored=written)

    def finish(self, outputs: Iterable[str]) -> str:
        """The loop over parameters that writes the per-tensor states, once all who read the old ones are done."""
        written = self.changed(outputs, Kind.TENSOR)
        if not written:
            return ""
        lines = [f"{self.array(output, '0', '1')}[0] = {name}" for output, name in written.items()]
        return _function(
            "finish",
            [*self.scalar_reads(), "for _i in range(_first, _last):"],
            [*self.per_tensor(self.lowered.needed(written.values())), *lines],
        )

    def changed(self, outputs: Iterable[str], kind: Kind) -> dict[str, str]:
        """The outputs of one kind that the step assigns, with the names of their new values."""
        final = self.lowered.final
        return {name: final[name] for name in outputs if self.lowered.kinds[name] == kind and final[name] != name}

    def loop(
        self,
        name: str,
        wanted: Iterable[str],
        start: list[str],
        inside: list[str],
        end: list[str],
        stored: Iterable[str] = (),
    ) -> str:
        """A function over slices whose inner loop works out the `wanted` values of each weight, then does `inside`."""
        equations = self.lowered.needed(wanted)
        per_weight = [e for e in equations if self.lowered.kinds[e.name] == Kind.WEIGHT]
        loads = sorted(self.lowered.inputs(per_weight, Kind.WEIGHT), key=self.columns.index)
        arrays = sorted({*loads, *stored}, key=self.columns.index)
        return _function(
            name,
            [*self.scalar_reads(), "for _k in range(_first, _last):"],
            [
                "_i = _slices[_k, 0]",
                "_n = _slices[_k, 2]",
                *(f"_array{self.columns.index(a)} = {self.array(a, '_slices[_k, 1]', '_n')}" for a in arrays),
                *self.per_tensor(equations),
                *start,
                "for _j in range(_n):",
                *(f"    {a} = _array{self.columns.index(a)}[_j]" for a in loads),
                *(f"    {e.name} = {_text(e.value)}" for e in per_weight),
                *(f"    {line}" for line in inside),
                *end,
            ],
        )

    def per_tensor(self, equations: list[Equation]) -> list[str]:
        """What is worked out once a parameter: the states, reductions and equations that are per-tensor."""
        states = sorted(self.lowered.inputs(equations, Kind.TENSOR))
        lines = [f"{state} = {self.array(state, '0', '1')}[0]" for state in states]
        for equation in equations:
            if is_reduction(equation.value):
                lines.append(f"{equation.name} = _T(_results[_i, {self.reductions.index(equation.name)}])")
            elif self.lowered.kinds[equation.name] == Kind.TENSOR:
                lines.append(f"{equation.name} = {_text(equation.value)}")
        return lines

    def array(self, name: str, offset: str, length: str) -> str:
        return f"carray(_pointer(_addresses[_i, {self.columns.index(name)}] + {offset}), ({length},), _T)"

    def scalar_reads(self) -> list[str]:
        return [f"{name} = _T(_scalars[{i}])" for i, name in enumerate(self.lowered.scalars)]


def _function(name: str, outer: list[str], inner: list[str]) -> str:
    lines = [f"def {name}({_ARGUMENTS}):", *(f"    {line}" for line in outer), *(f"        {line}" for line in inner)]
    return "\n".join(lines) + "\n"


def _text(node: Node) -> str:
    """An expression for numba, its numbers in the dtype of the weights."""

    def leaf(node: Number | Read) -> str:
        if isinstance(node, Read):
            return node.name
        return f"_T({node.value!r})" if math.isfinite(node.value) else f"_T(np.{node.value!r})"

    return write(node, lambda applied: applied.operator.numba, leaf)
