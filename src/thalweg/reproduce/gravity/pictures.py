"""The pictures: Figures 10 to 19 as we trained them, four curves by epoch, and those of the other parts."""

from __future__ import annotations

from statistics import fmean

from thalweg.race.charts import Style, inline
from thalweg.race.charts.panel import Panel
from thalweg.race.charts.scale import Scale, extent, padded
from thalweg.race.charts.sheet import TICK
from thalweg.reproduce.gravity.beta import beta_pictures
from thalweg.reproduce.gravity.curves import exact_pictures
from thalweg.reproduce.gravity.evidence import Evidence, Place, named
from thalweg.reproduce.gravity.images import FIGURES
from thalweg.reproduce.panels import key, small_panels
from thalweg.reproduce.paper import Picture
from thalweg.reproduce.records import Records

LINES = {
    "gravity": ("Gravity", Style(1, 0)), "gravity_ema_noise": ("EMA, noise", Style(4, 1)),
    "gravity_ema": ("EMA", Style(8, 2)), "adam": ("Adam", Style(0, 0)), "rmsprop": ("RMSprop", Style(2, 0)),
}  # fmt: skip
PANELS = {
    "train_loss": "(a) training loss", "train_accuracy": "(b) training accuracy, %",
    "loss": "(c) validation loss", "accuracy": "(d) validation accuracy, %",
}  # fmt: skip


def pictures(records: Records) -> list[Picture]:
    """Those that the records have the figures of."""
    evidence = Evidence(records)
    found = [*exact_pictures(records), *beta_pictures(records)]
    return found + [curves(evidence, place) for place in evidence.places]


def curves(e: Evidence, place: Place) -> Picture:
    """Losses, on a logarithmic scale, and accuracies by epoch: the mean over seeds of each method."""
    title = named(place)
    sheet, places = small_panels(title, len(PANELS), columns=2, height=110.0)
    trials = e.trials[place]
    for (quantity, text), (left, right, bottom, top) in zip(PANELS.items(), places, strict=True):
        log = quantity.endswith("loss")
        means = {
            method: [fmean(values) for values in zip(*(trial[quantity] for trial in own), strict=True)]
            for method, own in trials.items()
        }
        epochs = len(next(iter(means.values())))
        across = Scale(1, max(2, epochs), left, right, whole=True)
        limits = padded(*extent(list(means.values()), log=log), log=log)
        panel = Panel(sheet, across, Scale(*limits, bottom, top, log))
        panel.frame(x_ticks=across.ticks(4), y_ticks=panel.y.ticks(4))
        for method, values in means.items():
            style = LINES[method][1]
            panel.curve(range(1, epochs + 1), values, style.variable, 1.4, style.dashes)
        sheet.text(left, top + 4, text, "soft", TICK, va="baseline")
    key(sheet, LINES)
    figure = FIGURES.get(place)
    scaled = f"As {figure}" if figure else f"As {FIGURES[place[0], 'vgg16']}, with a smaller network and fewer images"
    caption = (
        f"{scaled}: by epoch, mean over seeds. EMA is Gravity without damping and random start, EMA, noise the same "
        "from that start. Training loss and accuracy are means over the batches of an epoch, while the weights move."
    )
    return Picture(title, inline(sheet.figure, title), caption)
