"""The native step: numba loops generated from a rule, one pass over the weights where the rule reduces nothing.

`kernel` compiles; `Kernel.step` steps a whole bucket of parameters through a table of addresses, of one network or of
many that lie one behind another (members): their scalars, clocks and reductions are their own. Nothing here checks what
the addresses point at: that is the optimizer's part (`thalweg.optim.native`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numba import boolean, float64, int64, njit, types

from thalweg.rules import scalars
from thalweg.rules.lowering import Lowered, is_reduction
from thalweg.rules.native_runtime import OPTIONS, runtime
from thalweg.rules.operators import MAXIMUM, MEAN, ROOT_OF_SUM
from thalweg.rules.plain import compiled, scalar_names
from thalweg.rules.program import Apply, Equation, Kind, Node, Number, Read, write
from thalweg.rules.rule import Rule

# The arguments of a loop: those of `Work`, then partial results a slice, results a parameter, and from where to where.
_ARGUMENTS = "_addresses, _strides, _slices, _scalars, _active, _partials, _results, _first, _last"
_SIGNATURE = types.void(
    int64[:, ::1], int64[::1], int64[:, ::1], float64[:, ::1], boolean[::1],
    float64[:, ::1], float64[:, ::1], int64, int64,
)  # fmt: skip

Loop = Callable[..., None]


class Run(Protocol):
    """Calls a loop over all slices of all members, on however many threads."""

    def __call__(self, loop: Callable[[int, int], None]) -> None: ...


class Across(Protocol):
    """Combines each parameter's totals with those of the processes that hold its other parts, in place."""

    def __call__(self, totals: np.ndarray, combined: int) -> None: ...


@dataclass(slots=True)
class Work:
    """A bucket of parameters to be stepped.

    `addresses`: int64 (parameters, columns), of the first member. `strides`: int64 (parameters,), the bytes from one
    member's weights to the next one's. `slices`: int64 (slices, 3), of one member: parameter, first byte, length;
    ordered by parameter. `sizes`: the parameters' lengths, of all their parts. `scalars`: float64 (members, scalars).
    `active`: bool (members,): the others are left as they are.
    """

    addresses: np.ndarray
    strides: np.ndarray
    slices: np.ndarray
    sizes: np.ndarray
    scalars: np.ndarray
    active: np.ndarray


@dataclass(frozen=True)
class Kernel:
    """A compiled step of a rule, under fixed flags, for one dtype.

    `columns`: what each column of the address table points at: w, g, and the states that are not scalar. `scalars`: how
    many the loops read.
    `passes`: the loops that reduce, each with the columns of results that it fills and how their slices are combined.
    `update`: the loop that writes weights and per-weight states. `finish`: the per-tensor states, where there are any.
    """

    columns: tuple[str, ...]
    scalars: int
    passes: tuple[tuple[Loop, tuple[tuple[int, int], ...]], ...]
    update: Loop
    finish: Loop | None
    dtype: str
    width: int

    def step(self, work: Work, run: Run, across: Across | None = None) -> None:
        """Steps a bucket. What is computed does not depend on how `run` spreads the slices over threads."""
        members, parameters = len(work.active), len(work.addresses)
        partials = np.empty((members * len(work.slices), self.width))
        results = np.empty((members * parameters, self.width))
        arguments = (work.addresses, work.strides, work.slices, work.scalars, work.active, partials, results)

        def over(loop: Loop) -> Callable[[int, int], None]:
            return lambda first, last: loop(*arguments, first, last)

        for loop, reductions in self.passes:
            run(over(loop))
            for column, combined in reductions:
                totals = _over_slices(partials[:, column].reshape(members, -1), combined, work.slices[:, 0], parameters)
                if across is not None:
                    across(totals, combined)
                results[:, column] = _finished(totals, combined, work.sizes, self.dtype).ravel()
        run(over(self.update))
        if self.finish is not None:
            self.finish(*arguments, 0, members * parameters)


@lru_cache(maxsize=1024)
def kernel(rule: Rule, flags: frozenset[str], dtype: str) -> Kernel:
    """Compiles the step of a rule under the driver's flags for "float32" or "float64". Takes 0.2 to 1 s."""
    lowered = scalars.lowered(rule, flags)
    columns = ("w", "g", *rule.program.tensor_states)
    printer = _Printer(lowered, columns)
    passes = [printer.reducing_pass(level) for level in range(max(lowered.levels.values(), default=-1) + 1)]
    update, finish = printer.update(rule.program.outputs), printer.finish(rule.program.outputs)
    names = runtime(dtype)

    def loop(name: str, source: str) -> Loop:
        return njit(_SIGNATURE, **OPTIONS)(compiled(source, name, dict(names)))

    return Kernel(
        columns,
        len(lowered.scalars),
        tuple((loop("reduce", source), reductions) for source, reductions in passes),
        loop("update", update),
        loop("finish", finish) if finish else None,
        dtype,
        len(lowered.levels),
    )


