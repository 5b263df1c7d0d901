"""What the survey says of gradients, metaheuristics and hybrids, sentence by sentence, and what the records say to it.

A statement is words, so each has a rule, written before the records were made, by which it is judged: what is measured
and from where on it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from thalweg.reproduce.survey.evidence import COMPLEX, CONTROLS, DEEP, SIMPLE, Cell, Evidence
from thalweg.reproduce.survey.functions import DESCENTS, MULTISTART
from thalweg.reproduce.survey.functions import HYBRIDS as REFINED
from thalweg.reproduce.survey.functions import STRATEGIES as SEARCHES
from thalweg.reproduce.survey.networks import HYBRIDS, STRATEGIES

HOLDS, PARTLY, FAILS, UNDECIDED, NOT_MEASURED = "holds", "holds in part", "does not hold", "undecided", "not measured"
VERDICTS = (HOLDS, PARTLY, FAILS, UNDECIDED, NOT_MEASURED)
METAHEURISTICS = tuple(name for name in STRATEGIES if name not in CONTROLS)
ON_FUNCTIONS = tuple(name for name in SEARCHES if name not in CONTROLS)
ANNEALING = ("sa", "gsa")
DIFFERENTIAL = ("de", "jade", "shade")
EVOLUTION = ("snes", "openai_es", "pgpe", "sep_cma")


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the measured numbers that it rests on, in words."""

    verdict: str
    because: str


@dataclass(frozen=True)
class Statement:
    """A sentence of the survey, where it stands, the rule by which it is judged, and that rule as a function."""

    name: str
    section: str
    quote: str
    rule: str
    judge: Callable[[Evidence], Judgement | None]

    def judged(self, evidence: Evidence) -> Judgement:
        """What is to be said of it."""
        return self.judge(evidence) or Judgement(NOT_MEASURED, "the part that it needs was not run")


def _fast_start(e: Evidence) -> Judgement | None:
    counted = e.ahead_early()
    if counted is None:
        return None
    ahead, nets = counted
    verdict = HOLDS if ahead > 0.9 * nets else PARTLY if ahead > 0.5 * nets else FAILS
    return Judgement(verdict, f"a gradient method has the lowest loss after a tenth of the passes on {ahead} of {nets}")


def _local_minima(e: Evidence) -> Judgement | None:
    descents, others = e.solved(DESCENTS, "many"), e.solved_by_each(ON_FUNCTIONS, "many")
    starts = e.solved([MULTISTART], "many")
    if descents is None or not others:
        return None
    best = max(others, key=others.__getitem__)
    verdict = HOLDS if descents < 0.5 * others[best] else FAILS
    told = f"descents solve {descents:.0%} of runs on functions with many minima, {_shown(best)} {others[best]:.0%}"
    return Judgement(verdict, told + ("" if starts is None else f", L-BFGS from many starts {starts:.0%}"))


def _learning_rate(e: Evidence) -> Judgement | None:
    lost = e.lost_by_setting(("sgd", "adam"))
    if lost is None:
        return None
    verdict = HOLDS if lost > 5 else FAILS
    return Judgement(verdict, f"a drawn setting of theirs loses {lost:.1f} points to the best drawn (median)")


def _robust(e: Evidence) -> Judgement | None:
    settings = e.lost_by_setting(("sgd", "adam")), e.lost_by_setting(METAHEURISTICS)
    seeds = e.spread_over_seeds(("sgd", "adam")), e.spread_over_seeds(METAHEURISTICS)
    if None in (*settings, *seeds):
        return None
    by_setting, by_seed = settings[1] < settings[0], seeds[1] < seeds[0]  # type: ignore[operator]
    verdict = HOLDS if by_setting and by_seed else PARTLY if by_setting or by_seed else FAILS
    return Judgement(
        verdict,
        f"a drawn setting loses {settings[1]:.1f} points (gradients {settings[0]:.1f}); over seeds scores spread by "
        f"{seeds[1]:.1f} points (gradients {seeds[0]:.1f})",
    )


