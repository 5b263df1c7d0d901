"""The foreach step: operations on lists of tensors, one call for a whole bucket of parameters.

The lowered program becomes a list of operations, each of which makes a new value; `storage.py` then says where each
value is kept. Scalar factors are gathered and taken into the sums that read them (`x + s*y/z` is one pass over memory),
as a person would write it by hand. The numbers are the plain step's to rounding, unless a product of tensors leaves the
range of their dtype where its factor would have kept it inside.

For a compiler the fusing is left to the compiler, and scalars are tensors: a new learning rate is no new program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from thalweg.rules import foreach_runtime, scalars
from thalweg.rules.lowering import Lowered, is_reduction
from thalweg.rules.operators import NEGATIVE
from thalweg.rules.plain import compiled, torch_text
from thalweg.rules.program import Apply, Equation, Kind, Node, Number, Read, apply, kind_of, names_read, walk
from thalweg.rules.rule import Rule
from thalweg.rules.storage import Operation, stored


@dataclass(frozen=True)
class ForeachStep:
    """`step(w, g, *tensor states, scalars, across)` changes the lists w and states in place.

    `scalars`: in the order of `Lowered.scalars`, numbers, or for a compiler one tensor of all. `across`: combines the
    reductions of parameters that are split over processes, or None.

    `needs`: what it has of temporaries at once: so many lists of the size of w, and so many tensors more of one
    parameter; each pair at some point of the step.
    """

    step: Callable[..., None]
    source: str
    needs: frozenset[tuple[int, int]]


@lru_cache(maxsize=1024)
def foreach_step(rule: Rule, flags: frozenset[str]) -> ForeachStep:
    """The foreach step of a rule under the driver's flags."""
    return printed(rule, flags, for_compiler=False)


def printed(rule: Rule, flags: frozenset[str], *, for_compiler: bool) -> ForeachStep:
    """The foreach step, as a function of its own: a compiler counts how often it compiled a function."""
    lowered = scalars.lowered(rule, flags)
    columns = ("w", "g", *rule.program.tensor_states)
    operations = _Selection(lowered, columns, for_compiler).operations()
    lines, needs = stored(operations, columns, lowered.kinds)
    arguments = ", ".join([*columns, "_scalars", "_across"])
    body = [*_unpacked(lowered, for_compiler), *lines] or ["pass"]
    source = "\n".join([f"def step({arguments}):", *(f"    {line}" for line in body)]) + "\n"
    names = {**foreach_runtime.NAMES, **(foreach_runtime.OF_TENSORS if for_compiler else {})}
    return ForeachStep(compiled(source, "step", names), source, needs)


def _unpacked(lowered: Lowered, for_compiler: bool) -> list[str]:
    if not lowered.scalars:
        return []
    names = "".join(f"{name}, " for name in lowered.scalars)
    if not for_compiler:
        return [f"({names}) = _scalars"]
    values = {equation.name: equation.value for equation in lowered.equations}
    truths = [name for name in lowered.scalars if isinstance(v := values[name], Apply) and v.operator.compares]
    return [f"({names}) = _scalars.unbind()", *(f"{name} = {name} != 0" for name in truths)]


