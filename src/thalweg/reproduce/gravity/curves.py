"""The exact part on the page: Figures 2 to 5 and 8 as pictures, and tables of what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.race.charts import Style
from thalweg.race.report.table import BAD, Cell, Table, number
from thalweg.reproduce.curve_picture import curve_picture
from thalweg.reproduce.gravity.exact import of
from thalweg.reproduce.gravity.networks import TITLES
from thalweg.reproduce.paper import Picture
from thalweg.reproduce.records import Records

RESPONSES = {
    "Figures 2 to 4: steps by gradient": {
        "gd, lr 0.1": Style(0, 0), "gd, lr 0.25": Style(0, 1), "gravity, lr 0.1": Style(1, 0),
        "gravity, lr 0.25": Style(1, 1),
    },
    "Figure 5: steps by gradient and m, lr 0.1": {
        "gd, lr 0.1": Style(0, 0), "gravity, lr 0.1": Style(1, 0), "gravity, m 1.25": Style(2, 0),
        "gravity, m 2": Style(3, 0),
    },
}  # fmt: skip
HIGHEST = 0.16  # steps beyond which are left out: gradient descent's
OF_BETA = {"0.5": Style(0, 0), "0.9": Style(1, 0), "0.99": Style(2, 0), "1": Style(3, 0)}


def exact_pictures(records: Records) -> list[Picture]:
    """Those that the records have the figures of."""
    exact = of(records)
    if not exact:
        return []
    g, curves = exact["response"]["g"], exact["response"]["curves"]
    said = (
        "Equations 14 and 18: Gravity's step is largest at g = m, where it is l m/2; small gradients move a weight as "
        "gradient descent does."
    )
    found = [
        curve_picture(
            title, said, {name: list(zip(g, curves[name], strict=True)) for name in styles}, (-HIGHEST, HIGHEST),
            {name: name for name in styles}, styles, x_label="g", y_label="Δw",
        )
        for title, styles in RESPONSES.items()
    ]  # fmt: skip
    hats = exact["beta_hat"]
    averaged = {beta: [1 / (1 - value) for value in values] for beta, values in hats.items()}
    for title, values, y, log, text in (
        ("Figure 8a: beta-hat by step", hats, (0.45, 1.0), False, "Equation 26, as the velocity has it, by beta."),
        (
            "Figure 8b: averaged data by step", averaged, (1.8, 110.0), True,
            "1/(1 − beta-hat), equation 24 with beta-hat for beta: how many data an average is said to be over.",
        ),
    ):  # fmt: skip
        drawn = {f"β {beta}": list(enumerate(own)) for beta, own in values.items()}
        styles = {f"β {beta}": style for beta, style in OF_BETA.items()}
        names = {name: name for name in drawn}
        found.append(curve_picture(title, text, drawn, y, names, styles, log_y=log, x_label="t"))
    return found


def exact_tables(records: Records) -> list[Table]:
    """Those that the records have the figures of."""
    exact = of(records)
    if not exact:
        return []
    return [
        response_table(exact["response"]["damped"]),
        noise_table(exact["initial"]["vgg16"], exact["noise"]),
        signal_table(exact["signal"]),
        damping_table(exact["damping"]["off"]),
        scaling_table(exact["scaling"]),
        momentum_table(exact["momentum"]),
    ]


def response_table(rows: Sequence[Mapping[str, float]]) -> Table:
    """Figures 3 to 5 in numbers."""
    lines = [
        [
            Cell(f"lr {row['lr']:g}, m {row['m']:g}"),
            *(Cell(f"{row[key]:.6g}", row[key]) for key in ("at", "largest", "equation_19")),
        ]
        for row in rows
    ]
    heads = ["", "g of the largest step", "largest step", "l m/2"]
    return Table("response", "Equation 18: where its steps are largest, and equation 19", heads, lines)


def noise_table(rows: Sequence[Mapping[str, float | str]], noise: Mapping[str, Mapping[str, float]]) -> Table:
    """A layer a line: its initial weights, and how much further the start noise moves them."""
    moved = [noise[t]["displaced"] for t in ("0", "1")]
    lines = []
    for row in rows:
        sd, glorot = float(row["sd"]), float(row["glorot"])
        times = [Cell(f"{each / glorot:.2f}", each / glorot, mark=BAD if each > glorot else "") for each in moved]
        weights = Cell(f"{row['weights']:,}", float(row["weights"]))
        lines.append([Cell(str(row["layer"])), weights, number(sd, 4), number(glorot, 4), *times])
    caption = (
        "Initial weights of VGG16, whose biases are 0, beside the start noise alone: it moves every weight by alpha S, "
        f"a deviation of {moved[0]:.4f} with t from 0 and of {moved[1]:.4f} with t from 1, whatever the gradients"
    )
    heads = ["", "weights", "deviation", "Glorot's", "moved, t from 0", "moved, t from 1"]
    return Table("start-noise", f"{caption}; moved is in initial deviations", heads, lines)


def signal_table(rows: Mapping[str, Mapping[str, float]]) -> Table:
    """What comes through the networks before and after the start noise."""
    lines = []
    for name, row in rows.items():
        ratio = row["moved"] / row["initial"]
        values = (number(row[key], 3) for key in ("initial", "moved"))
        lines.append([Cell(TITLES[name]), *values, Cell(f"{ratio:.0f}", ratio)])
    caption = (
        "What tells random images apart at the logits, their deviation between images: with the initial weights, and "
        "once the start noise has moved them"
    )
    return Table("signal", caption, ["", "initial", "moved", "times"], lines)


def damping_table(rows: Sequence[Mapping[str, float]]) -> Table:
    """How far zeta is from g."""
    lines = [
        [
            Cell(f"{row['largest']:g}", row["largest"]),
            *(Cell(f"{100 * row[key]:.3g} %", row[key]) for key in ("off", "bound")),
        ]
        for row in rows
    ]
    caption = "The damping by the largest gradient of a tensor: the most that it takes of one, and G⁴/(1 + G⁴)"
    return Table("damping", caption, ["max|G|", "taken at most", "bound"], lines)


def scaling_table(rows: Sequence[Mapping[str, float]]) -> Table:
    """What a loss in other units does."""
    lines = [
        [Cell(f"{row['factor']:g}", row["factor"]), number(row["cosine"], 4), number(row["length"], 3)] for row in rows
    ]
    caption = (
        "Equation 20 sets m, a gradient, to the inverse of one: the damped gradient of a loss multiplied by a factor, "
        "max|G| being 0.3 times that, beside the gradient itself"
    )
    return Table("scaling", caption, ["factor", "cosine", "length, as a share"], lines)


def momentum_table(found: Mapping[str, Any]) -> Table:
    """How large gradients are, tensor by tensor."""
    lines, every = (
        [[Cell(name), *(number(own[key], 3) for key in ("median", "q99", "max"))] for name, own in group.items()]
        for group in (found["largest"], {"all": found["all"]})
    )
    apart, taken, changed = (f"{100 * found[key]:.2g} %" for key in ("apart", "taken", "changed"))
    caption = (
        "max|G| by tensor in a training of a small network on digits by Gravity. EMA momentum with the same beta-hats "
        f"and V0 comes within {apart} of its way on these gradients; the damping takes {taken} of their sum, and one "
        f"per cent or more of {changed} of them"
    )
    return Table("momentum", caption, ["", "median", "99 %", "largest"], lines, every)