def _less_stuck(e: Evidence) -> Judgement | None:
    descents, others = e.solved(DESCENTS, "many"), e.solved_by_each(ON_FUNCTIONS, "many")
    starts = e.solved([MULTISTART], "many")
    if descents is None or starts is None or not others:
        return None
    above = [name for name, share in others.items() if share > descents]
    beyond = [name for name, share in others.items() if share > starts]
    verdict = HOLDS if len(above) > 0.5 * len(others) else PARTLY if above else FAILS
    return Judgement(
        verdict,
        f"of {len(others)} metaheuristics {len(above)} solve more runs than descents ({descents:.0%}) where minima are "
        f"many, and {len(beyond)} more than L-BFGS from many starts ({starts:.0%})",
    )


def _more_iterations(e: Evidence) -> Judgement | None:
    ratios = e.passes_beside(ON_FUNCTIONS, (*DESCENTS, MULTISTART), "one")
    if not ratios:
        return None
    more = sum(ratio > 1 for ratio in ratios)
    verdict = HOLDS if more > 0.9 * len(ratios) else PARTLY if more else FAILS
    return Judgement(
        verdict,
        f"where there is one minimum the quickest metaheuristic takes {min(ratios):.1f} to {max(ratios):.1f} times the "
        f"passes of the quickest gradient method, more on {more} of {len(ratios)} functions",
    )


def _efficient(e: Evidence) -> Judgement | None:
    counts = e.counted(METAHEURISTICS, e.nets)
    total = counts.total()
    if not total:
        return None
    verdict = HOLDS if counts["worse"] > 0.75 * total else PARTLY if counts["worse"] > counts["better"] else FAILS
    return Judgement(
        verdict, f"at equal passes, against Adam, metaheuristics are {_said(counts)} in {total} comparisons"
    )


def _expensive(e: Evidence) -> Judgement | None:
    own, step = e.work(ON_FUNCTIONS), e.work(("adam",))
    held, adams = e.work(ON_FUNCTIONS, "bytes"), e.work(("adam",), "bytes")
    if not own or not step:
        return None
    ratios = {name: seconds / step["adam"] for name, seconds in own.items()}
    costlier = [name for name, ratio in ratios.items() if ratio > 1]
    memory = [held[name] / adams["adam"] for name in held]
    verdict = HOLDS if len(costlier) > 0.5 * len(ratios) else PARTLY if costlier else FAILS
    return Judgement(
        verdict,
        f"of {len(ratios)} metaheuristics {len(costlier)} take more time of their own for an evaluation than Adam for "
        f"a step ({min(ratios.values()):.1f} to {max(ratios.values()):.1f} times), and they carry {min(memory):.1f} to "
        f"{max(memory):.0f} times the memory",
    )


def _simple(e: Evidence) -> Judgement | None:
    counts = e.counted(METAHEURISTICS, SIMPLE)
    if not counts.total():
        return None
    verdict = HOLDS if counts["better"] == 0 and counts["worse"] else PARTLY if counts["worse"] else FAILS
    return Judgement(verdict, f"on {', '.join(SIMPLE)} metaheuristics are, against Adam, {_said(counts)}")


def _deep_and_complex(e: Evidence) -> Judgement | None:
    places = tuple(dict.fromkeys((*DEEP, *COMPLEX)))
    counts = e.counted(METAHEURISTICS, places)
    if not counts.total():
        return None
    verdict = HOLDS if counts["better"] else UNDECIDED if counts["worse"] == 0 else FAILS
    return Judgement(
        verdict, f"on {', '.join(n for n in places if n in e.nets)} they are, against Adam, {_said(counts)}"
    )