class _Selection:
    """Chooses the operations of a lowered program."""

    def __init__(self, lowered: Lowered, columns: tuple[str, ...], for_compiler: bool) -> None:
        self.lowered, self.columns, self.for_compiler = lowered, columns, for_compiler
        # The name of each state's next value, and the state.
        self.next = {lowered.final[c]: c for c in columns if lowered.final.get(c, c) != c}
        self.kinds = dict(lowered.kinds)
        self.place: dict[str, str] = {}  # the value that an equation's name stands for
        self.done: list[Operation] = []
        self.own = ""

    def operations(self) -> list[Operation]:
        equations = self.inlined(self.lowered.of_tensors(self.next))
        late = []
        for i, equation in enumerate(equations):
            self.own = self.next.get(equation.name, "")
            value = self.select(equation.value)
            if self.own:
                later = set().union(*(names_read(e.value) for e in equations[i + 1 :]))
                if self.own in later:  # somebody has yet to read the state as it was
                    if value in self.columns:
                        value = self.add(self.kinds[value], [value], each="_x0.clone()")
                    late.append((self.own, value))
                else:
                    value = self.write(self.own, value)
            self.place[equation.name] = value
        for state, value in late:
            self.write(state, value)
        return self.done

    # Equations: those that matter, and what is read once stands where it is read

    def inlined(self, equations: list[Equation]) -> list[Equation]:
        counts = Counter(part.name for e in equations for part in walk(e.value) if isinstance(part, Read))
        inside: dict[str, Node] = {}
        kept = []
        for equation in equations:
            value = _substituted(equation.value, inside)
            once = counts[equation.name] == 1 and not is_reduction(value)
            if equation.name not in self.next and (once or isinstance(value, Read)):
                inside[equation.name] = value
            else:
                kept.append(Equation(equation.name, value))
        return kept

    # Operations: each method gives the name of the value that it makes

    def add(self, kind: Kind, operands: list[str], call: str = "", **more: Any) -> str:
        """Adds an operation; `more`: the fields of `Operation` by name."""
        name = f"_v{len(self.done)}"
        self.kinds[name] = kind
        self.done.append(Operation(name, kind, tuple(operands), call, own=self.own, **more))
        return name

    def write(self, state: str, value: str) -> str:
        name = f"_v{len(self.done)}"
        self.kinds[name] = self.kinds[state]
        self.done.append(Operation(name, self.kinds[state], (value,), into=state))
        return name

    def select(self, node: Node) -> str:
        if self.kind(node) == Kind.SCALAR:
            return self.add(Kind.TENSOR, [], each=f"_lift({self.scalar(node)}, w)")
        if isinstance(node, Read):
            return self.place.get(node.name, node.name)
        assert isinstance(node, Apply)
        factor, core = self.scaled(node)
        if factor is not None:
            return self.times(self.select(core), factor)
        if node.operator.reduces:
            return self.add(
                Kind.TENSOR, [self.select(node.arguments[0])], f"_{node.operator.name}", more=", _across", scratch=1
            )
        if node.operator.name in ("+", "-"):
            return self.sum(node)
        return self.list_operation(node) if self.has_list_form(node) else self.each(node)

    def has_list_form(self, node: Apply) -> bool:
        if node.operator.name in ("+", "-", "*", "negative") or node.operator.reduces:
            return True
        return bool(node.operator.foreach) and self.kind(node.arguments[0]) > Kind.SCALAR

    def list_operation(self, node: Apply) -> str:
        operands = [self.select(argument) for argument in node.arguments]
        if node.operator.name == "square":
            operands *= 2
        over = tuple(range(len(operands))) if node.operator.commutes else (0,)
        return self.add(self.kind(node), operands, f"torch._foreach_{node.operator.foreach}", over=over)

    def times(self, value: str, factor: Node) -> str:
        """A value times a scalar; where that is a reciprocal, a division, which rounds once."""
        call, by = "torch._foreach_mul", factor
        if isinstance(factor, Apply) and factor.operator.name == "/" and factor.arguments[0] == Number(1.0):
            call, by = "torch._foreach_div", factor.arguments[1]
        return self.add(self.kinds[value], [value], call, more=self.for_all(by), over=(0,))

    def sum(self, node: Apply) -> str:
        """A sum or difference: one term is the base, and the other is added to it in one pass, factor and all."""
        sign = None if node.operator.name == "+" else Number(-1.0)
        (f, x), (h, y) = self.scaled(node.arguments[0]), self.scaled(node.arguments[1])
        h = _product(sign, h)
        if self.kind(x) == Kind.SCALAR or self.kind(y) == Kind.SCALAR:
            (f, x), (h, y) = ((h, y), (f, x)) if self.kind(x) == Kind.SCALAR else ((f, x), (h, y))
            value = self.select(x) if f is None else self.times(self.select(x), f)
            return self.add(
                self.kinds[value], [value], "torch._foreach_add", more=self.for_all(_product(h, y)), over=(0,)
            )
        if self.kind(y) > self.kind(x) or (self.kind(y) == self.kind(x) and self.better_base(y, x)):
            (f, x), (h, y) = (h, y), (f, x)
        kind = self.kind(x)
        other, terms = self.terms(y, h)
        base = self.select(x) if f is None else self.times(self.select(x), f)
        if self.for_compiler or (h is None and not terms[1:]):
            return self.add(kind, [base, *terms], f"torch._foreach_{other}", over=(0, 1))
        name = "alpha" if other == "add" else "value"
        more = f", {name}=_fit({self.scalar(h or Number(1.0))}, w)"
        return self.add(kind, [base, *terms], f"torch._foreach_{other}", more=more, over=(0,))

    def better_base(self, y: Node, x: Node) -> bool:
        """Whether it is better to add x to y than y to x: y may be overwritten, or x is added in one operation."""
        own = Read(self.own)
        if x == own or y == own:
            return y == own
        return self.is_compound(x) and not self.is_compound(y)

    def is_compound(self, node: Node) -> bool:
        if not isinstance(node, Apply) or node.operator.name not in ("*", "/", "square"):
            return False
        return all(self.kind(argument) > Kind.SCALAR for argument in node.arguments)

    def terms(self, node: Node, factor: Node | None) -> tuple[str, list[str]]:
        """The operation that adds a term times a factor, and the values that it adds."""
        if isinstance(node, Apply) and self.is_compound(node) and not self.for_compiler:
            values = [self.select(argument) for argument in node.arguments]
            if node.operator.name == "/":
                return "addcdiv", values
            return "addcmul", values * 2 if node.operator.name == "square" else values
        if self.for_compiler and factor is not None:
            return "add", [self.times(self.select(node), factor)]
        return "add", [self.select(node)]

    def each(self, node: Apply) -> str:
        """An operation that lists have not: the plain one, for each parameter."""
        operands: list[str] = []

        def element(argument: Node) -> Node:
            if self.kind(argument) == Kind.SCALAR:
                return argument
            if argument is node or (isinstance(argument, Apply) and not self.has_list_form(argument)):
                return Apply(argument.operator, tuple(map(element, argument.arguments)))
            operands.append(self.select(argument))
            name = f"_x{len(operands) - 1}"
            self.kinds[name] = self.kinds[operands[-1]]
            return Read(name)

        kind, inner = self.kind(node), element(node)
        assert isinstance(inner, Apply)
        scratch = sum(isinstance(part, Apply) for part in walk(inner)) - 1
        if node.operator.name == "where" and self.kind(node.arguments[0]) == Kind.SCALAR and not self.for_compiler:
            texts = [torch_text(argument, self.kinds) for argument in inner.arguments]
            return self.add(kind, operands, each=f"_choose({', '.join(texts)}, w)", scratch=scratch)
        return self.add(kind, operands, each=torch_text(inner, self.kinds), scratch=scratch)

    # Factors

    def scaled(self, node: Node) -> tuple[Node | None, Node]:
        """A value as a scalar factor, None for 1, and what it multiplies."""
        if not isinstance(node, Apply) or self.kind(node) == Kind.SCALAR:
            return None, node
        if node.operator is NEGATIVE:
            factor, core = self.scaled(node.arguments[0])
            return _product(Number(-1.0), factor), core
        if node.operator.name not in ("*", "/"):
            return None, node
        a, b = node.arguments
        if self.kind(b) == Kind.SCALAR:
            factor, core = self.scaled(a)
            if node.operator.name == "*":
                return _product(factor, b), core
            return apply("/", factor or Number(1.0), b), core
        if self.kind(a) == Kind.SCALAR:
            if node.operator.name == "/":
                return None, node
            factor, core = self.scaled(b)
            return _product(a, factor), core
        # One factor goes through a product of tensors: two, each harmless beside its own tensor, may not be together.
        factor, x = self.scaled(a)
        if factor is None and node.operator.name == "*":
            factor, b = self.scaled(b)
        return factor, Apply(node.operator, (x, b))

    def kind(self, node: Node) -> Kind:
        return kind_of(node, self.kinds)

    def for_all(self, scalar: Node | None) -> str:
        """A scalar as the last argument of an operation on a list.

        For a compiler as a list: given one tensor to be added to all, torch 2.13 rounds it to float32 on the way.
        """
        return f", [{self.scalar(scalar)}]*len(w)" if self.for_compiler else f", {self.scalar(scalar)}"

    def scalar(self, node: Node | None) -> str:
        assert node is not None
        return torch_text(node, self.kinds)


def _product(a: Node | None, b: Node | None) -> Node | None:
    return b if a is None else a if b is None else apply("*", a, b)


def _substituted(node: Node, inside: Mapping[str, Node]) -> Node:
    if isinstance(node, Read):
        return inside.get(node.name, node)
    if isinstance(node, Apply):
        return Apply(node.operator, tuple(_substituted(argument, inside) for argument in node.arguments))
    return node
