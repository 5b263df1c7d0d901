"""A dimension of a search space: one hyperparameter, its range or its choices, and the scale of the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar

from thalweg.race.record import Value

EDGE = 0.05  # a chosen value within this share of its range (in the scale searched) is reported as lying at the edge


class Dimension:
    """One hyperparameter that is searched. `kind` is its word in files: float, integer or choice."""

    name: str
    kind: ClassVar[str]

    def at(self, position: float) -> Value:
        """The hyperparameter's value at a position from 0 to 1 of its range, evenly in the scale searched."""
        raise NotImplementedError

    def position(self, value: Value) -> float | None:
        """Where a value lies, from 0 to 1; beyond the range it is the nearer edge. None if it has no place at all: the
        value is not a number, or not one of the choices."""
        raise NotImplementedError

    def levels(self, count: int) -> list[Value]:
        """As many values, at least 2, evenly over the range with its edges; fewer if so many are not to be had."""
        return list(dict.fromkeys(self.at(k / (count - 1)) for k in range(count)))

    @property
    def extent(self) -> str:
        """The range or the choices, in words."""
        raise NotImplementedError

    def value_in(self, hyperparameters: Mapping[str, Value]) -> Value:
        """The value that these hyperparameters give to this dimension."""
        return hyperparameters[self.name]

    def with_value(self, hyperparameters: Mapping[str, Value], value: Value) -> dict[str, Value]:
        """The hyperparameters with this one at the value."""
        return {**hyperparameters, self.name: value}

    def with_value_at(self, hyperparameters: Mapping[str, Value], position: float) -> dict[str, Value]:
        """The hyperparameters with this one at a position from 0 to 1."""
        return self.with_value(hyperparameters, self.at(position))

    def searched_value(self, hyperparameters: Mapping[str, Value]) -> Value:
        """The value of the quantity that is searched, which `str` names: 1 - value for a complement."""
        return self.value_in(hyperparameters)

    def edge_warning(self, hyperparameters: Mapping[str, Value]) -> str | None:
        """Says so if the value lies at an edge of the range, or beyond it: a wider range might serve it better."""
        return None

    def check(self, hyperparameters: Mapping[str, Value]) -> None:
        """Raises ValueError if the hyperparameters have none that this dimension could search."""
        if self.name not in hyperparameters:
            known = ", ".join(hyperparameters) or "none"
            raise ValueError(f"name must be a hyperparameter of the method ({known}), got {self.name!r}")

    def as_dict(self) -> dict[str, Any]:
        """The dimension as JSON can hold it; `dimension_from_dict` reads it back."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]  # every kind is a dataclass

    def __str__(self) -> str:
        return self.name


class _Range(Dimension):
    """What the two kinds that have a low and a high edge share. Here all values are those of the searched quantity."""

    low: float
    high: float
    log: bool

    def _check_range(self) -> None:
        if not isinstance(self.log, bool):
            raise ValueError(f"log must be true or false, got {self.log!r}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low = {self.low:g} and high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be > 0 for a range searched by its logarithm, got {self.low:g}")

    def edge_warning(self, hyperparameters: Mapping[str, Value]) -> str | None:
        value = self.searched_value(hyperparameters)
        if not _is_number(value) or EDGE < _share(float(value), self.low, self.high, self.log) < 1 - EDGE:  # type: ignore[arg-type]
            return None
        return f"{self} = {value:.3g} is at the edge of {self.low:g} to {self.high:g}"

    @property
    def extent(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Float(_Range):
    """A number searched between `low` and `high`, both included, by its logarithm unless `log` is false.

    `index` is its place if the hyperparameter is a tuple. With `complement` it is 1 - value that is searched, which is
    the natural scale of a decay rate; `low` and `high` are then those of 1 - value.

    >>> Float("lr", 1e-4, 1.0).at(0.5)
    0.01
    >>> print(Float("betas", 1e-3, 1.0, index=1, complement=True))
    1 - betas[1]
    """

    kind: ClassVar[str] = "float"
    name: str
    low: float
    high: float
    log: bool = True
    index: int | None = None
    complement: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        for key in ("low", "high"):
            value = getattr(self, key)
            if not _is_number(value) or not math.isfinite(value):
                raise ValueError(f"{key} must be a finite number, got {value!r}")
            object.__setattr__(self, key, float(value))
        self._check_range()
        if self.index is not None and (not _is_whole(self.index) or self.index < 0):
            raise ValueError(f"index must be a place in a tuple, from 0, got {self.index!r}")
        if not isinstance(self.complement, bool):
            raise ValueError(f"complement must be true or false, got {self.complement!r}")

    def at(self, position: float) -> float:
        searched = _between(self.low, self.high, self.log, _checked(position))
        return 1 - searched if self.complement else searched

    def position(self, value: Value) -> float | None:
        if not _is_number(value):
            return None
        searched = 1 - float(value) if self.complement else float(value)  # type: ignore[arg-type]
        return min(max(_share(searched, self.low, self.high, self.log), 0.0), 1.0)

    def value_in(self, hyperparameters: Mapping[str, Value]) -> Value:
        value = hyperparameters[self.name]
        return value if self.index is None else value[self.index]  # type: ignore[index]  # see check

    def with_value(self, hyperparameters: Mapping[str, Value], value: Value) -> dict[str, Value]:
        if self.index is None:
            return super().with_value(hyperparameters, value)
        parts: list[Any] = list(hyperparameters[self.name])  # type: ignore[arg-type]  # see check
        parts[self.index] = value
        return super().with_value(hyperparameters, tuple(parts))

    def searched_value(self, hyperparameters: Mapping[str, Value]) -> Value:
        value = self.value_in(hyperparameters)
        return 1 - value if self.complement else value  # type: ignore[operator]

    def check(self, hyperparameters: Mapping[str, Value]) -> None:
        super().check(hyperparameters)
        value = hyperparameters[self.name]
        if isinstance(value, tuple) and (self.index is None or self.index >= len(value)):
            raise ValueError(f"index must be 0 to {len(value) - 1}, as {self.name} = {value}, got {self.index}")
        if not isinstance(value, tuple) and self.index is not None:
            raise ValueError(f"index must be left out, as {self.name} = {value!r} is no tuple, got {self.index}")

    def __str__(self) -> str:
        name = self.name if self.index is None else f"{self.name}[{self.index}]"
        return f"1 - {name}" if self.complement else name


@dataclass(frozen=True)
class Integer(_Range):
    """A whole number searched between `low` and `high`, both included; by its logarithm with `log`.

    >>> [Integer("patience", 1, 4).at(position) for position in (0, 0.3, 0.6, 1)]
    [1, 2, 3, 4]
    """

    kind: ClassVar[str] = "integer"
    name: str
    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        for key in ("low", "high"):
            if not _is_whole(getattr(self, key)):
                raise ValueError(f"{key} must be a whole number, got {getattr(self, key)!r}")
        self._check_range()

    def at(self, position: float) -> int:
        # Half a unit more at both ends, so that the first and the last number are as likely as their neighbours.
        searched = _between(self.low - 0.5, self.high + 0.5, self.log, _checked(position))
        return min(max(math.floor(searched + 0.5), self.low), self.high)

    def levels(self, count: int) -> list[Value]:
        evenly = (_between(self.low, self.high, self.log, k / (count - 1)) for k in range(count))
        return list(dict.fromkeys(round(value) for value in evenly))

    def position(self, value: Value) -> float | None:
        if not _is_number(value):
            return None
        inside = min(max(float(value), self.low), self.high)  # type: ignore[arg-type]
        return _share(inside, self.low - 0.5, self.high + 0.5, self.log)

    def check(self, hyperparameters: Mapping[str, Value]) -> None:
        super().check(hyperparameters)
        if isinstance(hyperparameters[self.name], tuple):
            raise ValueError(f"an integer cannot stand for {self.name} = {hyperparameters[self.name]}")


@dataclass(frozen=True)
class Choice(Dimension):
    """A hyperparameter that takes one of two or more values, which have no order.

    >>> Choice("schedule", ("constant", "cosine")).at(0.7)
    'cosine'
    """

    kind: ClassVar[str] = "choice"
    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        _check_name(self.name)
        if isinstance(self.values, str) or not isinstance(self.values, tuple | list):
            raise ValueError(f"values must be a list of choices, got {self.values!r}")
        values = tuple(tuple(value) if isinstance(value, list) else value for value in self.values)
        object.__setattr__(self, "values", values)
        for value in values:
            parts = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(part, bool | int | float | str) for part in parts):
                raise ValueError(f"values must hold numbers, texts or lists of numbers, got {value!r}")
        if len(set(values)) < max(2, len(values)):
            raise ValueError(f"values must hold at least two, each once, got {list(values)}")

    def at(self, position: float) -> Value:
        return self.values[min(int(_checked(position) * len(self.values)), len(self.values) - 1)]

    def position(self, value: Value) -> float | None:
        return (self.values.index(value) + 0.5) / len(self.values) if value in self.values else None

    @property
    def extent(self) -> str:
        return ", ".join(str(value) for value in self.values)


LogUniform = Float  # the name that a number searched by its logarithm had before there were other kinds

_KINDS: dict[str, Any] = {kind.kind: kind for kind in (Float, Integer, Choice)}


def dimension_from_dict(keys: Mapping[str, Any]) -> Dimension:
    """The dimension that `as_dict` wrote, or a table of a file says. Raises ValueError that names the key at fault."""
    kind = keys.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    known = {field.name: field for field in fields(_KINDS[kind])}
    given = {key: value for key, value in keys.items() if key != "kind"}
    if unknown := [key for key in given if key not in known]:
        raise ValueError(f"{unknown[0]} is no key of a {kind}; its keys are kind, {', '.join(known)}")
    if missing := [key for key, field in known.items() if field.default is MISSING and key not in given]:
        raise ValueError(f"{missing[0]} is missing; a {kind} needs {', '.join(missing)}")
    dimension: Dimension = _KINDS[kind](**given)
    return dimension


def _between(low: float, high: float, log: bool, position: float) -> float:
    if position == 1:
        return high  # to the bit
    value = low * (high / low) ** position if log else low + (high - low) * position
    return min(max(value, low), high)  # rounding may have carried it over an edge


def _share(value: float, low: float, high: float, log: bool) -> float:
    """The inverse of _between, beyond the edges too; what has no logarithm lies at the low edge."""
    if not log:
        return (value - low) / (high - low)
    return math.log(value / low) / math.log(high / low) if value > 0 else 0.0


def _checked(position: float) -> float:
    if not 0 <= position <= 1:
        raise ValueError(f"position must be from 0 to 1, got {position}")
    return position


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError(f"name must be the name of a hyperparameter, got {name!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