def _rugged_ga(e: Evidence) -> Judgement | None:
    cells = e.cells(["ga"], "many")
    if not cells:
        return None
    ahead = [cell for cell in cells if cell["best"][-1] < min(c["best"][-1] for c in _same(e, cell, DESCENTS))]
    beyond = [cell for cell in cells if cell["best"][-1] < min(c["best"][-1] for c in _same(e, cell, (MULTISTART,)))]
    verdict = HOLDS if len(ahead) > 0.5 * len(cells) else PARTLY if ahead else FAILS
    return Judgement(
        verdict,
        f"where minima are many it ends lower than descents on {len(ahead)} of {len(cells)} functions, lower than "
        f"L-BFGS from many starts on {len(beyond)}",
    )


def _ranked(e: Evidence, group: tuple[str, ...]) -> tuple[float, float, int] | None:
    """The mean rank of the best of a group among all metaheuristics by what they end at, the mean rank there would be
    by chance, and on how many functions."""
    ranks, chance = [], []
    for place in dict.fromkeys((cell["function"], cell["dim"]) for cell in e.cells(group)):
        cells = [c for c in e.cells(ON_FUNCTIONS) if (c["function"], c["dim"]) == place]
        order = [cell["method"] for cell in sorted(cells, key=lambda cell: (-cell["solved"], cell["best"][-1]))]
        own = [order.index(name) + 1 for name in group if name in order]
        ranks.append(min(own))
        chance.append((len(order) + 1) / (len(own) + 1))
    return (sum(ranks) / len(ranks), sum(chance) / len(chance), len(ranks)) if ranks else None


def _better_than_chance(e: Evidence, group: tuple[str, ...]) -> Judgement | None:
    found = _ranked(e, group)
    if found is None:
        return None
    own, chance, count = found
    verdict = HOLDS if own < 0.67 * chance else PARTLY if own < chance else FAILS
    whose = _shown(group[0]) if len(group) == 1 else f"the best of {', '.join(map(_shown, group))}"
    return Judgement(
        verdict, f"over {count} functions {whose} has mean rank {own:.1f} among metaheuristics (by chance {chance:.1f})"
    )


def _combinatorial(method: str) -> Callable[[Evidence], Judgement | None]:
    def judge(e: Evidence) -> Judgement | None:
        told, best = [], []
        for problem in ("knapsack", "tour"):
            cells = e.choice(problem)
            if method not in cells:
                return None
            own = cells[method]
            rivals = [cell for name, cell in cells.items() if name not in (method, "random")]
            best.append(own["solved"] >= max(cell["solved"] for cell in rivals))
            told.append(f"{problem}: {own['solved']} of {own['runs']} runs at the optimum, median gap {own['gap']:.2%}")
        control = [e.choice(problem)["hillclimb"] for problem in ("knapsack", "tour")]
        told.append(f"hill climbing {control[0]['solved']} and {control[1]['solved']}")
        verdict = HOLDS if all(best) else PARTLY if any(best) else FAILS
        return Judgement(verdict, "; ".join(told))

    return judge


def _adaptive(e: Evidence) -> Judgement | None:
    counts = e.counted(["adam"], e.nets, baseline="sgd")
    if not counts.total():
        return None
    verdict = HOLDS if counts["better"] > counts.total() / 2 else UNDECIDED if counts["worse"] == 0 else FAILS
    return Judgement(
        verdict, f"Adam is, against gradient descent, both tuned, {_said(counts)} on {counts.total()} networks"
    )


def _hybrids(e: Evidence) -> Judgement | None:
    nets = e.counted(HYBRIDS, e.nets)
    refined = e.solved_by_each(REFINED)
    parents = e.solved_by_each(REFINED.values())
    if not nets.total() or not refined:
        return None
    above = [name for name, parent in REFINED.items() if refined[name] > parents[parent]]
    on_nets = nets["better"] > nets["worse"]
    verdict = HOLDS if above and on_nets else PARTLY if above or on_nets else FAILS
    told = ", ".join(f"{_shown(name)} {refined[name]:.0%} (alone {parents[REFINED[name]]:.0%})" for name in refined)
    return Judgement(verdict, f"runs solved on functions: {told}; on networks hybrids are, against Adam, {_said(nets)}")


