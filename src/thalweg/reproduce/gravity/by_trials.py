"""Statements on how Gravity trains, held against our trials by the paper's protocol."""

from __future__ import annotations

import math
from statistics import fmean

from thalweg.names import shown
from thalweg.reproduce.difference import all_above
from thalweg.reproduce.gravity.by_parts import defaults, same_in_races
from thalweg.reproduce.gravity.evidence import OTHERS, PUBLISHED, Curves, Evidence, named, oscillation
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, Judgement

NOISY, STILL = "gravity_ema_noise", "gravity_ema"  # what differs in the random start alone
SAME = 1.0  # point of accuracy, within which two methods are one


def no_tuning(e: Evidence) -> Judgement | None:
    """At its defaults against rates that were chosen by hand, against itself tuned, and against others tuned."""
    itself, *others = (defaults(e, name) for name in PUBLISHED)
    if not e.places and not itself[0]:
        return None
    pairs = [(place, other) for place in e.settled for other in OTHERS]
    beside = {pair: e.less(pair[0], "gravity", pair[1], "best_accuracy", len(pairs)) for pair in pairs}
    found = {key: one for key, one in beside.items() if one is not None}
    behind = [f"{named(place)}, less {shown(other)} {one}" for (place, other), one in found.items() if one.below]
    raced = [itself[0], [one for own, _ in others for one in own]]
    kept = [not behind] * bool(found) + [all(one.verdict != "worse" for one in own) for own in raced if own]
    verdict = UNDECIDED if len(kept) < 3 else HOLDS if all(kept) else PARTLY if any(kept) else FAILS
    ahead = sum(one.above for one in found.values())
    told = (
        f"of {len(found)} comparisons of best accuracy at the published rates Gravity is clearly ahead in {ahead} and "
        f"clearly behind in {len(behind)}" + (f" ({'; '.join(behind)})" if behind else "")
    )
    fair = "; ".join(words for _, words in (itself, *others) if words)
    races = f"at its defaults in the fair race: {fair}" if fair else ""
    return Judgement(verdict, "; ".join(filter(None, [told if found else "", races, _short(e)])))


def steadier(e: Evidence) -> Judgement | None:
    """How validation loss goes up and down: decades, pooled over all that is settled."""
    if not e.places:
        return None
    found = {other: e.pooled(e.settled, other, "gravity", _log_oscillation) for other in OTHERS}
    differences = {other: one for other, one in found.items() if one is not None}
    if len(differences) < len(OTHERS):
        return Judgement(UNDECIDED, _short(e))
    above, below = (any(getattr(one, side) for one in differences.values()) for side in ("above", "below"))
    verdict = PARTLY if above and below else all_above(list(differences.values()))
    told = "; ".join(f"{shown(other)} less Gravity {one}" for other, one in differences.items())
    each = "; ".join(
        f"{named(place)}: "
        + ", ".join(f"{shown(m)} {100 * fmean(e.measured(place, m, oscillation)):.1f} %" for m in PUBLISHED)
        for place in e.settled
    )
    return Judgement(verdict, "; ".join(filter(None, [f"decades of oscillation: {told}", each, _short(e)])))


def start_noise(e: Evidence) -> Judgement | None:
    """Training loss of the first epoch with the random start and without, where either learns."""
    if not e.places:
        return None
    places = [place for place in e.places if any(e.learns(place, method) for method in (NOISY, STILL))]
    pairs = {place: e.pooled([place], STILL, NOISY, _first_loss) for place in places}
    found = {place: one for place, one in pairs.items() if one is not None}
    above, below = (sum(getattr(one, side) for one in found.values()) for side in ("above", "below"))
    verdict = UNDECIDED
    if above or below:
        verdict = HOLDS if above == len(found) else PARTLY if above else FAILS
    told = "; ".join(f"{named(place)} {one}" for place, one in found.items())
    idle = [named(place) for place in e.places if place not in places]
    nobody = f"; neither learns on {', '.join(idle)}" if idle else ""
    return Judgement(verdict, f"training loss of the first epoch without the noise less that with it: {told}{nobody}")


def another_algorithm(e: Evidence) -> Judgement | None:
    """Gravity beside what it is without its damping, from the same random start."""
    places = [place for place in e.places if e.learns(place, "gravity") or e.learns(place, "gravity_ema_noise")]
    one = e.pooled(places, "gravity", "gravity_ema_noise", lambda trial: max(trial["accuracy"]))
    if one is None:
        return None
    verdict = FAILS if one.low > -SAME and one.high < SAME else HOLDS if one.above or one.below else UNDECIDED
    each = "; ".join(
        f"{named(place)} {e.less(place, 'gravity', 'gravity_ema_noise', 'best_accuracy')}" for place in places
    )
    told = f"best accuracy of Gravity less that of EMA momentum with its random start: {one} points over all; {each}"
    momentum = e.figures("exact").get("momentum")
    way = f"on its own gradients the two are within {momentum['apart']:.2%} of the way" if momentum else ""
    return Judgement(verdict, "; ".join(filter(None, [told, way, same_in_races(e)])))


def _short(e: Evidence) -> str:
    """What decides nothing, and why."""
    told = []
    for place in e.places:
        if place in e.settled:
            continue
        idle = [shown(method) for method in PUBLISHED if not e.learns(place, method)]
        last, trials = e.cut_short(place)
        why = (
            f"{', '.join(idle)} learnt nothing at this scale"
            if idle
            else f"too short, as {last} of {trials} trials are best in their last epoch"
        )
        told.append(f"{named(place)} decides nothing: {why}")
    return "; ".join(told)


def _log_oscillation(trial: Curves) -> float:
    of = oscillation(trial)
    return math.log10(of) if of else -math.inf


def _first_loss(trial: Curves) -> float:
    return trial["train_loss"][0]
