"""The pictures: the loss by epoch of every method, with the target and what is scored without a look at the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg.race.charts import Style, inline
from thalweg.race.charts.panel import line_panel
from thalweg.race.charts.scale import extent, padded
from thalweg.reproduce.paper import Picture
from thalweg.reproduce.position_wise.protocol import METHODS
from thalweg.reproduce.records import Records

STYLES = {"gradient_descent": Style(8, 0), "position_wise": Style(1, 0), "layerwise_lr": Style(0, 1)}
NAMES = {"gradient_descent": "gradient descent", "position_wise": "position-wise", "layerwise_lr": "layer-wise rates"}
LEVELS = {"target": ("target", Style(2, 2)), "uniform": ("uniform answer", Style(3, 2)),
          "shares": ("classes' shares", Style(4, 3))}  # fmt: skip
TITLES = {
    "cat": ("Loss by epoch: cats", "Figure 2 of the paper."),
    "cifar10": (
        "Loss by epoch: CIFAR-10",
        "Figure 3 of the paper. All of it is within one per cent of chance; two of the curves lie one on the other.",
    ),
    "mnist": (
        "Loss by epoch: MNIST",
        "Figure 4 of the paper. The networks begin with answers that are far too sure and come down to what the shares "
        "of the classes score.",
    ),
    "twin": ("Loss by epoch: made images", "The same as for cats, on images that are made from a seed."),
}
WIDE = 3.0  # a range in which the highest is so many times the lowest is logarithmic


def loss_pictures(records: Records) -> list[Picture]:
    """One for each experiment that the records have."""
    return [_losses(name, records.figures[name]) for name in TITLES if name in records.figures]


def _losses(name: str, of: Mapping[str, Any]) -> Picture:
    title, caption = TITLES[name]
    curves = of["curves"]
    levels = {"target": of["target"], "uniform": of["chance"]["uniform"], "shares": of["chance"]["shares"]}
    low, high = extent([loss for curve in curves.values() for loss in curve["loss"]] + list(levels.values()))
    log = high > WIDE * low
    last = max(curve["epoch"][-1] for curve in curves.values())
    texts = {method: f"{NAMES[method]}: {curves[method]['epoch'][-1]:,}" for method in METHODS}
    texts |= {level: f"{LEVELS[level][0]}: {value:.5g}" for level, value in levels.items()}
    panel = line_panel(
        title, (0, last), padded(low, high, log=log), list(texts.values()), log_y=log, whole_x=True,
        x_label="epoch", y_label="loss of the training images",
    )  # fmt: skip
    ends = {}
    for level, value in levels.items():
        style = LEVELS[level][1]
        panel.curve([0, last], [value, value], style.variable, 1.0, style.dashes)
        ends[level] = (panel.x.stop, panel.y.at(value))
    for method in METHODS:
        epochs, losses = curves[method]["epoch"], curves[method]["loss"]
        panel.curve(epochs, losses, STYLES[method].variable, 1.6, STYLES[method].dashes)
        ends[method] = (panel.x.at(epochs[-1]), panel.y.at(losses[-1]))
    panel.ends(ends, texts, {**STYLES, **{level: style for level, (_, style) in LEVELS.items()}})
    return Picture(title, inline(panel.sheet.figure, title), f"{caption} The numbers are the epochs to the target.")
