"""Statements on methods that were tuned or tried over grids, each judged by a function of the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from thalweg.reproduce.autolr.evidence import Evidence
from thalweg.reproduce.autolr.fair_race import BUNDLED, EVOLVED, HOME, HUMAN_MADE
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, Judgement, listed


def sensitivity(e: Evidence) -> Judgement | None:
    told, wider, narrower = [], [], []
    for task in e.grids:
        widths = {name: e.width(task, name) for name in e.grids[task]["lr"]}
        if widths.get("ades") is None or widths.get("adam") is None or widths.get("ades_heavy_ball") is None:
            return None
        decades = {name: width.decades for name, width in widths.items() if width is not None}
        others = [decades["adam"], decades["ades_heavy_ball"]]
        step = e.step(task, "ades")
        wider.append(decades["ades"] > max(others) + step)
        narrower.append(decades["ades"] < min(others) - step)
        differences = e.by_constants(task)
        most = f"{max(map(abs, differences)):.1f}" if differences else "?"
        told.append(
            f"decades of learning rates within 1 % of the best on {task}: {listed(decades)}; over {len(differences)} "
            f"pairs of constants ADES and heavy ball differ by at most {most} points"
        )
    if not told:
        return None
    verdict = HOLDS if all(wider) else FAILS if all(narrower) else UNDECIDED
    return Judgement(verdict, "; ".join(told))


def away_from_images(e: Evidence) -> Judgement | None:
    tasks = [task for task in BUNDLED if task in e.raced]
    counts = e.counted(("ades",), ("adam",), tasks)
    total = counts.total()
    if not total:
        return None
    kept = counts["better"] + counts["equivalent"]
    if not counts["worse"]:
        verdict = HOLDS if kept > total / 2 else UNDECIDED
    else:
        verdict = FAILS if counts["worse"] > total / 2 else PARTLY
    each = "; ".join(f"{task}: {_difference(e, task, 'ades', 'adam')}" for task in tasks)
    return Judgement(verdict, f"ADES against Adam, both tuned, points: {each}")


def specialised(e: Evidence) -> Judgement | None:
    away = [task for task in e.raced if task != HOME]
    if HOME not in e.raced or not away:
        return None
    at_home, elsewhere = (e.counted(EVOLVED, HUMAN_MADE, tasks) for tasks in ([HOME], away))
    home, far = (_net(counts) for counts in (at_home, elsewhere))
    if not at_home["better"] and not at_home["worse"]:
        verdict = UNDECIDED
    else:
        verdict = HOLDS if home > 0 and home > far else FAILS
    return Judgement(
        verdict,
        f"ADES and Sign against Adam, RMSprop and Nesterov, all tuned: at home {_said(at_home)}; on {', '.join(away)} "
        f"{_said(elsewhere)}",
    )


def _net(counts: Mapping[str, int]) -> float:
    """How much more often better than worse, as a share."""
    return (counts["better"] - counts["worse"]) / max(1, sum(counts.values()))


def _difference(e: Evidence, task: str, method: str, baseline: str) -> str:
    one = e.against(task, baseline)[method]
    return f"{one.verdict}, {Difference(one.difference, one.low, one.high)}"


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[word]} times {word}" for word in sorted(counts)) or "never"
