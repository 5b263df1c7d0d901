"""Adaptive AutoLR, ADES and Sign: Carvalho, Lourenço and Machado (2022)."""

from __future__ import annotations

from thalweg.reproduce.autolr.evolution import part as evolution_part
from thalweg.reproduce.autolr.evolving import by_thalweg
from thalweg.reproduce.autolr.exact import PART as EXACT_PART
from thalweg.reproduce.autolr.fair_race import PART as FAIR_PART
from thalweg.reproduce.autolr.images import CIFAR_PART, FASHION_PART
from thalweg.reproduce.autolr.pictures import pictures
from thalweg.reproduce.autolr.sensitivity import PART as SENSITIVITY_PART
from thalweg.reproduce.autolr.statements import judged
from thalweg.reproduce.autolr.tables import tables
from thalweg.reproduce.paper import Paper

__all__ = ["PAPER"]

EVOLUTION_PART = evolution_part(by_thalweg, "quick about 1 min, full about 10")

ABOUT = {
    "1": "Settings of the evolution, held against what the authors' own published logs of the nine runs say. Nothing "
    "here was measured by us: reproduced means that the logs have what the table prints.",
    "Equation 7": "Sign: the learning rate of the evolved rule is the product of two constants of the grammar.",
    "Equation 8": "The coefficients in the next y: as printed, and those of the rule that was evolved, worked out from "
    "its steps. The printed equation lacks the damping of y.",
    "2": "Fashion-MNIST. Accuracies that are called scaled are those of a smaller run, and are not to be held against "
    "the printed ones; what they decide is the order, in the statements.",
    "3": "CIFAR-10; as Table 2.",
    "text": "From the authors' own result files, not measured by us.",
}

NOTES = (
    "Equation 8 is not the rule that was evolved and benchmarked. Recovered from the logs, that is y = y - a ((y "
    "+ b)(y + g) + y), w = w + y with a = 0.0892171 and b = 0.999061: with beta1 = 1 - a and beta2 = b the class "
    "that the authors benchmarked. Multiplied out it is y = mu y - eta g - a y (y + g) with mu = 1 - a (1 + b) "
    "and eta = a b: momentum, and terms that are quadratic in numbers well below one. As it is printed the "
    "equation has mu = 1 and a square that pushes y further down once it is negative, and diverges.",
    "Tables 2 and 3 take 30 trials of 1,000 epochs for each optimizer. On a GPU (--device cuda) they are run so; "
    "elsewhere at a scale that the cells state, with the published hyperparameters, and with images and batches "
    "fewer by about the same factor, so that an epoch has as many steps. The learning rates were tuned for "
    "batches of 1,000 and long training. A scaled run can say who is ahead of whom at its own scale; it says "
    "nothing of the printed accuracies, which are therefore counted as not run.",
    "The protocol is the paper's: no early stopping, the weights of highest validation accuracy are tested. "
    "Unlike there every trial draws its own initial weights and its own cut into training and validation part; "
    "the authors' trials all begin at one saved set of weights, of which their deviations have nothing. Methods "
    "are paired by seed. RMSprop with Keras' defaults stands beside the five, because the authors' files have it "
    "too, and heavy ball with ADES' constants, which is ADES without its quadratic terms.",
    "Table 3 prints 0.0009 as Sign's learning rate, the authors' file has 0.000502; here it is 0.0009.",
    "The fair race tunes all methods by one budget over the ranges that every race uses: on images shrunk to half"
    " with the paper's networks, and away from images on small tasks that come with Thalweg.",
)

PAPER = Paper(
    name="autolr",
    title="Adaptive AutoLR, ADES and Sign",
    source="P. Carvalho, N. Lourenço and P. Machado: Evolving adaptive neural network optimizers for image "
    "classification. EuroGP 2022, doi 10.1007/978-3-031-02056-8_1.",
    parts=(EXACT_PART, FASHION_PART, CIFAR_PART, FAIR_PART, SENSITIVITY_PART, EVOLUTION_PART),
    partners={},
    pictures=pictures,
    notes=NOTES,
    tables=tables,
    judged=judged,
    about=ABOUT,
)
