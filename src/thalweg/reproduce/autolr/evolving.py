"""The paper's evolution by Thalweg's engine: its grammar, its numbers, and Algorithm 1 on images at a scale."""

from __future__ import annotations

from functools import partial

from torch.nn.functional import cross_entropy

from thalweg.evolve import evolve
from thalweg.reproduce.autolr.evolution import Run, Setting
from thalweg.reproduce.keras import keras_cnn
from thalweg.reproduce.paper import Options, Tell
from thalweg.reproduce.pixels import Amount, training_images
from thalweg.tasks import ACCURACY, Task

TESTS = 10  # fresh seeds that the winner is trained on


def by_thalweg(setting: Setting, number: int, options: Options, tell: Tell) -> Run:
    """A run of the paper preset, kept in the store: the same call goes on where it was. Raises what `evolve` raises.

    Programs that were seen, that do the same as others, or that no gradient reaches are not trained. The fitness is
    the accuracy after the last epoch on the part that validates: nothing is stopped early.
    """
    task = task_of(setting, options)
    result = evolve(
        task, preset="paper", budget=f"{setting.population * setting.generations}c", seed=number,
        population=setting.population, batch=setting.population, tournament=setting.tournament,
        crossover=setting.crossover, edits=setting.mutation, elites=setting.elitism, trials=setting.trainings,
        floor=setting.least, away=["none"], controls=False, race=False, finalists=1, choices=1, tests=TESTS,
        store=options.store / "evolutions" / f"{options.kept_as}-{number}", workers=options.workers,
        device=options.device, on_progress=lambda told: tell(f"run {number + 1}, {told.doing}: {told.candidates:,}"),
    )  # fmt: skip
    last = result.history[-1]
    return Run(
        best=[row.best for row in result.history],
        mean=[row.mean for row in result.history],
        individuals=last.candidates,
        trained=int(result.counts.get("fresh", 0)),
        epochs=round(last.examples / setting.images),
        epochs_of_all=last.candidates * setting.epochs,
        winner=result.best.text,
        retested=result.score.mean,
    )


def task_of(setting: Setting, options: Options) -> Task:
    """Fashion-MNIST with the paper's network. Each seed, and so each training of Algorithm 1, cuts its own parts of the
    first images: 60 % train, 20 % are the fitness, and the rest tests the winner. Raises DataMissing."""
    amount = Amount(setting.images, setting.images * 2 // 3, 1, setting.shrink)
    examples = training_images("fashion_mnist", options.data_dir, amount)
    channels, size = examples.inputs.shape[1:3]
    return Task(
        partial(keras_cnn, channels, size), cross_entropy, examples, metric=ACCURACY, name="fashion_mnist",
        title="Fashion-MNIST, Keras CNN", batch_size=setting.batch, epochs=setting.epochs,
    )  # fmt: skip
