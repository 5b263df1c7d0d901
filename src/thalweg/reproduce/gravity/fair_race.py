"""The fair question: tuned by one budget, is Gravity better than others, and does it need no tuning, as it is said?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from thalweg.names import shown
from thalweg.race import Method
from thalweg.race.report.table import Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.fair_races import Effort, cells, figures, image_task, plain, rates_table, untuned
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Records

TABLE = "Fair race"
METHODS = ("gravity", "gravity_ema_noise", "gravity_ema", "adam", "rmsprop", "nesterov")
# As published, Gravity at its own rate; of the others what Keras calls them with where nobody says anything.
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "gravity": {"lr": 0.1},
    "adam": {"lr": 1e-3, "eps": 1e-7},
    "rmsprop": {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7},
}
COLUMNS = (*METHODS, *(f"{name}@defaults" for name in DEFAULTS))
BASELINE = "adam"
IMAGES = ("mnist", "fashion_mnist", "cifar10")


@dataclass(frozen=True)
class Scale:
    """How much is run: so many of a set's training images, shrunk to half, of which each seed cuts its three parts."""

    images: int
    image_sets: tuple[str, ...]
    epochs: int
    effort: Effort

    @property
    def words(self) -> str:
        """What was run, for a caption."""
        effort = self.effort
        return (
            f"{self.images:,} images shrunk to half, the Keras networks, {self.epochs} epochs, {effort.studies} "
            f"tunings of {effort.draws} draws, {effort.seeds} paired seeds"
        )


FULL = Scale(2000, IMAGES, 10, Effort(seeds=10, draws=6, studies=2))
QUICK = Scale(600, ("fashion_mnist",), 8, Effort(seeds=9, draws=4, studies=2))


def methods() -> list[Method]:
    """Those that are tuned, then those at their defaults, which have nothing to search."""
    return [*map(plain, METHODS), *(untuned(name, own) for name, own in DEFAULTS.items())]


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """One race on all data sets. Raises DataMissing."""
    scale = scale or (QUICK if options.quick else FULL)
    result = raced(
        [image_task(name, options.data_dir, scale.images, scale.epochs) for name in scale.image_sets],
        methods(), options, tell, "gravity_fair", baseline=BASELINE, seeds=scale.effort.seeds,
        budget=scale.effort.draws, studies=scale.effort.studies,
    )  # fmt: skip
    measured = [cell for name in scale.image_sets for cell in cells(result, TABLE, name)]
    found = {name: figures(result, name) for name in scale.image_sets}
    settings = {**asdict(scale), "words": scale.words}
    return Records("gravity", tuple(measured), {"fair": found}, {"fair": settings})


def fair_tables(records: Records) -> list[Table]:
    """Verdicts of all methods against tuned Adam, and against tuned Gravity; and the learning rates that were chosen.
    A column `gravity@defaults` is Gravity as published, not tuned."""
    found = records.figures.get("fair", {})
    if not found:
        return []
    words = records.settings.get("fair", {}).get("words", "")
    tables = [
        verdict_table(
            records, TABLE, "accuracy", baseline, [name for name in COLUMNS if name != baseline],
            f"Tuned by one budget, and at defaults: test accuracy against tuned {shown(baseline)} ({words})",
        )
        for baseline in (BASELINE, "gravity")
    ]  # fmt: skip
    return [*tables, rates_table(found, "fair-rates", "The learning rates of the fair race, one a tuning")]


PART = Part(
    "fair",
    "The fair race on images, and defaults against tuning",
    (),
    "about 15 minutes on two cores, quick 3",
    IMAGES,
    run,
    quick_minutes=2.7,
)
