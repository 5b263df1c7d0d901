"""Statements on accuracies by the paper's protocol, each judged by a function of the evidence."""

from __future__ import annotations

from statistics import fmean

from scipy.stats import mannwhitneyu

from thalweg.names import shown
from thalweg.reproduce.autolr import published
from thalweg.reproduce.autolr.evidence import Evidence
from thalweg.reproduce.autolr.fair_race import HOME, HUMAN_MADE
from thalweg.reproduce.autolr.images import PUBLISHED, TABLES, TITLES
from thalweg.reproduce.difference import Difference, all_above
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, Judge, Judgement, listed

FOUR = ("ades", "adam", "rmsprop", "nesterov")
LEVEL = 0.05
POINTS = (0.75, 3.0)  # half of, and twice, the 1.5 points by which Sign is said to be behind


def settled(data: str, judge: Judge[Evidence]) -> Judge[Evidence]:
    """The same of accuracies by the paper's protocol, decided only where training was long enough: where most trials
    validate best in their last epoch, who is ahead there need not be ahead later."""

    def judged(e: Evidence) -> Judgement | None:
        found, (last, trials) = judge(e), e.cut_short(data)
        if found is None or last <= trials / 2:
            return found
        why = f"too short to decide, as {last} of {trials} trials validate best in their last epoch; until then"
        return Judgement(UNDECIDED, f"{why} {found.because}")

    return judged


def best_at_home(e: Evidence) -> Judgement | None:
    means = _means(e, HOME)
    differences = {other: e.ahead(HOME, "ades", other) for other in PUBLISHED if other != "ades"}
    if means is None or None in differences.values():
        return None
    found = {name: one for name, one in differences.items() if one is not None}
    clearly = [name for name, one in found.items() if one.below]
    first = max(means, key=means.__getitem__) == "ades"
    verdict = (
        HOLDS if all(one.above for one in found.values()) else FAILS if clearly else PARTLY if first else UNDECIDED
    )
    defaults = next(one for one in published.RESULTS[HOME] if one.method == "rmsprop_defaults")
    told = f"mean test accuracies {listed(means)}"
    told += f"; clearly above ADES: {', '.join(map(shown, clearly))}" if clearly else "; none is clearly above ADES"
    return Judgement(
        verdict, f"{told}. The authors' result files have {defaults.test[0]} for RMSprop's defaults, above ADES' 92.87"
    )


def four_alike(e: Evidence) -> Judgement | None:
    means = _means(e, HOME, FOUR)
    if means is None:
        return None
    pairs = [(a, b, e.ahead(HOME, a, b)) for place, a in enumerate(FOUR) for b in FOUR[:place]]
    apart = [(a, b, d) for a, b, d in pairs if d is not None and (d.low > 1 or d.high < -1)]
    widest = max(means.values()) - min(means.values())
    verdict = FAILS if apart else HOLDS if widest < 1 else UNDECIDED
    told = f"their means are within {widest:.2f} points: {listed(means)}"
    return Judgement(verdict, told + "".join(f"; {shown(a)} less {shown(b)}: {d}" for a, b, d in apart))


def tie_with_nesterov(e: Evidence) -> Judgement | None:
    ours, theirs = e.scores(HOME, "ades"), e.scores(HOME, "nesterov")
    difference, ball = e.ahead(HOME, "ades", "nesterov"), e.ahead(HOME, "ades", "ades_heavy_ball")
    if difference is None or ball is None:
        return None
    p = float(mannwhitneyu(ours, theirs, alternative="two-sided").pvalue)
    return Judgement(
        HOLDS if p >= LEVEL else FAILS,
        f"p = {p:.2g} over {len(ours)} seeds each, which tells large differences alone; ADES less Nesterov: "
        f"{difference} points, less heavy ball with its own constants: {ball}",
    )


def sign_behind(e: Evidence) -> Judgement | None:
    ours, others = e.scores(HOME, "sign"), [e.scores(HOME, other) for other in FOUR]
    if len(ours) < 2 or any(len(each) != len(ours) for each in others):
        return None
    behind = Difference.of([our - fmean(peers) for our, *peers in zip(ours, *others, strict=True)])
    low, high = POINTS
    verdict = UNDECIDED
    if behind.below:
        verdict = HOLDS if low <= -behind.mean <= high else PARTLY
    elif behind.above:
        verdict = FAILS
    return Judgement(verdict, f"Sign less the mean of the other four: {behind} points")


def smallest_drop(data: str) -> Judge[Evidence]:
    """Of Sign's drop from validation to test on a data set."""

    def judge(e: Evidence) -> Judgement | None:
        if not e.trials.get(data) or not e.drops(data, "sign"):
            return None
        printed = e.published_drops(data)
        drops = {method: fmean(e.drops(data, method)) for method in PUBLISHED}
        ours = e.drops(data, "sign")
        beside = {
            other: Difference.of([our - their for our, their in zip(ours, e.drops(data, other), strict=True)])
            for other in PUBLISHED
            if other != "sign"
        }
        by_table, here = (min(each, key=each.__getitem__) == "sign" for each in (printed, drops))
        if not by_table or any(one.above for one in beside.values()):
            verdict = FAILS
        elif all(one.below for one in beside.values()):
            verdict = HOLDS
        else:
            verdict = PARTLY if here else UNDECIDED
        return Judgement(
            verdict,
            f"drops in points here: {listed(drops)}; by the paper's own Table {TABLES[data]}: {listed(printed)}",
        )

    return judge


def improves_to_test(e: Evidence) -> Judgement | None:
    if len(e.scores("cifar10", "sign")) < 2:
        return None
    gain = Difference.of([-drop for drop in e.drops("cifar10", "sign")])
    verdict = HOLDS if gain.above else FAILS if gain.below else PARTLY if gain.mean > 0 else UNDECIDED
    return Judgement(verdict, f"Sign's test accuracy less its validation accuracy: {gain} points")


def ahead_on_cifar(e: Evidence) -> Judgement | None:
    found = {
        f"{other}, {part}": e.ahead("cifar10", "ades", other, part)
        for other in ("adam", "rmsprop")
        for part in ("validation", "test")
    }
    differences = {name: one for name, one in found.items() if one is not None}
    if len(differences) < len(found):
        return None
    told = "; ".join(f"less {shown(name)}: {one}" for name, one in differences.items())
    return Judgement(all_above(list(differences.values())), f"ADES' accuracy {told}")


def speed(e: Evidence) -> Judgement | None:
    found: list[Difference] = []
    told = []
    for data in e.trials:
        ours = e.epochs_to_target(data, "ades")
        for other in HUMAN_MADE:
            theirs = e.epochs_to_target(data, other)
            if len(ours) < 2 or len(ours) != len(theirs):
                return None
            found.append(Difference.of([their - our for our, their in zip(ours, theirs, strict=True)]))
        means = {m: fmean(e.epochs_to_target(data, m)) for m in ("ades", *HUMAN_MADE, "ades_heavy_ball")}
        told.append(f"epochs to {e.target(data):.1f} % on {TITLES[data]}: {listed(means)}")
    return Judgement(all_above(found), "; ".join(told)) if found else None


def _means(e: Evidence, data: str, methods: tuple[str, ...] = PUBLISHED) -> dict[str, float] | None:
    scores = {method: e.scores(data, method) for method in methods}
    return {method: fmean(own) for method, own in scores.items()} if all(scores.values()) else None
