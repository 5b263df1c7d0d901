"""What the generated loops of the native step call: numba functions, made once for each dtype of weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import carray, float32, float64, int32, int64, njit, types
from numba.extending import intrinsic

# No fastmath: a step rounds as torch's does. numpy's error model: a division by zero is inf, and loops vectorize.
OPTIONS: Any = {"nogil": True, "error_model": "numpy"}

_TYPES: Any = {"float32": (float32, int32), "float64": (float64, int64)}


@lru_cache(maxsize=2)
def runtime(dtype: str) -> dict[str, Any]:
    """The names that the loops read, for weights of "float32" or "float64"."""
    T, bits = _TYPES[dtype]
    functions = {**_memory(T), **_magnitudes(T, bits), **_operators(T)}
    return {"np": np, "carray": carray, "_T": T, "_I": bits, "_ITEM": T.bitwidth // 8, **functions}


def _memory(T: Any) -> dict[str, Any]:
    pointer = types.CPointer(T)

    @intrinsic
    def _pointer(typing_context: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(pointer))

        return pointer(int64), codegen

    return {"_pointer": _pointer}


def _magnitudes(T: Any, bits: Any) -> dict[str, Any]:
    """Absolute values as integers, and back.

    As integers, the bits of floats without their signs are in the order of the floats, NaN above all: a maximum of
    integers vectorizes, and a NaN comes through.
    """
    without_sign = bits(2 ** (bits.bitwidth - 1) - 1)

    def cast(source: Any, target: Any) -> Any:
        @intrinsic
        def bitcast(typing_context: Any, x: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                return builder.bitcast(arguments[0], context.get_value_type(target))

            return target(source), codegen

        return bitcast

    as_bits = cast(T, bits)

    @njit(**OPTIONS)
    def _magnitude(x):  # type: ignore[no-untyped-def]
        return as_bits(x) & without_sign

    return {"_magnitude": _magnitude, "_from_magnitude": cast(bits, T)}


def _operators(T: Any) -> dict[str, Any]:
    """The operators that numba has under no name of its own."""

    @njit(**OPTIONS)
    def _sign(x):  # type: ignore[no-untyped-def]
        return T(x > 0) - T(x < 0)

    @njit(**OPTIONS)
    def _square(x):  # type: ignore[no-untyped-def]
        return x * x

    @njit(**OPTIONS)
    def _minimum(a, b):  # type: ignore[no-untyped-def]
        return a if (a < b) | (a != a) else b

    @njit(**OPTIONS)
    def _maximum(a, b):  # type: ignore[no-untyped-def]
        return a if (a > b) | (a != a) else b

    @njit(**OPTIONS)
    def _where(condition, a, b):  # type: ignore[no-untyped-def]
        return a if condition else b

    @njit(**OPTIONS)
    def _safe_div(a, b):  # type: ignore[no-untyped-def]
        return a / b if b != 0 else T(0)

    functions = (_sign, _square, _minimum, _maximum, _where, _safe_div)
    return {function.__name__: function for function in functions}
