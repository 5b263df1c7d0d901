"""Experiments 2 and 3: CIFAR-10 and MNIST, whole batches of all training images.

Their published targets are hardly below what a network scores that has learnt nothing: see `chance_levels`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from thalweg.race.jobs import one_thread
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.position_wise.chance import chance_levels
from thalweg.reproduce.position_wise.measure import cells, cost_ratios, curves, from_seeds, published_runs
from thalweg.reproduce.position_wise.protocol import Goal
from thalweg.reproduce.records import Records
from thalweg.tasks import Examples
from thalweg.tasks.folder import data_folder
from thalweg.tasks.images import PIXELS, ImageData, ImageSet
from thalweg.tasks.vision import CIFAR10, MNIST


@dataclass(frozen=True)
class Experiment:
    """A data set, its goal by the code, the target that the paper prints, and by what pixels are divided.

    CIFAR-10's images are taken plane after plane, as its files have them: with that order of the inputs the published
    epochs come out, with the three colours of a pixel side by side they do not.
    """

    name: str
    table: str
    images: ImageSet
    goal: Goal
    printed_target: float
    divisor: int


CIFAR10_RUN = Experiment(
    "cifar10", "Experiment 2", CIFAR10, Goal(lr=0.0075, target=3.23, printed=20), printed_target=3.23, divisor=PIXELS
)
MNIST_RUN = Experiment(
    "mnist", "Experiment 3", MNIST, Goal(lr=7.5e-5, target=3.2494, printed=50), printed_target=3.248, divisor=1
)


@dataclass(frozen=True)
class Scale:
    """How much is run: the first of the images (None: all), in which precision, how often the published runs are timed,
    and the seeds of the control."""

    count: int | None
    dtype: torch.dtype
    repeats: int
    seeds: tuple[int, ...]

    def words(self, all_images: int) -> str:
        """What is smaller than the paper's; "" for nothing."""
        words = [f"{self.count:,} of {all_images:,} images"] if self.count else []
        words += [f"in {self.precision}"] if self.dtype != torch.float64 else []
        return ", ".join(words)

    @property
    def precision(self) -> str:
        return str(self.dtype).removeprefix("torch.")


FULL = Scale(None, torch.float64, repeats=3, seeds=(1, 2, 3))
QUICK = Scale(None, torch.float32, repeats=1, seeds=())


def run(experiment: Experiment, options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """The published runs of an experiment, and its methods from other seeds. Raises DataMissing."""
    scale = scale or (QUICK if options.quick else FULL)
    part = ImageData(experiment.images, "train", data_folder(options.data_dir))()
    x, targets = inputs_of(part[: scale.count], experiment.divisor, scale.dtype)
    goal = experiment.goal
    with one_thread():
        runs = published_runs(x, targets, goal, scale.repeats, tell)
        chance = chance_levels(targets)
        figures: dict[str, Any] = {
            "curves": curves({method: timed[0][0] for method, timed in runs.items()}),
            "target": goal.target,
            "printed_target": experiment.printed_target,
            "chance": chance,
            "chance_without_eps": chance_levels(targets, eps=0),
            "cost": cost_ratios(runs, x, targets),
            "seeds": from_seeds(x, targets, goal, scale.seeds, tell, span=False),
        }
    words = scale.words(len(part))
    place = experiment.table, experiment.name
    measured = cells(place, runs, figures["seeds"], x, targets, chance["accuracy"], words)
    chosen = {**asdict(goal), "images": len(x), "precision": scale.precision, "scale": words}
    chosen |= {"repeats": scale.repeats, "seeds": scale.seeds}
    return Records("position_wise", tuple(measured), {experiment.name: figures}, {experiment.name: chosen})


def inputs_of(part: Examples, divisor: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Pixels of 0 to 255 over `divisor`, (n, channels * height * width), and targets, (n, 10)."""
    pixels = (part.inputs * PIXELS).round_().reshape(len(part), -1)  # the task's readers have divided them
    return pixels.to(dtype).div_(divisor), one_hot(part.targets, 10).to(dtype)


def _part(experiment: Experiment, figure: str, cost: str, quick_minutes: float) -> Part:
    return Part(
        experiment.name,
        f"{experiment.table}: {experiment.images.title}",
        (experiment.table,),
        cost,
        (experiment.images.folder,),
        partial(run, experiment),
        figures=(figure,),
        quick_minutes=quick_minutes,
    )


CIFAR10_PART = _part(CIFAR10_RUN, "3", "about 35 minutes, quick 3", 3)
MNIST_PART = _part(MNIST_RUN, "4", "about 15 minutes, quick 2", 2)
