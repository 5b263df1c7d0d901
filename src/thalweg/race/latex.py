"""A race for a paper: booktabs tables, PDF figures, a bibliography, and a document that shows them all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from thalweg.files import write_atomically
from thalweg.names import shown
from thalweg.race import charts, notation, sentences
from thalweg.race.notation import plural
from thalweg.race.report.across import ranks_chart
from thalweg.race.report.curves import task_charts
from thalweg.race.report.results import ablation_chart, ablation_pairs, forest, unit
from thalweg.race.report.section import Chart
from thalweg.race.report.verdict import heat_map
from thalweg.race.result import MethodInfo, RaceResult
from thalweg.race.summary import Summary

LONG = 40  # rows from which on a table runs over pages
WIDE, BLOCK = 9, 5  # columns from which on a table is broken into blocks, and how many a block has beside the first
SIGNS = {"better": "$^{+}$", "worse": "$^{-}$", "equivalent": "$^{=}$", "undecided": ""}
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}", notation.MINUS: "$-$", notation.PLUS_MINUS: r"$\pm$", "×": r"$\times$", "∞": r"$\infty$",
    notation.NONE: "--", "µ": r"$\mu$", "δ": r"$\delta$", "ρ": r"$\rho$", "²": "$^2$", "≥": r"$\geq$", "≤": r"$\leq$",
}  # fmt: skip


def write_latex(result: RaceResult, folder: Path | str) -> None:
    """Writes results.tex, verdicts.tex, ablations.tex, settings.tex, methods.tex, figures/*.pdf, references.bib and
    main.tex, which includes all of them, into a folder that is made if need be.

    Everything is made before anything is written, and each file appears whole or not at all. Raises OSError where it
    cannot be written.
    """
    target = Path(folder)
    files = latex_files(result)
    (target / "figures").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(target / name, content)


def latex_files(result: RaceResult) -> dict[str, str | bytes]:
    """All files by their path in the folder, main.tex last."""
    summary = result.summary
    tables, captions = latex_tables(summary), {}
    files: dict[str, str | bytes] = {**tables}
    for name, chart in _figures(summary):
        path = f"figures/{name}.pdf"
        files[path] = charts.pdf(chart.draw(), titles=False)
        captions[path] = chart.title
    files["references.bib"] = bibliography(result.methods)
    files["main.tex"] = _main(summary, list(tables), captions)
    return files


def latex_tables(summary: Summary) -> dict[str, str]:
    """The tables by the names of their files."""
    tables = {}
    if summary.has_finals:
        tables["results.tex"] = _results(summary)
        tables["verdicts.tex"] = _verdicts(summary)
    if summary.ablations:
        tables["ablations.tex"] = _ablations(summary)
    return tables | {"settings.tex": _settings(summary), "methods.tex": _methods(summary)}


def escape(text: str) -> str:
    """A text with all that LaTeX would take for a command made into what it looks like.

    >>> print(escape("50 % of a_b"))
    50 \\% of a\\_b
    """
    return "".join(ESCAPES.get(character, character) for character in text)


def cite_key(source: str) -> str | None:
    """The key of a BibTeX entry, or None where the text is not one."""
    found = re.match(r"\s*@\w+\s*\{\s*([^,\s]+)\s*,", source)
    return found[1] if found else None


def bibliography(methods: Sequence[MethodInfo]) -> str:
    """The sources of the methods as BibTeX, each once; a source in plain words is a note under the method's name."""
    entries: dict[str, str] = {}
    for method in methods:
        if method.source:
            key = cite_key(method.source)
            entry = (
                method.source.strip() if key else f"@misc{{{method.name},\n  note = {{{escape(method.source)}}},\n}}"
            )
            entries.setdefault(key or method.name, entry)
    return "\n\n".join(entries.values()) + "\n"


def _figures(summary: Summary) -> Iterator[tuple[str, Chart]]:
    if not summary.has_finals:
        return
    if summary.others:
        yield "differences", heat_map(summary)
        for method, plain in ablation_pairs(summary):
            yield f"ablation-{shown(method)}-{shown(plain)}", ablation_chart(summary, method, plain)
        if len(summary.tasks) > 1:
            yield "ranks", ranks_chart(summary)
    for task in summary.tasks:
        if summary.others:
            yield f"{shown(task)}-differences", forest(summary, task)
        loss, _, metric, *_ = task_charts(summary, task)
        yield f"{shown(task)}-loss", loss
        yield f"{shown(task)}-metric", metric


def _results(summary: Summary) -> str:
    columns = ["Method", *(f"{escape(t.title)} ({escape(unit(summary, name))})" for name, t in summary.tasks.items())]
    rows = [[escape(shown(name)), *(_score(summary, task, name) for task in summary.tasks)] for name in summary.order]
    for label, field in (("constant answer", "constant_metric"), ("untrained network", "untrained_metric")):
        scores = ((summary.reference(name, field), task.percent) for name, task in summary.tasks.items())
        rows.append([label, *(escape(notation.score(*score, percent)) for score, percent in scores)])
    seeds = plural(summary.result.protocol.seeds, "seed")
    caption = (
        f"Test scores, mean $\\pm$ standard deviation over {seeds}. Against {escape(shown(summary.baseline))}: "
        "$^{+}$ better, $^{-}$ worse, $^{=}$ equivalent within the margin, no sign undecided (paired Wilcoxon "
        "signed-rank, Holm). Bold: the best mean, unless it is equivalent to the next."
    )
    return _table("results", caption, columns, rows)


def _score(summary: Summary, task: str, name: str) -> str:
    text = escape(notation.score(summary.means[task, name], summary.sds[task, name], summary.tasks[task].percent))
    best = summary.best[task]
    text = f"\\textbf{{{text}}}" if best.bold and best.method == name else text
    return text + (SIGNS[summary.comparisons[task, name].verdict] if name != summary.baseline else "")


def _verdicts(summary: Summary) -> str:
    rows = []
    for v in summary.verdicts:
        percent = summary.tasks[v.task].percent
        figures = (
            summary.tasks[v.task].title, shown(v.method), notation.difference(v.difference, percent),
            notation.interval(v.low, v.high, percent), notation.p_value(v.p), notation.share(v.probability),
            notation.magnitude(v.margin, percent), v.verdict,
            sentences.about(v.needed) if v.needed is not None else notation.NONE,
        )  # fmt: skip
        rows.append([escape(figure) for figure in figures])
    base = escape(shown(summary.baseline))
    columns = [
        "Task",
        "Method",
        "Difference",
        r"95\,\% interval",
        "$p$ (Holm)",
        "P(better)",
        "Margin",
        "Verdict",
        "Seeds needed",
    ]
    caption = (
        f"Each method against {base}, paired by seed; in points where the metric is in per cent. Equivalent: the "
        "90\\,\\% interval lies within the margin. Undecided does not mean equal: the last column says how many "
        "seeds would decide with 80\\,\\% power if the true difference were the observed one."
    )
    return _table("verdicts", caption, columns, rows)


def _ablations(summary: Summary) -> str:
    rows = []
    for one in summary.ablations:
        percent, c = summary.tasks[one.task].percent, one.comparison
        figures = (
            shown(one.method), shown(one.plain), summary.tasks[one.task].title,
            notation.difference(c.difference, percent), notation.interval(c.low, c.high, percent),
            notation.p_value(c.p), c.verdict,
        )  # fmt: skip
        rows.append([escape(figure) for figure in figures])
    columns = ["Published", "Plain form", "Task", "Difference", r"95\,\% interval", "$p$ (Holm)", "Verdict"]
    caption = "Published methods against the plain methods that they reduce to; Holm's correction over all lines."
    return _table("ablations", caption, columns, rows)


def _settings(summary: Summary) -> str:
    rows = []
    for (task, name), studies in summary.result.studies.items():
        info, space = summary.tasks[task], summary.methods[name].space
        for study in studies:
            chosen = study.chosen
            values = (f"{d} = {notation.setting(d.searched_value(chosen.hyperparameters))}" for d in space)
            score = "diverged" if chosen.diverged else notation.single(chosen.score, info.percent)
            figures = (info.title, shown(name), str(study.index + 1), ", ".join(values), score)
            rows.append([escape(figure) for figure in figures])
    caption = "The setting that each independent study chose, by its validation score."
    return _table("settings", caption, ["Task", "Method", "Study", "Setting", "Validation"], rows)


def _methods(summary: Summary) -> str:
    rows = []
    for name, method in summary.methods.items():
        key = (cite_key(method.source) or name) if method.source else None
        ranges = "; ".join(f"{d}: {d.extent}" for d in method.space)
        rows.append([escape(shown(name)), escape(method.title), f"\\cite{{{key}}}" if key else "", escape(ranges)])
    return _table("methods", "Methods, and what was searched.", ["Method", "Title", "Source", "Searched"], rows)


def _table(label: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Over pages, in small print, where it is long; in blocks one below the other where it has many columns."""
    title = rf"\caption{{{caption}}}\label{{tab:{label}}}"
    if len(rows) > LONG:
        head, body = _lines(columns, rows)
        parts = [
            r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{'l' * len(columns)}}}",
            title + r"\\", r"\toprule", head, r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule",
            r"\endhead", r"\bottomrule", r"\endfoot", *body, r"\end{longtable}", r"\endgroup",
        ]  # fmt: skip
        return "\n".join(parts) + "\n"
    step = BLOCK if len(columns) > WIDE else len(columns)
    blocks = [range(start, min(start + step, len(columns))) for start in range(1, len(columns), step)]
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering\small",
            title,
            "\n\n\\medskip\n".join(
                _block([columns[i] for i in (0, *block)], [[row[i] for i in (0, *block)] for row in rows])
                for block in blocks
            ),
            r"\end{table}",
            "",
        ]
    )


def _block(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Shrunk to the width of the text where it is wider."""
    head, body = _lines(columns, rows)
    parts = [
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * len(columns)}}}",
        r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}}",
    ]  # fmt: skip
    return "\n".join(parts)


def _lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    head, *body = (" & ".join(row) + r" \\" for row in (columns, *rows))
    return head, body


def _main(summary: Summary, tables: Sequence[str], captions: dict[str, str]) -> str:
    lines = [
        r"\documentclass{article}", r"\usepackage[utf8]{inputenc}", r"\usepackage[T1]{fontenc}",
        r"\usepackage[margin=2cm]{geometry}", r"\usepackage{booktabs,graphicx,longtable}", r"\begin{document}",
    ]  # fmt: skip
    lines += [escape(sentences.compared(summary)), ""]
    if summary.has_finals:
        lines += [escape(sentences.headline(summary)), "", escape(sentences.endpoint(summary)), ""]
    lines += [rf"\input{{{table.removesuffix('.tex')}}}" for table in tables]
    for path, caption in captions.items():
        lines += [
            r"\begin{figure}[htbp]", r"\centering", rf"\includegraphics{{{path}}}", rf"\caption{{{escape(caption)}}}",
            r"\end{figure}",
        ]  # fmt: skip
        if list(captions).index(path) % 12 == 11:
            lines.append(r"\clearpage")  # TeX holds no more than 18 figures back
    cited = any(method.source for method in summary.result.methods)
    lines += [r"\bibliographystyle{plain}", r"\bibliography{references}"] if cited else []
    return "\n".join([*lines, r"\end{document}"]) + "\n"
