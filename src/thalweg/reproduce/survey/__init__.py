"""The survey: gradient-based methods against metaheuristics, and its comparative analysis, done."""

from __future__ import annotations

from thalweg.reproduce.paper import Paper
from thalweg.reproduce.survey.choices import PART as CHOICES_PART
from thalweg.reproduce.survey.functions import PART as FUNCTIONS_PART
from thalweg.reproduce.survey.growth import PART as GROWTH_PART
from thalweg.reproduce.survey.networks import PART as NETWORKS_PART
from thalweg.reproduce.survey.pictures import pictures
from thalweg.reproduce.survey.statements import judged
from thalweg.reproduce.survey.tables import tables

__all__ = ["PAPER"]

PAPER = Paper(
    name="survey",
    title="Gradients and metaheuristics",
    source="W. Xu: Neural network optimization techniques: studying optimization techniques for training neural "
    "networks, including gradient-based methods and metaheuristic algorithms.",
    parts=(FUNCTIONS_PART, NETWORKS_PART, CHOICES_PART, GROWTH_PART),
    partners={},
    pictures=pictures,
    notes=(
        "The survey announces a comparative analysis and has no number: no experiment, no table, no figure. So there "
        "is nothing to reproduce but its sentences, and each of them has a rule here, which says what is measured and "
        "from where on it holds. The verdicts are computed from the records by these rules alone.",
        "Cost is counted in forward passes: a value costs one, a value with its gradient three, for strategies, "
        "hybrids and gradients alike. In a race of networks all methods have at most as many passes, less than one "
        "generation fewer, and are tuned with the same budget.",
        "On networks a strategy judges each generation on one batch of 32 examples, as a gradient does: those that "
        "keep the best of earlier generations (ga, de, pso, aco, sa, hillclimb) compare fitness on different batches, "
        "and with a generation of 50 one batch in about 17 is seen of those that gradients see.",
        "On functions a hybrid ends by the passes counted here, while the strategy's own clock counts a gradient as "
        "one evaluation. Gradient descent and Adam may leave the box; strategies and L-BFGS may not.",
    ),
    tables=tables,
    judged=judged,
)
