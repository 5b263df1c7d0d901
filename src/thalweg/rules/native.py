"""The native step: numba loops generated from a rule, one pass over the weights where the rule reduces nothing.

`kernel` compiles; `Kernel.step` steps a whole bucket of parameters through a table of addresses. Nothing here checks
what the addresses point at: that is the optimizer's part (`thalweg.optim.native`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numba import carray, float32, float64, int32, int64, njit, types
from numba.extending import intrinsic

from thalweg.rules.lowering import Lowered, is_reduction, lower
from thalweg.rules.plain import compiled, namespace, scalar_names, torch_text
from thalweg.rules.program import Apply, Equation, Kind, Node, Number, Read, write
from thalweg.rules.rule import Rule

# No fastmath: a step rounds as torch's does. numpy's error model: a division by zero is inf, and loops vectorize.
_OPTIONS: Any = {"nogil": True, "error_model": "numpy"}
# Addresses, slices (parameter, first byte, length), scalars, partial results a slice, results a parameter, from, to.
_SIGNATURE = types.void(int64[:, ::1], int64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], int64, int64)
_ARGUMENTS = "_addresses, _slices, _scalars, _partials, _results, _first, _last"
# How a slice accumulates each reduction: the start, a step, and the partial result. Sums are kept in float64.
_ACCUMULATED = {
    "max_abs": ("_I(0)", "max({0}, _magnitude({1}))", "_from_magnitude({0})"),
    "norm": ("0.0", "{0} + {1}*{1}", "{0}"),
    "mean": ("0.0", "{0} + {1}", "{0}"),
}
MAX_ABS, NORM, MEAN = range(3)

Loop = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int], None]


class Run(Protocol):
    """Calls a loop over all slices, on however many threads."""

    def __call__(self, loop: Callable[[int, int], None]) -> None: ...


@dataclass(frozen=True)
class Kernel:
    """A compiled step of a rule, under fixed flags, for one dtype.

    `columns`: what each column of the address table points at: w, g, and the states that are not scalar.
    `scalars(t, *hyperparameters, *scalar states)`: the values that the loops read, and the new scalar states.
    `passes`: the loops that reduce, each with the (column of results, reduction) pairs that it makes.
    `update`: the loop that writes weights and per-weight states. `finish`: the per-tensor states, where there are any.
    """

    columns: tuple[str, ...]
    scalars: Callable[..., tuple[tuple[float, ...], tuple[float, ...]]]
    passes: tuple[tuple[Loop, tuple[tuple[int, int], ...]], ...]
    update: Loop
    finish: Loop | None
    combine: Callable[..., None]
    width: int
    source: str

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
            for column, reduction in reductions:
                self.combine(slices, sizes, column, reduction, partials, results)
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
    runtime = _runtime(dtype)

    def loop(name: str, source: str) -> Loop:
        return njit(_SIGNATURE, **_OPTIONS)(compiled(source, name, dict(runtime)))

    scalar_source = _scalar_source(rule, lowered)
    return Kernel(
        columns,
        compiled(scalar_source, "scalars", namespace()),
        tuple((loop("reduce", source), reductions) for source, reductions in passes),
        loop("update", update),
        loop("finish", finish) if finish else None,
        runtime["_combine"],
        len(lowered.levels),
        "\n".join([scalar_source, *(source for source, _ in passes), update, finish]),
    )


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
        """The loop that makes the reductions of one level, and for each its column and which of `_REDUCED` it is."""
        start, inside, end, arguments, fills = [], [], [], [], []
        for equation in self.lowered.equations:
            if self.lowered.levels.get(equation.name) != level:
                continue
            assert isinstance(equation.value, Apply)
            operator, argument = equation.value.operator.name, _text(equation.value.arguments[0])
            column = self.reductions.index(equation.name)
            first, step, last = _ACCUMULATED[operator]
            start.append(f"_acc{column} = {first}")
            inside.append(f"_acc{column} = {step.format(f'_acc{column}', argument)}")
            end.append(f"_partials[_k, {column}] = {last.format(f'_acc{column}')}")
            arguments.append(argument)
            fills.append((column, list(_ACCUMULATED).index(operator)))
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


@lru_cache(maxsize=2)
def _runtime(dtype: str) -> dict[str, Any]:
    """What the generated loops call, for weights of one dtype."""
    T: Any
    bits: Any
    T, bits = (float32, int32) if dtype == "float32" else (float64, int64)
    pointer_type = types.CPointer(T)

    @intrinsic
    def _pointer(typing_context: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(pointer_type))

        return pointer_type(int64), codegen

    # As integers the bits of floats without their sign are in the order of the floats, NaN above all: a maximum of
    # integers vectorizes, and a NaN comes through.
    magnitude_mask = bits(2 ** (bits.bitwidth - 1) - 1)

    @intrinsic
    def _as_bits(typing_context: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(bits))

        return bits(T), codegen

    @intrinsic
    def _from_magnitude(typing_context: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(T))

        return T(bits), codegen

    @njit(**_OPTIONS)
    def _magnitude(x):  # type: ignore[no-untyped-def]
        return _as_bits(x) & magnitude_mask  # type: ignore[call-arg]

    @njit(**_OPTIONS)
    def _sign(x):  # type: ignore[no-untyped-def]
        return T(x > 0) - T(x < 0)

    @njit(**_OPTIONS)
    def _square(x):  # type: ignore[no-untyped-def]
        return x * x

    @njit(**_OPTIONS)
    def _minimum(a, b):  # type: ignore[no-untyped-def]
        return a if (a < b) | (a != a) else b

    @njit(**_OPTIONS)
    def _maximum(a, b):  # type: ignore[no-untyped-def]
        return a if (a > b) | (a != a) else b

    @njit(**_OPTIONS)
    def _where(condition, a, b):  # type: ignore[no-untyped-def]
        return a if condition else b

    @njit(**_OPTIONS)
    def _safe_div(a, b):  # type: ignore[no-untyped-def]
        return a / b if b != 0 else T(0)

    @njit(types.void(int64[:, ::1], int64[::1], int64, int64, float64[:, ::1], float64[:, ::1]), **_OPTIONS)
    def _combine(slices, sizes, column, reduction, partials, results):  # type: ignore[no-untyped-def]
        results[:, column] = 0.0
        for k in range(len(slices)):
            i, partial = slices[k, 0], partials[k, column]
            if reduction == MAX_ABS:
                if partial > results[i, column] or partial != partial:
                    results[i, column] = partial
            else:
                results[i, column] += partial
        for i in range(len(sizes)):
            total = T(results[i, column])  # overflows where torch's sum in this dtype does
            if reduction == NORM:
                results[i, column] = np.sqrt(total)
            elif reduction == MEAN:
                results[i, column] = total / T(max(sizes[i], 1))

    return {
        "np": np, "carray": carray, "_T": T, "_I": bits, "_pointer": _pointer, "_magnitude": _magnitude,
        "_from_magnitude": _from_magnitude, "_sign": _sign, "_square": _square, "_minimum": _minimum,
        "_maximum": _maximum, "_where": _where, "_safe_div": _safe_div, "_combine": _combine,
    }  # fmt: skip
