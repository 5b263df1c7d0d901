"""The strategies by name."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from thalweg.names import shown
from thalweg.search.algorithm import Algorithm
from thalweg.search.spaces import Space
from thalweg.search.strategies.adaptive_differential_evolution import JADE, SHADE
from thalweg.search.strategies.annealing import SA
from thalweg.search.strategies.ants import ACOR
from thalweg.search.strategies.cma import CMA
from thalweg.search.strategies.controls import HillClimb, RandomSearch
from thalweg.search.strategies.differential_evolution import DE
from thalweg.search.strategies.discrete_ants import DiscreteAnts
from thalweg.search.strategies.discrete_tabu import DiscreteTabuSearch
from thalweg.search.strategies.generalized_annealing import GSA
from thalweg.search.strategies.genetic import GA, TruncationGA
from thalweg.search.strategies.natural_evolution import SNES
from thalweg.search.strategies.openai_es import OpenAIES
from thalweg.search.strategies.particle_swarm import EMPSO, MPSO, PSO, REMPSO
from thalweg.search.strategies.pgpe import PGPE
from thalweg.search.strategies.quantum_annealing import SQA
from thalweg.search.strategies.quantum_bits import QEA
from thalweg.search.strategies.quantum_swarm import QPSO
from thalweg.search.strategies.sep_cma import SepCMA
from thalweg.search.strategies.tabu import TabuSearch

ALGORITHMS: dict[str, type[Algorithm]] = {
    "random": RandomSearch,
    "hillclimb": HillClimb,
    "pso": PSO,
    "mpso": MPSO,
    "empso": EMPSO,
    "rempso": REMPSO,
    "qpso": QPSO,
    "de": DE,
    "jade": JADE,
    "shade": SHADE,
    "cma": CMA,
    "sep_cma": SepCMA,
    "snes": SNES,
    "openai_es": OpenAIES,
    "pgpe": PGPE,
    "ga": GA,
    "ga_truncation": TruncationGA,
    "aco": ACOR,
    "sa": SA,
    "gsa": GSA,
    "tabu": TabuSearch,
    "aco_discrete": DiscreteAnts,
    "qea": QEA,
    "sqa": SQA,
}
# What a name means where the class above does not search the space.
ELSEWHERE: dict[str, type[Algorithm]] = {
    "tabu": DiscreteTabuSearch,
}
# Methods of a race that are no strategies, but trainers that join one and an optimizer, and the class of each.
TRAINERS = {
    "ga_lamarckian": "Memetic",
    "ga_baldwinian": "Memetic",
    "snes_then_adam": "ThenGradient",
    "ga_informed_mutation": "InformedMutation",
    "snes_adam_bandit": "Bandit",
    "es_adam": "ESDescent",
}


def names() -> list[str]:
    """All strategies that can be named."""
    return list(map(shown, ALGORITHMS))


def kinds(name: str) -> tuple[type[Algorithm], ...]:
    """The classes that a name of ALGORITHMS means, each over other spaces."""
    return (ALGORITHMS[name], ELSEWHERE[name]) if name in ELSEWHERE else (ALGORITHMS[name],)


def names_for(space: type[Space]) -> list[str]:
    """The strategies that search a kind of space."""
    return [shown(name) for name in ALGORITHMS if any(space in kind.spaces for kind in kinds(name))]


def key_of(name: str) -> str:
    """The key in ALGORITHMS of a name. Raises ValueError, saying what may be meant, where there is none."""
    key = name.replace("-", "_")
    if key in ALGORITHMS:
        return key
    if key in TRAINERS:
        raise ValueError(
            f"strategy {name!r} is no strategy by itself, but a method of a race with gradients in it: "
            f"thalweg.search.{TRAINERS[key]} trains a network so, and `thalweg race --methods {shown(key)}` races it"
        )
    near = difflib.get_close_matches(key.lower(), ALGORITHMS, n=1)
    meant = f" (did you mean {shown(near[0])}?)" if near else ""
    raise ValueError(f"strategy {name!r} is unknown{meant}; allowed: {', '.join(names())}")


def algorithm_named(name: str, space: type[Space], hyperparameters: dict[str, Any]) -> Algorithm:
    """The algorithm of this name, for a kind of space. Raises ValueError, with the nearest name, if there is none, and
    where a hyperparameter is none of its."""
    key = key_of(name)
    kind = next((kind for kind in kinds(key) if space in kind.spaces), ALGORITHMS[key])
    known = [field.name for field in fields(kind)]
    for given in hyperparameters:
        if given not in known:
            raise ValueError(f"{given!r} is no hyperparameter of {name}; allowed: {', '.join(known)}")
    return kind(**hyperparameters)
