"""How each sentence of the survey is judged: a function of the evidence each, by the rule that stands beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from thalweg.names import shown
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, Judge, Judgement
from thalweg.reproduce.survey.evidence import COMPLEX, CONTROLS, DEEP, SIMPLE, Cell, Evidence
from thalweg.reproduce.survey.functions import HYBRIDS as REFINED
from thalweg.reproduce.survey.functions import MULTISTART
from thalweg.reproduce.survey.functions import STRATEGIES as SEARCHES
from thalweg.reproduce.survey.networks import GRADIENTS, HYBRIDS, STRATEGIES

METAHEURISTICS = tuple(name for name in STRATEGIES if name not in CONTROLS)
ON_FUNCTIONS = tuple(name for name in SEARCHES if name not in CONTROLS)
EVOLUTION = ("snes", "openai_es", "pgpe", "sep_cma")


def fast_start(e: Evidence) -> Judgement | None:
    counted = e.ahead_early()
    if counted is None:
        return None
    ahead, nets = counted
    verdict = HOLDS if ahead > 0.9 * nets else PARTLY if ahead > 0.5 * nets else FAILS
    return Judgement(verdict, f"a gradient method has the lowest loss after a tenth of the passes on {ahead} of {nets}")


def local_minima(e: Evidence) -> Judgement | None:
    descents, others = e.solved_by_each(GRADIENTS, "many"), e.solved_by_each(ON_FUNCTIONS, "many")
    starts = e.solved([MULTISTART], "many")
    if not descents or not others:
        return None
    best, first = max(others, key=others.__getitem__), max(descents, key=descents.__getitem__)
    verdict = HOLDS if descents[first] < 0.5 * others[best] else FAILS
    told = (
        f"of the functions with many minima that all were run on {_shown(first)} solves {descents[first]:.0%} of runs, "
        f"{_shown(best)} {others[best]:.0%}" + ("" if starts is None else f", L-BFGS from many starts {starts:.0%}")
    )
    return Judgement(verdict if descents[first] or others[best] else UNDECIDED, told)


def learning_rate(e: Evidence) -> Judgement | None:
    lost = e.lost_by_setting(GRADIENTS)
    if lost is None:
        return None
    verdict = HOLDS if lost > 5 else FAILS
    return Judgement(verdict, f"within a decade of the best drawn rate another loses {lost:.1f} points (median)")


def robust(e: Evidence) -> Judgement | None:
    settings = e.lost_by_setting(GRADIENTS), e.lost_by_setting(METAHEURISTICS)
    seeds = e.spread_over_seeds(GRADIENTS), e.spread_over_seeds(METAHEURISTICS)
    if None in (*settings, *seeds):
        return None
    by_setting, by_seed = settings[1] < settings[0], seeds[1] < seeds[0]  # type: ignore[operator]
    verdict = HOLDS if by_setting and by_seed else PARTLY if by_setting or by_seed else FAILS
    return Judgement(
        verdict,
        f"within a decade of the best a setting loses {settings[1]:.1f} points (gradients {settings[0]:.1f}); over "
        f"seeds scores spread by {seeds[1]:.1f} points (gradients {seeds[0]:.1f})",
    )


def less_stuck(e: Evidence) -> Judgement | None:
    descents, others = e.solved_by_each(GRADIENTS, "many"), e.solved_by_each(ON_FUNCTIONS, "many")
    starts = e.solved([MULTISTART], "many")
    if not descents or starts is None or not others:
        return None
    most = max(descents.values())
    above = [name for name, share in others.items() if share > most]
    beyond = [name for name, share in others.items() if share > starts]
    verdict = HOLDS if len(above) > 0.5 * len(others) else PARTLY if above else FAILS
    return Judgement(
        verdict if most or any(others.values()) else UNDECIDED,
        f"of {len(others)} metaheuristics {len(above)} solve more runs than the better descent ({most:.0%}) where "
        f"minima are many, and {len(beyond)} more than L-BFGS from many starts ({starts:.0%})",
    )


def more_iterations(e: Evidence) -> Judgement | None:
    ratios = e.passes_beside(ON_FUNCTIONS, (*GRADIENTS, MULTISTART), "one")
    if not ratios:
        return None
    more = sum(ratio > 1 for ratio in ratios)
    verdict = HOLDS if more > 0.9 * len(ratios) else PARTLY if more else FAILS
    return Judgement(
        verdict,
        f"where there is one minimum the quickest metaheuristic takes {min(ratios):.1f} to {max(ratios):.1f} times the "
        f"passes of the quickest gradient method, more on {more} of {len(ratios)} functions",
    )


def efficient(e: Evidence) -> Judgement | None:
    counts = e.counted(METAHEURISTICS, e.nets)
    total = counts.total()
    if not total:
        return None
    verdict = HOLDS if counts["worse"] > 0.75 * total else PARTLY if counts["worse"] > counts["better"] else FAILS
    return Judgement(
        verdict, f"at equal passes, against Adam, metaheuristics are {_said(counts)} in {total} comparisons"
    )


def expensive(e: Evidence) -> Judgement | None:
    ratios, memory = e.work(ON_FUNCTIONS), e.work(ON_FUNCTIONS, "bytes").values()
    if not ratios:
        return None
    costlier = [name for name, ratio in ratios.items() if ratio > 1]
    verdict = HOLDS if len(costlier) > 0.5 * len(ratios) else PARTLY if costlier else FAILS
    return Judgement(
        verdict,
        f"of {len(ratios)} metaheuristics {len(costlier)} take more time of their own for an evaluation than Adam for "
        f"a step ({min(ratios.values()):.1f} to {max(ratios.values()):.1f} times), and they carry {min(memory):.1f} to "
        f"{max(memory):.0f} times the memory",
    )


def simple(e: Evidence) -> Judgement | None:
    counts = e.counted(METAHEURISTICS, SIMPLE)
    if not counts.total():
        return None
    verdict = HOLDS if counts["better"] == 0 and counts["worse"] else PARTLY if counts["worse"] else FAILS
    return Judgement(
        verdict, f"on {', '.join(n for n in SIMPLE if n in e.nets)} metaheuristics are, against Adam, {_said(counts)}"
    )


def deep_and_complex(e: Evidence) -> Judgement | None:
    places = tuple(dict.fromkeys((*DEEP, *COMPLEX)))
    counts = e.counted(METAHEURISTICS, places)
    if not counts.total():
        return None
    verdict = HOLDS if counts["better"] else UNDECIDED if counts["worse"] == 0 else FAILS
    return Judgement(
        verdict, f"on {', '.join(n for n in places if n in e.nets)} they are, against Adam, {_said(counts)}"
    )


def rugged_ga(e: Evidence) -> Judgement | None:
    ends = [
        (cell["best"][-1], _lowest(e, cell, GRADIENTS), _lowest(e, cell, (MULTISTART,)))
        for cell in e.cells(["ga"], "many")
    ]
    beside = [(own, descents, starts) for own, descents, starts in ends if descents is not None]
    if not beside:
        return None
    ahead = [own for own, descents, _ in beside if own < descents]
    beyond = [own for own, _, starts in beside if starts is not None and own < starts]
    verdict = HOLDS if len(ahead) > 0.5 * len(beside) else PARTLY if ahead else FAILS
    return Judgement(
        verdict,
        f"where minima are many it ends lower than descents on {len(ahead)} of {len(beside)} functions, lower than "
        f"L-BFGS from many starts on {len(beyond)}",
    )


def _ranked(e: Evidence, group: tuple[str, ...]) -> tuple[float, float, int] | None:
    """The mean rank of the best of a group among all metaheuristics, the mean rank there would be by chance, and on how
    many functions."""
    ranks, chance = [], []
    for place in dict.fromkeys((cell["function"], cell["dim"]) for cell in e.cells(group)):
        cells = [c for c in e.cells(ON_FUNCTIONS) if (c["function"], c["dim"]) == place]
        order = [cell["method"] for cell in sorted(cells, key=_success)]
        own = [order.index(name) + 1 for name in group if name in order]
        ranks.append(min(own))
        chance.append((len(order) + 1) / (len(own) + 1))
    return (sum(ranks) / len(ranks), sum(chance) / len(chance), len(ranks)) if ranks else None


def _success(cell: Cell) -> tuple[float, float, float]:
    """The more runs solved the better, then the sooner; only then what is left, which below the target is noise."""
    return -cell["solved"], math.inf if cell["passes"] is None else cell["passes"], cell["best"][-1]


def better_than_chance(e: Evidence, group: tuple[str, ...]) -> Judgement | None:
    found = _ranked(e, group)
    if found is None:
        return None
    own, chance, count = found
    verdict = HOLDS if own < 0.67 * chance else PARTLY if own < chance else FAILS
    whose = _shown(group[0]) if len(group) == 1 else f"the best of {', '.join(map(_shown, group))}"
    return Judgement(
        verdict, f"over {count} functions {whose} has mean rank {own:.1f} among metaheuristics (by chance {chance:.1f})"
    )


def combinatorial(method: str) -> Judge[Evidence]:
    def judge(e: Evidence) -> Judgement | None:
        told, best = [], []
        for problem in ("knapsack", "tour"):
            cells = e.choice(problem)
            rivals = [cell["solved"] for name, cell in cells.items() if name not in (method, "random")]
            if method not in cells or not rivals:
                return None
            own = cells[method]
            best.append(_first(own["solved"], rivals))
            told.append(f"{problem}: {own['solved']} of {own['runs']} runs at the optimum, median gap {own['gap']:.2%}")
            told.append(f"the best of the others {max(rivals)}")
        verdict = HOLDS if all(best) else PARTLY if any(best) else FAILS
        return Judgement(verdict, "; ".join(told))

    return judge


def _first(own: float, others: Iterable[float]) -> bool:
    """At least as often as all others, and at least once: being first together is being first."""
    return own > 0 and own >= max(others)


def adaptive(e: Evidence) -> Judgement | None:
    counts = e.counted(["adam"], e.nets, baseline="sgd")
    if not counts.total():
        return None
    verdict = HOLDS if counts["better"] > counts.total() / 2 else UNDECIDED if counts["worse"] == 0 else FAILS
    return Judgement(
        verdict, f"Adam is, against gradient descent, both tuned, {_said(counts)} on {counts.total()} networks"
    )


def hybrids(e: Evidence) -> Judgement | None:
    nets = e.counted(HYBRIDS, e.nets)
    refined, parents = e.solved_by_each(REFINED), e.solved_by_each(REFINED.values())
    both = {name: (refined[name], parents[own]) for name, own in REFINED.items() if name in refined and own in parents}
    if not nets.total() or not both:
        return None
    above = sum(share > alone for share, alone in both.values())
    on_functions, on_nets = above > 0.5 * len(both), nets["better"] > nets["worse"]
    verdict = HOLDS if on_functions and on_nets else PARTLY if on_functions or on_nets else FAILS
    told = ", ".join(f"{_shown(name)} {share:.0%} (alone {alone:.0%})" for name, (share, alone) in both.items())
    return Judgement(verdict, f"runs solved on functions: {told}; on networks hybrids are, against Adam, {_said(nets)}")


def evolution(e: Evidence) -> Judgement | None:
    against_random, against_adam = e.counted(EVOLUTION, e.nets, "random"), e.counted(EVOLUTION, e.nets)
    if not against_random.total() or not against_adam.total():
        return None
    promising = against_random["better"] > 0.75 * against_random.total()
    verdict = (
        HOLDS if promising and against_adam["worse"] < 0.5 * against_adam.total() else PARTLY if promising else FAILS
    )
    return Judgement(
        verdict, f"evolution strategies are, against random search, {_said(against_random)}; against Adam, "
        f"{_said(against_adam)}",
    )  # fmt: skip


def quantum(e: Evidence) -> Judgement | None:
    cells = e.choice("knapsack")
    inspired = [cells[name] for name in ("qea", "sqa") if name in cells]
    classical = [cells[name] for name in ("tabu", "aco_discrete", "hillclimb") if name in cells]
    swarm = e.solved_by_each(("pso", "qpso"))
    if not inspired or not classical or len(swarm) < 2:
        return None
    on_bits = _first(max(cell["solved"] for cell in inspired), (cell["solved"] for cell in classical))
    on_weights = _first(swarm["qpso"], [swarm["pso"]])
    verdict = HOLDS if on_bits and on_weights else PARTLY if on_bits or on_weights else FAILS
    told = ", ".join(f"{_shown(cell['method'])} {cell['solved']}" for cell in (*inspired, *classical))
    return Judgement(
        verdict,
        f"knapsacks solved of {inspired[0]['runs']}: {told}; runs solved on functions: qpso {swarm['qpso']:.0%}, pso "
        f"{swarm['pso']:.0%}",
    )


def _lowest(e: Evidence, cell: Cell, methods: tuple[str, ...]) -> float | None:
    """Where the best of other methods end on the same function; None where none of them was run."""
    place = cell["function"], cell["dim"]
    return min((c["best"][-1] for c in e.cells(methods) if (c["function"], c["dim"]) == place), default=None)


def _said(counts: Counter[str]) -> str:
    words = ("better", "equivalent", "undecided", "worse")
    return ", ".join(f"{counts[word]} times {word}" for word in words if counts[word])


def _shown(name: str) -> str:
    return shown(name.replace("_lbfgs", " with L-BFGS"))
