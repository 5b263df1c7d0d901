"""How an evolution is run: what is bred, how much of it is evaluated, and for how long."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

TREE, GRAMMAR, CONSTANTS = REPRESENTATIONS = ("tree", "grammar", "constants")
SEARCHES = ("ageing", "generational", "random")
COMBINED = ("mean", "worst", "rank")

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """When an evolution ends: after so many candidates, seconds, or examples that were trained on, at the end of the
    batch under way."""

    candidates: int | None = None
    seconds: float | None = None
    examples: int | None = None

    def __post_init__(self) -> None:
        for name, most in (("candidates", self.candidates), ("seconds", self.seconds), ("examples", self.examples)):
            if most is not None and not 0 <= most < math.inf:
                raise ValueError(f"{name} of a budget must be a number of at least 0, got {most!r}")
        if self.candidates is None and self.seconds is None and self.examples is None:
            raise ValueError("budget must name candidates, seconds or examples, got none: it would never be spent")

    @classmethod
    def parsed(cls, text: str) -> Budget:
        """From `10m`, `90s`, `2h`, or `2000c` for candidates. Raises ValueError on anything else."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhc])", str(text).strip())
        if match is None or float(match[1]) == 0 or (match[2] == "c" and "." in match[1]):
            raise ValueError(f"budget must be a time such as 90s, 10m or 2h, or candidates such as 2000c, got {text!r}")
        if match[2] == "c":
            return cls(candidates=int(match[1]))
        return cls(seconds=float(match[1]) * _UNITS[match[2]])

    def share(self, candidates: int, seconds: float, examples: int) -> float:
        """How much of it is gone, from 0 to 1."""
        pairs = ((candidates, self.candidates), (seconds, self.seconds), (examples, self.examples))
        return min(1.0, max((gone / most if most else 1.0 for gone, most in pairs if most is not None)))

    def __str__(self) -> str:
        if self.candidates is not None:
            return f"{self.candidates} candidates"
        return f"{self.seconds:g} s" if self.seconds is not None else f"{self.examples} examples"


