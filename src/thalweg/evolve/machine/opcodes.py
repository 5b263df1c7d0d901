"""The numbers by which the machine knows its operations: an operator's is its row's place in the operator table."""

from __future__ import annotations

from thalweg.rules.operators import OPERATORS

PLACE = {name: place for place, name in enumerate(OPERATORS)}

# Of an operator of two arguments, a block and a scalar or a scalar and a block: so many further on.
BLOCK_SCALAR, SCALAR_BLOCK = len(OPERATORS), 2 * len(OPERATORS)
LOAD, STORE, SPREAD, COPY = range(3 * len(OPERATORS), 3 * len(OPERATORS) + 4)

# What `a ? b` is with its sides exchanged, the same to the bit: a scalar on the left then needs no code of its own.
MIRRORED = {name: name for name, row in OPERATORS.items() if row.commutes}
MIRRORED |= {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

# Inputs of a block. The states follow.
W, G, STATES = range(3)
