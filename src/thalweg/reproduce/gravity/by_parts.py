"""Statements that averages, learning rates, choices of m and tuned races decide, each judged by a function of the
evidence."""

from __future__ import annotations

from statistics import median

from thalweg.names import shown
from thalweg.race.charts.scale import number
from thalweg.race.statistics import Comparison
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.fair import compared
from thalweg.reproduce.gravity import beta, choices, fair_race, sequences
from thalweg.reproduce.gravity.evidence import Evidence
from thalweg.reproduce.gravity.starts import BETAS, FIXED
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, Judgement, listed

EARLY = beta.FALLS[0]  # the share of the first loss, by which it has to fall
UNDAMPED = ("gravity_ema_noise", "sgd")


def initial_delay(e: Evidence) -> Judgement | None:
    """Steps until the loss begins to fall, by a fixed beta and by beta-hat, both from V = 0."""
    of = e.figures("beta")
    if not of:
        return None
    found = {}
    for network in of["curves"]:
        fixed, hat = (beta.fallen(e.records, network, name, EARLY) for name in (FIXED, "beta_hat"))
        last = float(of["at"][-1])  # what has not fallen by then counts as if it fell then
        found[network] = Difference.of([min(a, last) - min(b, last) for a, b in zip(fixed, hat, strict=True)])
    above, below = (sum(getattr(one, side) for one in found.values()) for side in ("above", "below"))
    verdict = HOLDS if above == len(found) else PARTLY if above else FAILS if below else UNDECIDED
    told = "; ".join(f"{beta.TITLES[network]} {one}" for network, one in found.items())
    return Judgement(verdict, f"steps until the loss is lower by {EARLY:.0%}, beta 0.9 less beta-hat: {told}")


def overflow(e: Evidence) -> Judgement | None:
    """Equation 25 in float32, as printed and as in Adam."""
    found = e.figures("beta").get("overflow")
    if not found:
        return None
    printed = [of for of in found if of["float32"] is not None]
    corrected = [of for of in found if not of["corrected"] < 1]
    verdict = HOLDS if printed and corrected else PARTLY if printed or corrected else FAILS
    steps = ", ".join(f"for beta {of['beta']:g} at step {of['float32']:,}" for of in printed)
    off = max(of["corrected"] for of in found)
    return Judgement(
        verdict,
        "on gradients that are always 1, with the corrected V averaged on, as it is printed, float32 "
        + (f"overflows {steps}" if printed else "does not overflow")
        + "; corrected as in Adam, apart from V, it "
        + ("overflows too" if corrected else f"is off by at most {off:.1g}, which is no overflow"),
    )


def beta_of_0_9(e: Evidence) -> Judgement | None:
    """The best beta: by the authors' own runs, and by ours."""
    of = e.figures("beta")
    if not of:
        return None
    theirs = {c.row: c.value for c in claims_of("gravity") if c.table == "Repository, beta" and c.value is not None}
    held = [max(theirs, key=theirs.__getitem__) == "0.9"]
    told = [f"final accuracies of the authors' runs by beta: {listed(theirs)}"]
    for network, curves in of["curves"].items():
        ends = {f"{b:g}": median(own[-1] for own in curves[f"beta = {b:g}"]) for b in BETAS}
        best = min(ends, key=lambda name: (ends[name] != ends[name], ends[name]))  # what is not a number is last
        held.append(best == "0.9")
        losses = ", ".join(f"{name} {number(float(f'{loss:.3g}'))}" for name, loss in ends.items())
        told.append(f"{beta.TITLES[network]}, median loss after {of['at'][-1]:,} steps by beta: {losses}")
    verdict = HOLDS if all(held) else PARTLY if any(held) else FAILS
    return Judgement(verdict, "; ".join(told))