def _evolution(e: Evidence) -> Judgement | None:
    against_random, against_adam = e.counted(EVOLUTION, e.nets, "random"), e.counted(EVOLUTION, e.nets)
    if not against_random.total():
        return None
    promising = against_random["better"] > 0.75 * against_random.total()
    verdict = (
        HOLDS if promising and against_adam["worse"] < 0.5 * against_adam.total() else PARTLY if promising else FAILS
    )
    return Judgement(
        verdict, f"evolution strategies are, against random search, {_said(against_random)}; against Adam, "
        f"{_said(against_adam)}",
    )  # fmt: skip


def _quantum(e: Evidence) -> Judgement | None:
    cells = e.choice("knapsack")
    inspired = [cells[name] for name in ("qea", "sqa") if name in cells]
    classical = [cells[name] for name in ("tabu", "aco_discrete", "hillclimb") if name in cells]
    swarm = e.solved_by_each(("pso", "qpso"))
    if not inspired or not classical or len(swarm) < 2:
        return None
    most = max(cell["solved"] for cell in classical)
    on_bits = max(cell["solved"] for cell in inspired) > most
    on_weights = swarm["qpso"] > swarm["pso"]
    verdict = HOLDS if on_bits and on_weights else PARTLY if on_bits or on_weights else FAILS
    told = ", ".join(f"{cell['method'].replace('_', '-')} {cell['solved']}" for cell in (*inspired, *classical))
    return Judgement(
        verdict,
        f"knapsacks solved of {inspired[0]['runs']}: {told}; runs solved on functions: qpso {swarm['qpso']:.0%}, pso "
        f"{swarm['pso']:.0%}",
    )


def _same(e: Evidence, cell: Cell, methods: tuple[str, ...]) -> list[Cell]:
    """The cells of other methods on the same function."""
    place = cell["function"], cell["dim"]
    return [other for other in e.cells(methods) if (other["function"], other["dim"]) == place]


def _said(counts: Counter[str]) -> str:
    words = ("better", "equivalent", "undecided", "worse")
    return ", ".join(f"{counts[word]} times {word}" for word in words if counts[word])


