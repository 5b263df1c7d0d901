"""Equations in the order in which a person writes them: states by their letters, what is used once in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

from thalweg.evolve.judgement.expressions import led, reads_replaced, split, terms, text_of, tidied, total
from thalweg.evolve.judgement.values import Values, with_states
from thalweg.rules import Rule
from thalweg.rules.program import Node, Number, Read, apply, walk

WIDE = 60  # letters: a value that is longer gets a line of its own
STATES, TEMPORARIES = "xyzuvspqr", "abcdefhijkmn"
_NEW = "'"  # behind the name of an output: what it holds after the step


def laid_out(values: Values, name: str) -> Rule:
    """The values as a rule of that name, with the outer factor of the step as `lr`. Raises ValueError if it is none."""
    values = with_states(values)
    items = _items(values)
    lr = None
    if "w" in items:
        items["w"], lr = _with_lr(items["w"])
    ordered = _ordered(items)
    shown = _names(ordered, list(values.outputs))
    lines = [f"{shown[key]} = {text_of(led(_renamed(_own_first(key, node), shown)))}" for key, node in ordered]
    init = {shown[state]: text for state, text in values.begins.items()}
    hyperparameters: dict[str, Any] = {} if lr is None else {"lr": lr}
    return Rule(name, "\n".join(lines), init=init, first_step=values.first_step, **hyperparameters)


def _items(values: Values) -> dict[str, Node]:
    """The equations to be written, by what they assign; a read of x' is of what x holds after the step."""
    reads = (part.name for node in chain(values.shared.values(), values.outputs.values()) for part in _reads(node))
    uses = Counter(reads)
    claimed: dict[str, str] = {}  # what an output takes over bears its name; w comes first
    for output in ("w", *values.outputs):
        node = values.outputs[output]
        if isinstance(node, Read) and node.name in values.shared:
            claimed.setdefault(node.name, output)
    items: dict[str, Node] = {}
    places: dict[str, Node] = {}
    for key, node in values.shared.items():
        value = tidied(reads_replaced(node, places))
        if key in claimed and uses[key] > 1:
            places[key] = Read(claimed[key] + _NEW)
            items[claimed[key]] = value
        elif (uses[key] == 1 and len(text_of(value)) <= WIDE) or key in claimed or _small(value):
            places[key] = value
        else:
            items[key] = value
    for output, node in values.outputs.items():
        if output not in items:
            items[output] = tidied(reads_replaced(node, places))
    return {key: node for key, node in items.items() if key != "w"} | {"w": items["w"]}


def _own_first(key: str, node: Node) -> Node:
    """A sum with the terms first that go on from what the output was."""
    parts = terms(node)
    if len(parts) == 1 or key == "w":  # the weight's step has its factor before it
        return node
    return total(sorted(parts, key=lambda part: key not in {read.name for read in _reads(part[1])}))


def _small(node: Node) -> bool:
    """Whether it is a name, or a name with a number before it: not worth a line."""
    return isinstance(split(node)[1], Read | Number)


def _with_lr(w: Node) -> tuple[Node, float | None]:
    """The weight's equation with the factor of the whole step as lr, and that factor; None where there is none."""
    parts = terms(w)
    steps = [part for part in parts if part[1] != Read("w")]
    sizes = {abs(factor) for factor, _ in steps}
    if len(parts) != len(steps) + 1 or (1.0, Read("w")) not in parts or len(sizes) != 1 or sizes & {0.0, float("inf")}:
        return w, None
    falls = sum(factor < 0 for factor, _ in steps) * 2 >= len(steps)
    sign = -1.0 if falls else 1.0
    size = sizes.pop()
    inner = total((sign * factor / size, part) for factor, part in steps)
    return apply("-" if falls else "+", Read("w"), apply("*", Read("lr"), inner)), size


def _ordered(items: dict[str, Node]) -> list[tuple[str, Node]]:
    """The equations in an order in which each reads what it means; where none is, a new value waits under a name."""
    outputs = [key for key in items if not key.startswith("c")]
    waiting, done, late = dict(items), set[str](), dict[str, Node]()
    ordered: list[tuple[str, Node]] = []
    while waiting:
        ready = [key for key, node in waiting.items() if _made(node, done)]
        free = next((key for key in ready if key not in outputs or not _read_elsewhere(key, waiting)), None)
        if free is None:
            output = ready[0]
            held = f"c{output}"
            waiting = {key: reads_replaced(node, {output + _NEW: Read(held)}) for key, node in waiting.items()}
            ordered.append((held, waiting.pop(output)))
            done.add(held)
            late[output] = Read(held)
            waiting = waiting or late
            late = {} if waiting is late else late
            continue
        ordered.append((free, waiting.pop(free)))
        done.add(free + _NEW if free in outputs else free)
        if not waiting:
            waiting, late = late, {}
    return ordered


def _made(node: Node, done: set[str]) -> bool:
    """Whether all that it reads of this step has been worked out."""
    return all(part.name in done for part in _reads(node) if part.name.startswith("c") or part.name.endswith(_NEW))


def _read_elsewhere(output: str, waiting: dict[str, Node]) -> bool:
    """Whether another equation still wants what the output held before the step."""
    return any(output in {part.name for part in _reads(node)} for key, node in waiting.items() if key != output)


def _names(ordered: list[tuple[str, Node]], outputs: list[str]) -> dict[str, str]:
    """Letters for the states, in the order of their assignment, and for what is worked out on the way."""
    states, others = _letters(STATES), _letters(TEMPORARIES)
    shown = {"w": "w"}
    for key, _ in ordered:
        if key not in shown:
            shown[key] = next(states if key in outputs else others)
    return shown


def _letters(alphabet: str) -> Iterator[str]:
    return chain(alphabet, (f"{letter}{i}" for i in count(2) for letter in alphabet))


def _renamed(node: Node, shown: dict[str, str]) -> Node:
    by: dict[str, Node] = {key: Read(name) for key, name in shown.items()}
    return reads_replaced(node, by | {key + _NEW: Read(name) for key, name in shown.items()})


def _reads(node: Node) -> Iterator[Read]:
    return (part for part in walk(node) if isinstance(part, Read))
