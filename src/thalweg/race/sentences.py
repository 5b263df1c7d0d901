"""The verdicts of a race in plain words, for someone in a hurry."""

from __future__ import annotations

from thalweg.names import shown
from thalweg.race import notation
from thalweg.race.notation import listed, plural
from thalweg.race.statistics import LEVEL, Comparison
from thalweg.race.summary import Summary


def compared(summary: Summary) -> str:
    """What was compared, and how it was tuned."""
    protocol, tasks = summary.result.protocol, len(summary.tasks)
    methods = plural(len(summary.methods), "method")
    text = (
        f"{methods} (each an optimizer with its schedule, its search space and the same tuning) trained the same "
        f"{'network' if tasks == 1 else 'networks'} on {plural(tasks, 'task')}. Each was tuned on every task in "
        f"{plural(protocol.studies, 'independent study', 'independent studies')} of "
        f"{plural(protocol.draws, 'setting')}, chosen by the validation part"
    )
    if not summary.has_finals:
        return f"{text}. No final trials were run, so nothing is said of the test part."
    return f"{text}, and then trained from {plural(protocol.seeds, 'fresh seed')}, the same seeds for all."


def endpoint(summary: Summary) -> str:
    """The primary endpoint: what decides."""
    metrics = listed(list(dict.fromkeys(task.metric for task in summary.result.tasks)))
    margins = {task: _margin(summary, task) for task in summary.tasks}
    rule = (
        "the larger of half a point and half the baseline's standard deviation over the seeds"
        if summary.result.protocol.margin is None
        else "as given"
    )
    amounts = next(iter(margins.values())) if len(margins) == 1 else f"{rule}; each is in the results"
    return (
        f"Primary endpoint: the mean difference from {shown(summary.baseline)}, the baseline, in {metrics} on the test "
        "part, with the weights of the last epoch, read once. Better or worse: Wilcoxon's signed-rank test over paired "
        f"seeds, p < {LEVEL} after Holm's correction over the methods of a task. Equivalent: the 90 % interval of the "
        f"difference lies within the margin that is too small to matter ({amounts}). Undecided is everything else: it "
        "never means equal."
    )


def headline(summary: Summary) -> str:
    """The answer in a sentence or two."""
    if not summary.others:
        return f"{shown(summary.baseline)} ran alone: there is nothing to compare it with."
    kinds: dict[str, list[str]] = {"better": [], "mixed": [], "worse": [], "equivalent": [], "undecided": []}
    for name in sorted(summary.others, key=summary.order.index):
        counts = summary.counts(name)
        decided = [verdict for verdict in ("better", "worse") if counts[verdict]]
        kind = "mixed" if len(decided) == 2 else decided[0] if decided else ""
        kinds[kind or ("equivalent" if counts["equivalent"] == len(summary.tasks) else "undecided")].append(shown(name))
    one = len(summary.tasks) == 1
    words = {
        "better": "Better" if one else "Better on some tasks and worse on none",
        "worse": "Worse" if one else "Worse on some tasks and better on none",
        "mixed": "Better on some and worse on others",
        "equivalent": "Equivalent" if one else "Equivalent on every task",
        "undecided": "Undecided" if one else "Never told apart",
    }
    parts = [f"{words[kind]}: {listed(names)}." for kind, names in kinds.items() if names]
    if not kinds["better"] and not kinds["mixed"]:
        parts.insert(0, f"No method was shown to be better than {shown(summary.baseline)}.")
    return (
        f"Against {shown(summary.baseline)}. {' '.join(parts)}"
        if kinds["better"] or kinds["mixed"]
        else " ".join(parts)
    )


def of_method(summary: Summary, method: str) -> str:
    """One sentence or two on a method against the baseline."""
    if len(summary.tasks) == 1:
        (task,) = summary.tasks
        return f"{in_detail(summary.comparisons[task, method], summary.tasks[task].percent)}."
    counts, total = summary.counts(method), len(summary.tasks)
    parts = [f"{verdict} on {counts[verdict]}" for verdict in ("better", "worse", "equivalent") if counts[verdict]]
    if counts["undecided"]:
        needs = [
            summary.comparisons[task, method].needed
            for task in summary.tasks
            if summary.comparisons[task, method].verdict == "undecided"
        ]
        parts.append(f"undecided on {counts['undecided']}{_range_needed([n for n in needs if n is not None])}")
    return f"{listed(parts)} of {plural(total, 'task')}. {_across(summary, method)}"


def in_detail(comparison: Comparison, percent: bool) -> str:
    """A comparison in words: "better by +1.25 points [+0.50, +2.00], p = 0.012 after Holm"."""
    unit = " points" if percent else ""
    amount = notation.difference(comparison.difference, percent)
    interval = notation.interval(comparison.low, comparison.high, percent)
    p = notation.p_value(comparison.p)
    figures = f"{amount}{unit} {interval}, p {p if p.startswith('<') else f'= {p}'} after Holm"
    margin = f"margin {notation.magnitude(comparison.margin, percent)}{unit}"
    if comparison.verdict == "undecided":
        return f"undecided{needed(comparison)}: {figures}, {margin}"
    if comparison.verdict == "equivalent":
        return f"equivalent: {figures}, {margin}"
    return f"{comparison.verdict} by {figures}"


def needed(comparison: Comparison) -> str:
    """What an undecided verdict would take: " (would need about 70 seeds)"; empty for a decided one."""
    if comparison.verdict != "undecided":
        return ""
    if comparison.needed is None:
        return " (seeds that disagree in mean and ranks, or too few, say nothing on how many would do)"
    return f" (would need about {about(comparison.needed)} seeds)"


def about(amount: int) -> str:
    """A planned number to two significant digits, rounded up: it is a guess from the same seeds."""
    unit = 10 ** max(0, len(str(amount)) - 2)
    return f"{-(-amount // unit) * unit:,}"


def _range_needed(needs: list[int]) -> str:
    if not needs:
        return ""
    low, high = about(min(needs)), about(max(needs))
    return f" (would need about {low} seeds)" if low == high else f" (would need about {low} to {high} seeds)"


def _across(summary: Summary, method: str) -> str:
    names = list(summary.methods)
    across, place, base = summary.across, names.index(method), names.index(summary.baseline)
    ranks = f"Mean rank {across.mean_ranks[place]:.1f}, {shown(summary.baseline)} {across.mean_ranks[base]:.1f}"
    if across.descriptive:
        return f"{ranks} (descriptive only)."
    p = float(across.p[place, base])
    ahead = across.mean_ranks[place] < across.mean_ranks[base]
    verdict = "not told apart across the tasks" if p >= LEVEL else f"{'better' if ahead else 'worse'} across the tasks"
    shown_p = notation.p_value(p)
    return f"{ranks}: {verdict} (Wilcoxon, p {shown_p if shown_p.startswith('<') else f'= {shown_p}'} after Holm)."


def _margin(summary: Summary, task: str) -> str:
    percent = summary.tasks[task].percent
    return f"{notation.magnitude(summary.margin(task), percent)}{' points' if percent else ''}"