def _shown(name: str) -> str:
    return name.replace("_lbfgs", " with L-BFGS").replace("_", "-")


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        "fast start", "V, convergence",
        "Gradient-based optimization methods, such as SGD and its variants, typically exhibit fast initial convergence",
        "after a tenth of the passes the lowest mean training loss is a gradient method's: holds on more than 90 % of "
        "the networks, in part on more than half",
        _fast_start,
    ),
    Statement(
        "local minima", "V, convergence",
        "they may struggle to escape local minima",
        "on functions with many minima descents solve less than half as many runs as some metaheuristic",
        _local_minima,
    ),
    Statement(
        "learning rate", "V, convergence",
        "and can be sensitive to the choice of learning rate",
        "the median drawn setting loses more than 5 points of validation accuracy to the best drawn",
        _learning_rate,
    ),
    Statement(
        "robust", "V, convergence",
        "metaheuristic optimization algorithms, such as GA and PSO, often provide more robust convergence properties",
        "they lose less than gradients by the setting, and spread less over seeds; in part where one of the two",
        _robust,
    ),
    Statement(
        "less stuck", "V, convergence",
        "They are less likely to get stuck in local minima",
        "more than half of them solve more runs than descents where minima are many; in part where any does",
        _less_stuck,
    ),
    Statement(
        "more iterations", "V, convergence",
        "but may require more iterations to converge to a solution",
        "where there is one minimum, the quickest takes more passes than the quickest gradient method on more than "
        "90 % of the functions that both solve",
        _more_iterations,
    ),
    Statement(
        "efficient", "V, efficiency",
        "Gradient-based optimization methods are computationally efficient",
        "at equal passes metaheuristics are worse than Adam in more than three comparisons of four",
        _efficient,
    ),
    Statement(
        "graphics cards", "V, efficiency",
        "They can leverage the computational power of modern GPUs to accelerate training",
        "needs a graphics card",
        lambda e: Judgement(NOT_MEASURED, "no graphics card was there"),
    ),
    Statement(
        "expensive", "V, efficiency",
        "metaheuristic optimization algorithms are often more computationally expensive, as they involve maintaining a "
        "population of candidate solutions and performing complex search operations",
        "more than half of them take more time of their own for an evaluation than Adam for a step",
        _expensive,
    ),
    Statement(
        "simple", "V, performance",
        "Gradient-based methods are often preferred for simple datasets and shallow neural networks",
        "on small networks no metaheuristic is better than Adam, and some are worse",
        _simple,
    ),
    Statement(
        "deep and complex", "V, performance",
        "for complex datasets and deep neural networks, metaheuristic optimization algorithms may outperform "
        "gradient-based methods",
        "on deep networks and images any metaheuristic is better than Adam at equal passes",
        _deep_and_complex,
    ),
    Statement(
        "genetic algorithms", "IV",
        "GA is particularly useful for exploring complex and rugged search spaces, where traditional gradient-based "
        "methods may struggle",
        "where minima are many it ends lower than descents on more than half of the functions",
        _rugged_ga,
    ),
    Statement(
        "particle swarms", "IV",
        "PSO is known for its simplicity and efficiency in optimization tasks",
        "its mean rank among metaheuristics is below two thirds of what chance gives; in part where it is below that",
        lambda e: _better_than_chance(e, ("pso",)),
    ),
    Statement(
        "ants", "IV",
        "ACO is particularly effective for combinatorial optimization problems",
        "on the knapsack and on the tour nobody finds the optimum in more runs; in part on one of the two",
        _combinatorial("aco_discrete"),
    ),
    Statement(
        "differential evolution", "IV",
        "DE is known for its simplicity and robustness in optimization tasks",
        "the mean rank of its best form is below two thirds of what chance gives; in part where it is below that",
        lambda e: _better_than_chance(e, DIFFERENTIAL),
    ),
    Statement(
        "annealing", "IV",
        "SA is effective for exploring rugged search spaces and escaping local optima",
        "the same, of its best form",
        lambda e: _better_than_chance(e, ANNEALING),
    ),
    Statement(
        "tabu search", "IV",
        "Tabu Search is known for its effectiveness in finding high-quality solutions in combinatorial optimization "
        "problems",
        "as for ants",
        _combinatorial("tabu"),
    ),
    Statement(
        "adaptive rates", "III",
        "These methods adapt the learning rate based on the past gradients, enabling faster convergence",
        "at equal passes Adam is better than gradient descent, both tuned, on more than half of the networks",
        _adaptive,
    ),
    Statement(
        "hybrids", "VIII",
        "Hybrid optimization techniques combine the strengths of different optimization approaches to achieve better "
        "performance",
        "local searches raise the share of runs that a strategy solves, and on networks hybrids are more often better "
        "than Adam than worse; in part where one of the two",
        _hybrids,
    ),
    Statement(
        "evolution strategies", "VIII",
        "Evolutionary strategies, inspired by the process of natural selection, have shown promise in optimizing "
        "neural networks",
        "better than random search in more than three comparisons of four, and worse than Adam in fewer than half; in "
        "part without the latter",
        _evolution,
    ),
    Statement(
        "quantum-inspired", "VIII",
        "These algorithms leverage principles from quantum computing to explore the solution space more efficiently "
        "and effectively",
        "on the knapsack they find the optimum in more runs than classical ones, and the quantum-behaved swarm solves "
        "more than the plain one; in part where one of the two",
        _quantum,
    ),
)  # fmt: skip