def choice_of_m(e: Evidence) -> Judgement | None:
    """Other choices against 1 / max|G|, all tuned by one budget."""
    tasks = e.figures("choices")
    found = {
        (task, method): one
        for task in tasks
        for method, one in compared(e.records, choices.TABLE, task, "accuracy", "gravity").items()
    }
    if not found:
        return None
    words = [one.verdict for one in found.values()]
    better, worse = words.count("better"), words.count("worse")
    if better or worse:
        verdict = PARTLY if better and worse else HOLDS if worse else FAILS
    else:
        verdict = FAILS if set(words) == {"equivalent"} else UNDECIDED
    theirs = {c.row: c.value for c in claims_of("gravity") if c.table == "Repository, m" and c.value is not None}
    each = "; ".join(f"{shown(method)} on {shown(task)}: {_difference(one)}" for (task, method), one in found.items())
    return Judgement(
        verdict,
        f"against it, tuned alike, others are {better} times better and {worse} times worse of {len(words)} ({each}); "
        f"final accuracies of the authors' runs of CIFAR-10 on VGG16: {listed(theirs)}",
    )


def avoids_divergence(e: Evidence) -> Judgement | None:
    """The largest learning rates at which training stays finite, and at which it learns."""
    problems = e.figures("beta").get("rates")
    if not problems:
        return None
    held, told = [], []
    for problem in problems:
        for what, shares in (("a finite loss", beta.finite), ("something learnt", beta.learnt)):
            rates = {
                method: beta.largest(e.records, problem, shares(e.records, problem, method)) or 0.0
                for method in ("gravity", *UNDAMPED)
            }
            held.append(all(rates["gravity"] > rates[other] for other in UNDAMPED))
            each = ", ".join(f"{shown(name)} {number(float(f'{rate:.2g}'))}" for name, rate in rates.items())
            told.append(f"{beta.TITLES[problem]}, {what}: {each}")
    verdict = HOLDS if all(held) else PARTLY if any(held) else FAILS
    return Judgement(verdict, f"largest learning rates with, on every seed, {'; '.join(told)} (0: none)")


def beyond_vision(e: Evidence) -> Judgement | None:
    """Gravity against Adam on sequences, both tuned, where anybody learns."""
    tasks = e.figures("sequences")
    if not tasks:
        return None
    found = {
        task: compared(e.records, sequences.TABLE, task, "accuracy", "adam")["gravity"]
        for task in sequences.learnt(e.records)
    }
    idle = [sequences.TITLES[task] for task in tasks if task not in found]
    nobody = f"nobody learns {', '.join(idle)}" if idle else ""
    words = [one.verdict for one in found.values()]
    worse, kept = words.count("worse"), words.count("better") + words.count("equivalent")
    if not worse:
        verdict = HOLDS if kept > len(words) / 2 else UNDECIDED
    else:
        verdict = FAILS if worse > len(words) / 2 else PARTLY
    told = [f"{sequences.TITLES[task]}: {_difference(one)}" for task, one in found.items()]
    return Judgement(verdict, "Gravity against Adam, both tuned, points: " + "; ".join(filter(None, [*told, nobody])))


def defaults(e: Evidence, baseline: str) -> tuple[list[Comparison], str]:
    """Gravity at its defaults against a method tuned, on the tasks of the fair race that somebody learns; and in
    words."""
    found = {task: compared(e.records, fair_race.TABLE, task, "accuracy", baseline) for task in e.raced}
    own = {task: of["gravity@defaults"] for task, of in found.items() if "gravity@defaults" in of}
    told = "; ".join(f"{shown(task)} {_difference(one)}" for task, one in own.items())
    return list(own.values()), f"against {shown(baseline)} tuned, {told}" if own else ""


def same_in_races(e: Evidence) -> str:
    """Gravity against what it is without damping, tuned alike, in words."""
    told = []
    for task in e.raced:
        one = compared(e.records, fair_race.TABLE, task, "accuracy", "gravity_ema_noise").get("gravity")
        told += [f"{shown(task)} {_difference(one)}"] if one is not None else []
    return f"tuned by one budget: {'; '.join(told)}" if told else ""


def _difference(one: Comparison) -> str:
    return f"{one.verdict}, {Difference(one.difference, one.low, one.high)}"
