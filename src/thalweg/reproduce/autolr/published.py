"""What the authors' own published files say, which nobody here measured.

The run logs are those of the nine evolutionary runs (269,725 readable individuals), the result files those of the
benchmarks (30 trials a row, but for 15 of RMSprop's defaults); both are at https://github.com/soren5/autolr. The
figures below were computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass

RUNS, ROUNDS, POPULATION = 9, 1501, 20  # the loop of generations runs to 1500, both ends included
READABLE = 269_725  # individuals of the logs, of 9 * 1501 * 20
EPOCHS_LOGGED = 2_940_000  # of the last of up to five trainings of each individual
EPOCHS_TRAINED = 5_811_853  # with five trainings for each viable individual
SLICE = 7_571  # examples of a training: 53,000 // 7
DEAD = 0.80  # share with a fitness below 0.2
VIABLE = 0.075  # share that reaches 0.8
NOT_FINITE = (0.26, 0.43)  # share, by run, that ends with a loss that is not finite
HOURS = (71.4, 72.7, 94.5, 75.3)  # of the four runs that were not interrupted

# Table 1, as the logs have it: several numbers where several are right, none where the logs do not say.
TABLE_1: dict[str, tuple[float, ...]] = {
    "number_of_runs": (9,),
    "number_of_generations": (1501,),
    "number_of_individuals": (20,),
    "tournament_size": (),
    "crossover_rate": (),
    "mutation_rate": (),
    "training_set": (53_000,),
    "training_set_of_an_evaluation": (SLICE,),  # every logged training accuracy is a multiple of 1/7571
    "validation_set": (3_000,),  # every logged validation accuracy is a multiple of 1/3000: 3 batches of 1000
    "fitness_set": (3_500,),
    "patience": (5,),
    "stopped_by_validation_loss": (19, 25),  # lowest and highest of the runs; by validation accuracy it is 100
    "batch_size": (1_000,),  # 8 steps an epoch
    "most_epochs": (100,),
    "evaluations": (5,),
    "candidates": (RUNS * ROUNDS * POPULATION,),
}

MANN_WHITNEY = 0.25  # two-sided p of ADES against Nesterov, from the result files on Fashion-MNIST


@dataclass(frozen=True)
class Filter:
    """What is left of the published stream of candidates after a filter and those before it: how many candidates, and
    how many epochs their training takes."""

    name: str
    candidates: int
    epochs: int

    @property
    def factor(self) -> float:
        """By how much fewer epochs than were trained."""
        return EPOCHS_TRAINED / self.epochs


FILTERS = (
    Filter("none: every individual is trained", READABLE, EPOCHS_TRAINED),
    Filter("no program twice, by what it does on six probe steps", 81_772, 889_869),
    Filter("none whose step does not depend on the gradient", 66_316, 785_705),
    Filter("none below 0.15 validation accuracy after two epochs", 6_160, 400_897),  # 4 viable ones are lost
)

# Share of individuals that repeat an earlier one, by what is compared.
REPEATS = {"genotype": 0.061, "text": 0.124, "program without dead code": 0.535, "behaviour": 0.697}


@dataclass(frozen=True)
class Result:
    """A row of the result files, in per cent: mean and standard deviation over trials."""

    method: str
    validation: tuple[float, float]
    test: tuple[float, float]
    remark: str = ""


RESULTS: dict[str, tuple[Result, ...]] = {
    "fashion_mnist": (
        Result("ades", (93.53, 0.11), (92.87, 0.16)),
        Result("sign", (92.07, 0.14), (91.29, 0.24)),
        Result("adam", (93.46, 0.10), (92.69, 0.20)),
        Result("rmsprop", (93.61, 0.08), (92.80, 0.17)),
        Result("rmsprop_defaults", (93.62, 0.09), (92.94, 0.20), "lr 0.001, rho 0.9: 15 trials, not in Table 2"),
        Result("nesterov", (93.41, 0.14), (92.82, 0.15)),
    ),
    "cifar10": (
        Result("ades", (82.04, 0.20), (81.85, 0.29)),
        Result("sign", (74.96, 0.39), (75.09, 0.49), "lr 0.000502 in the file, 0.0009 in Table 3"),
        Result("adam", (81.93, 0.21), (81.56, 0.26)),
        Result("rmsprop", (80.97, 0.27), (80.65, 0.45)),
        Result("nesterov", (82.46, 0.25), (82.04, 0.25)),
    ),
}
