"""The machine's operations as source for numba, printed from the operator table: one branch an operation.

`values` makes scalar and per-tensor values, one at a time; `block` makes those of a block of weights, each operation a
loop of its own that vectorizes. A new operator of the table is a new branch of both, and nothing else.
"""

from __future__ import annotations

from thalweg.evolve.machine.opcodes import BLOCK_SCALAR, COPY, LOAD, PLACE, SCALAR_BLOCK, SPREAD, STORE
from thalweg.rules.operators import MAXIMUM, MEAN, OPERATORS, ROOT_OF_SUM, Fold, Operator

# A reduction of total {0}, in the dtype of the weights, of `size` of them.
_ENDS = {MAXIMUM: "_T({0})", ROOT_OF_SUM: "np.sqrt(_T({0}))", MEAN: "_T(_T({0}) / max(size, 1))"}
# How the total of a block, {1}, joins that of the blocks before, {0}; a NaN stays.
_JOINS = {MAXIMUM: "{1} if ({1} > {0}) | ({1} != {1}) else {0}", ROOT_OF_SUM: "{0} + {1}", MEAN: "{0} + {1}"}

Branches = list[tuple[int, list[str]]]


def values_source() -> str:
    """`values(code, first, last, X, kept, totals, size)`: the instructions on the slots X.

    `kept`: per-tensor states of the tensor, and `totals`: of its reductions, by slot, over `size` weights.
    """
    branches: Branches = []
    for place, row in _rows():
        if row.fold is not None:
            branches.append((place, [f"X[d] = {_ENDS[row.fold.combined].format('totals[d]')}"]))
        else:
            branches.append((place, [f"X[d] = {_expression(row, 'X[a]', 'X[b]', 'X[c]')}"]))
    branches += [(COPY, ["X[d] = X[a]"]), (LOAD, ["X[d] = kept[a]"]), (STORE, ["kept[d] = X[a]"])]
    return _dispatch("values(code, first, last, X, kept, totals, size)", branches)


def block_source() -> str:
    """`block(code, first, last, R, X, totals, n, memory)`: the instructions on n weights in the registers R."""
    branches: Branches = []
    for place, row in _rows():
        if row.fold is not None:
            branches.append((place, _folding(row.fold)))
            continue
        branches.append((place, _loop(_expression(row, "R[a, i]", "R[b, i]", "R[c, i]"))))
        if row.arity == 2:
            form = ["s = X[b]", *_loop(_expression(row, "R[a, i]", "s"))]
            branches.append((place + BLOCK_SCALAR, form))
            if not (row.commutes or row.compares):
                form = ["s = X[a]", *_loop(_expression(row, "s", "R[b, i]"))]
                branches.append((place + SCALAR_BLOCK, form))
    branches += [
        (SPREAD, ["s = X[a]", *_loop("s")]),
        (LOAD, ["load(address + d*pitch, a, n, memory)"]),
        (STORE, ["store(address + a*pitch, d, n, memory)"]),
    ]
    start = ("address, pitch = R.ctypes.data, R.strides[0]",)
    return _dispatch("block(code, first, last, R, X, totals, n, memory)", branches, start)


def _rows() -> list[tuple[int, Operator]]:
    """All that a step may hold."""
    return [(PLACE[name], row) for name, row in OPERATORS.items() if not row.draws]


def _dispatch(head: str, branches: Branches, start: tuple[str, ...] = ()) -> str:
    lines = [
        f"def {head}:",
        *(f"    {line}" for line in start),
        "    for k in range(first, last):",
        "        operation = code[k, 0]",
        "        d, a, b, c = np.intp(code[k, 1]), np.intp(code[k, 2]), np.intp(code[k, 3]), np.intp(code[k, 4])",
    ]
    word = "if"
    for number, body in branches:
        lines += [f"        {word} operation == {number}:", *(f"            {line}" for line in body)]
        word = "elif"
    return "\n".join(lines) + "\n"


def _expression(row: Operator, *arguments: str) -> str:
    """The operator's numba column. A truth value is 1 or 0."""
    given = list(arguments[: row.arity])
    if row.name == "where":
        given[0] += " != 0"
    text = row.numba.template.format(*given)
    return f"_T(1) if {text} else _T(0)" if row.compares else text


def _loop(expression: str) -> list[str]:
    return ["for i in range(n):", f"    R[d, i] = {expression}"]


def _folding(fold: Fold) -> list[str]:
    total = "total" if fold.combined != MAXIMUM else "largest"  # one is a float64, the other bits: two names
    return [
        f"{total} = {fold.start}",
        "for i in range(n):",
        "    x = R[a, i]",
        f"    {total} = {fold.step.format(total, 'x')}",
        f"end_{total} = {fold.end.format(total)}",
        f"totals[d] = {_JOINS[fold.combined].format('totals[d]', f'end_{total}')}",
    ]