@dataclass(frozen=True)
class Settings:
    """All that decides an evolution beside its tasks, its seed and its budget.

    What is bred:
        representation: "tree" (typed trees over the operators), "grammar" (structured grammatical evolution), or
            "constants" (the numbers of the seed rules alone).
        grammar: of a grammar's genomes: "rich", "paper", or the path of a BNF file.
        probabilistic: codons choose by probabilities that the best move (PSGE).
        edits: of a grammar's genomes: "few" for one or two a child, or the rate at which each expressed codon mutates.
        crossover: the share of children of two parents; in the generational search they mutate too.
        fresh: the share of children that are drawn from scratch.
        retries: how often a child is bred anew that does what is known.

    How it is selected:
        search: "ageing" (the oldest make room, Real et al. 2019), "generational" (the paper's), or "random".
        population, tournament, elites: members of an island, how many of them compete to be a parent, and how many of
            the best, of distinct behaviour, are always among the parents.
        batch: children of an island that are bred and evaluated together.
        islands, migration: populations that breed apart, and every how many batches each sends its best to the next.

    How it is evaluated:
        proxy: whether the micro-proxy comes first. rungs: shares of a training after which hurdles stand.
        quantile: which share of the distinct scores seen at a hurdle does not pass it.
        trials: seeds of a first evaluation, for those above `floor`; without one, for those above the hurdle of the
            first seed, at `trial_quantile`. trial: how they combine, "mean" or "worst".
        across: how the scores on several tasks combine: "mean", "worst" or "rank".
        contenders, seeds: how many of the best are evaluated again, on one of so many seeds after each batch.
        control: the share of candidates that no hurdle stops, which tells what the hurdles lose.
    """

    representation: str = "tree"
    grammar: str = "rich"
    probabilistic: bool = False
    edits: str | float = "few"
    crossover: float = 0.2
    fresh: float = 0.05
    retries: int = 2
    search: str = "ageing"
    population: int = 128
    tournament: int = 8
    elites: int = 16
    batch: int = 128
    islands: int = 1
    migration: int = 10
    proxy: bool = True
    rungs: tuple[float, ...] = (0.25,)
    quantile: float = 0.3
    trials: int = 3
    trial_quantile: float = 0.9
    floor: float | None = None
    trial: str = "mean"
    across: str = "mean"
    contenders: int = 16
    seeds: int = 10
    control: float = 0.015

    def __post_init__(self) -> None:
        for name, allowed in (("representation", REPRESENTATIONS), ("search", SEARCHES), ("across", COMBINED)):
            _one_of(name, getattr(self, name), allowed)
        _one_of("trial", self.trial, ("mean", "worst"))
        for name, least in _LEAST.items():
            _whole(name, getattr(self, name), least)
        for name in ("crossover", "fresh", "control", "quantile", "trial_quantile"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {value!r}")
        rungs = self.rungs
        if not isinstance(rungs, tuple) or not all(isinstance(x, (int, float)) and 0 < x < 1 for x in rungs):
            raise ValueError(f"rungs must be shares of a training, between 0 and 1, got {rungs!r}")
        if list(rungs) != sorted(set(rungs)):
            raise ValueError(f"rungs must be rising shares of a training, got {rungs!r}")
        for name in ("proxy", "probabilistic"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if self.floor is not None and (isinstance(self.floor, bool) or not isinstance(self.floor, (int, float))):
            raise ValueError(f"floor must be a score or None, got {self.floor!r}")
        if self.edits != "few" and not (isinstance(self.edits, float) and 0 < self.edits <= 1):
            raise ValueError(f"edits must be 'few' or a rate above 0 and up to 1, got {self.edits!r}")
        if not isinstance(self.grammar, str):
            raise ValueError(f"grammar must be a name or a path, got {self.grammar!r}")
        if self.tournament > self.population:
            raise ValueError(f"tournament must be at most population, {self.population}, got {self.tournament!r}")

    def to_json(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """The settings that `to_json` told. Raises ValueError where these are none."""
        try:
            return cls(**{**data, "rungs": tuple(data["rungs"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"settings must be those of an evolution, got {data!r:.200}") from error

    def changed(self, **changes: Any) -> Settings:
        """The same but for these. Raises ValueError on a name that is no setting."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"there is no setting {name!r}; there are {', '.join(known)}")
        return replace(self, **changes)


def parsed(text: str) -> tuple[str, Any]:
    """A setting from `name=value`, its value of the kind that it has in `Settings`.

    Raises ValueError where there is no such setting, or the text is none of its kind.
    """
    name, sign, value = (part.strip() for part in text.partition("="))
    known = {field.name: field.default for field in fields(Settings)}
    if not sign or name not in known:
        raise ValueError(f"a setting must be name=value, such as population=64, of {', '.join(known)}; got {text!r}")
    default = known[name]
    try:
        if name == "rungs":
            return name, tuple(float(part) for part in value.split(",") if part and part.lower() != "none")
        if isinstance(default, bool):
            return name, {"true": True, "yes": True, "false": False, "no": False}[value.lower()]
        if isinstance(default, int):
            return name, int(value)
        if name == "floor":
            return name, None if value.lower() == "none" else float(value)
        if isinstance(default, float) or (name == "edits" and value != "few"):
            return name, float(value)
    except (KeyError, ValueError) as error:
        kind = _KINDS["rungs" if name == "rungs" else type(default).__name__]
        raise ValueError(f"{name} must be {kind}, got {value!r}") from error
    return name, value


_KINDS = {
    "bool": "true or false", "int": "a whole number", "float": "a number", "NoneType": "a number or none",
    "str": "'few' or a number", "rungs": "shares separated by commas, such as 0.25,0.5, or none",
}  # fmt: skip
_LEAST = {
    "retries": 0, "population": 2, "tournament": 1, "elites": 0, "batch": 1, "islands": 1, "migration": 1,
    "trials": 1, "contenders": 0, "seeds": 1,
}  # fmt: skip


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


PRESETS: dict[str, Settings] = {
    "laptop": Settings(),
    "gpu": Settings(population=512, batch=512, islands=4),
    # Carvalho, Lourenço and Machado 2022, table 1 and algorithm 1; every offspring is evaluated in full.
    "paper": Settings(
        representation="grammar", grammar="paper", edits=0.15, crossover=0.9, fresh=0.0, retries=0,
        search="generational", population=20, tournament=5, elites=1, batch=20, proxy=False, rungs=(), trials=5,
        floor=0.8, trial="worst", contenders=0, seeds=1, control=0.0,
    ),
}  # fmt: skip


def preset_named(name: str) -> Settings:
    """The settings of that name. Raises ValueError where there are none."""
    _one_of("preset", name, tuple(PRESETS))
    return PRESETS[name]