@lru_cache(maxsize=1024)
def member_scalars(rule: Rule, flags: frozenset[str]) -> Callable[..., None]:
    """Compiles `scalars(settings, clocks, states, active, values)`, the scalars of many members at once.

    `settings`: float64 (members, hyperparameters as `scalar_names` has them). `clocks`: float64 (members,), each
    member's t. `states`: float64 (members, scalar states), changed in place. `values`: float64 (members, scalars),
    filled. Members that are not active are passed over.
    """
    lowered = scalars.lowered(rule, flags)
    equations, after = scalars.worked_out(rule, lowered)
    reads = [f"{name} = _settings[_m, {i}]" for i, name in enumerate(scalar_names(rule))]
    reads += [f"{name} = _states[_m, {i}]" for i, name in enumerate(rule.program.scalar_states)]
    lines = [
        "def scalars(_settings, _clocks, _states, _active, _values):",
        "    for _m in range(len(_clocks)):",
        "        if _active[_m]:",
        "            t = _clocks[_m]",
        *(f"            {line}" for line in reads),
        *(f"            {e.name} = {_text(e.value)}" for e in equations),
        *(f"            _values[_m, {i}] = {name}" for i, name in enumerate(lowered.scalars)),
        *(f"            _states[_m, {i}] = {name}" for i, name in enumerate(after)),
    ]
    matrix = float64[:, ::1]
    signature = types.void(matrix, float64[::1], matrix, boolean[::1], matrix)
    source = "\n".join(lines) + "\n"
    return njit(signature, **OPTIONS)(compiled(source, "scalars", dict(runtime("float64"))))


def _over_slices(partials: np.ndarray, combined: int, owners: np.ndarray, parameters: int) -> np.ndarray:
    """For each member and parameter, the partial results (members, slices) of its slices, taken in their order."""
    totals = np.zeros((parameters, len(partials)))
    with np.errstate(over="ignore", invalid="ignore"):
        (np.maximum if combined == MAXIMUM else np.add).at(totals, owners, partials.T)
    return np.ascontiguousarray(totals.T)


def _finished(totals: np.ndarray, combined: int, sizes: np.ndarray, dtype: str) -> np.ndarray:
    """The reductions themselves, of totals (members, parameters)."""
    with np.errstate(over="ignore", invalid="ignore"):
        totals = totals.astype(dtype)  # overflows where torch's sum in this dtype does
        if combined == ROOT_OF_SUM:
            return np.sqrt(totals)
        return totals / np.maximum(sizes, 1) if combined == MEAN else totals


class _Printer:
    """Prints the loops of a lowered program. The names that it brings begin with _, as no name of a rule can."""

    # Where in memory, behind the parameter's address, the slice of a member and its per-tensor state begin.
    begin, own = "_m*_strides[_i] + _slices[_k, 1]", "_m*_ITEM"

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
            end.append(f"_partials[_u, {column}] = {fold.end.format(total)}")
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
        lines = [f"{self.array(output, self.own, '1')}[0] = {name}" for output, name in written.items()]
        equations = self.lowered.needed(written.values())
        return _function("finish", "_i", "_addresses", [*self.per_tensor(equations), *lines])

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
            "_k",
            "_slices",
            [
                "_i = _slices[_k, 0]",
                "_n = _slices[_k, 2]",
                *(f"_array{self.columns.index(a)} = {self.array(a, self.begin, '_n')}" for a in arrays),
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
        lines = [f"{name} = _T(_scalars[_m, {i}])" for i, name in enumerate(self.lowered.scalars)]
        lines += [f"{state} = {self.array(state, self.own, '1')}[0]" for state in states]
        for equation in equations:
            if is_reduction(equation.value):
                column = self.reductions.index(equation.name)
                lines.append(f"{equation.name} = _T(_results[_m*len(_addresses) + _i, {column}])")
            elif self.lowered.kinds[equation.name] == Kind.TENSOR:
                lines.append(f"{equation.name} = {_text(equation.value)}")
        return lines

    def array(self, name: str, offset: str, length: str) -> str:
        return f"carray(_pointer(_addresses[_i, {self.columns.index(name)}] + {offset}), ({length},), _T)"


def _function(name: str, index: str, table: str, body: list[str]) -> str:
    """A function over the rows of a table, those of the first member, then those of the second, ..."""
    lines = [
        f"def {name}({_ARGUMENTS}):",
        f"    _m = _first//max(len({table}), 1)",
        f"    {index} = _first - _m*len({table})",
        "    for _u in range(_first, _last):",
        f"        if {index} == len({table}):",
        f"            _m, {index} = _m + 1, 0",
        "        if _active[_m]:",
        *(f"            {line}" for line in body),
        f"        {index} += 1",
    ]
    return "\n".join(lines) + "\n"


def _text(node: Node) -> str:
    """An expression for numba, its numbers in the dtype of the weights."""

    def leaf(node: Number | Read) -> str:
        if isinstance(node, Read):
            return node.name
        return f"_T({node.value!r})" if math.isfinite(node.value) else f"_T(np.{node.value!r})"

    return write(node, lambda applied: applied.operator.numba, leaf)
