"""Statements that equations and the published logs decide, each judged by a function of the evidence."""

from __future__ import annotations

from thalweg.reproduce.autolr import published
from thalweg.reproduce.autolr.evidence import Evidence
from thalweg.reproduce.autolr.images import TITLES
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, Judgement

NEAR = 0.05  # of the way, within which two trajectories are one and the same


def unlike_human_made(e: Evidence) -> Judgement | None:
    found = e.exact.get("momentum")
    if not found:
        return None
    furthest = max(of["apart"] for of in found.values())
    told = "; ".join(
        f"{name}: within {of['apart']:.2%} of heavy ball with mu {of['mu']:.4f}, eta {of['eta']:.4f}"
        for name, of in found.items()
    )
    return Judgement(FAILS if furthest < NEAR else HOLDS, told)


def squared(e: Evidence) -> Judgement | None:
    found = e.exact.get("momentum")
    if not found:
        return None
    share = max(of["quadratic_share"] for of in found.values())
    beside = [(TITLES[data], e.ahead(data, "ades", "ades_heavy_ball")) for data in e.trials]
    told = "".join(f"; with them less without, on {name}: {one} points" for name, one in beside if one is not None)
    return Judgement(
        FAILS if share < NEAR else HOLDS, f"the quadratic terms make at most {share:.2%} of all steps{told}"
    )


def sign_is_new(e: Evidence) -> Judgement | None:
    of = e.exact.get("evolved", {}).get("sign")
    if of is None:
        return None
    same = of["apart_from_signum"] < 1e-9
    return Judgement(
        FAILS if same else HOLDS,
        "its trajectory is that of signSGD (Bernstein et al. 2018) to the last digit" if same else "it is not signSGD",
    )


def simple_mechanisms(e: Evidence) -> Judgement | None:
    new, unlike = sign_is_new(e), unlike_human_made(e)
    if new is None or unlike is None:
        return None
    plain = [judged.verdict == FAILS for judged in (new, unlike)]
    verdict = HOLDS if all(plain) else PARTLY if any(plain) else FAILS
    return Judgement(verdict, f"Sign: {new.because}. ADES: {unlike.because}")


def equation_8(e: Evidence) -> Judgement | None:
    runs = e.exact.get("equation_8")
    if not runs:
        return None
    printed = [run for run in runs if run["form"] == "equation 8"]
    lost = [run["diverged"] for run in printed if run["diverged"]]
    trained = [run for run in runs if run["form"] == "as benchmarked" and not run["diverged"]]
    verdict = FAILS if len(lost) == len(printed) else PARTLY if lost else HOLDS
    return Judgement(
        verdict,
        f"equation 8 diverges in {len(lost)} of {len(printed)} trainings"
        + (f", at steps {', '.join(map(str, lost))}" if lost else "")
        + f"; what was benchmarked trains in {len(trained)}: the equation lacks the damping of y",
    )


def tournament(e: Evidence) -> Judgement | None:
    chances = e.exact.get("tournament")
    if not chances:
        return None
    least, printed = chances["2"], chances["5"]
    return Judgement(
        FAILS if printed > least else HOLDS,
        f"of 20 individuals the best is a parent with a chance of {printed:.0%} in tournaments of 5, {least:.0%} in "
        f"those of 2, 5% without: the larger the tournament, the higher the pressure",
    )


def cannot_train(e: Evidence) -> Judgement | None:
    if "logs" not in e.exact:
        return None
    dead = float(e.exact["logs"]["dead"])
    return Judgement(
        HOLDS if dead > 0.5 else FAILS,
        f"by the authors' logs {dead:.0%} of the evolved ones have a fitness below 0.2, "
        f"{published.VIABLE:.1%} reach 0.8",
    )
