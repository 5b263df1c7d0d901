"""AdaSwarm: Mohapatra, Saha, Coello, Bhattacharya, Dhavala and Saha (2022), and its supplement."""

from __future__ import annotations

from thalweg.race.report.table import Table
from thalweg.reproduce.adaswarm.function_pictures import function_pictures
from thalweg.reproduce.adaswarm.functions import PARTS as FUNCTION_PARTS
from thalweg.reproduce.adaswarm.images import IMAGES_PART
from thalweg.reproduce.adaswarm.labels import LOSSES
from thalweg.reproduce.adaswarm.tables import COLUMNS, PLAIN, TABLE_OF, TABLES_PART
from thalweg.reproduce.adaswarm.text import PART as TEXT_PART
from thalweg.reproduce.fair import method_table
from thalweg.reproduce.paper import Paper
from thalweg.reproduce.records import Records

__all__ = ["PAPER"]

IN_WORDS = {"bce": "binary cross entropy", "mse": "squared error", "mae": "absolute error"}
OTHERS = tuple(column for column in COLUMNS if column != "adaswarm")


def fair_tables(records: Records) -> list[Table]:
    """AdaSwarm from an honest start, tuned as all others are, on held-out data: against what it reduces to, against
    Adam on the loss itself, and against the other optimizers."""
    return [
        method_table(
            records,
            TABLE_OF[kind],
            "accuracy",
            "adaswarm",
            (*PLAIN, "adam", *(name for name in OTHERS if name != "adam")),
            f"AdaSwarm by the fair protocol, {IN_WORDS[kind]}",
        )
        for kind in LOSSES
    ]


PAPER = Paper(
    name="adaswarm",
    title="AdaSwarm",
    source=(
        "R. Mohapatra, S. Saha, C. A. Coello Coello, A. Bhattacharya, S. S. Dhavala and S. Saha: AdaSwarm: augmenting "
        "gradient-based optimizers in deep learning with swarm intelligence. IEEE Transactions on Emerging Topics in "
        "Computational Intelligence 6(2), 2022; arXiv 2006.09875, with its supplement."
    ),
    parts=(*FUNCTION_PARTS, TABLES_PART, IMAGES_PART, TEXT_PART),
    partners={"adaswarm": "adam", **dict.fromkeys(OTHERS, "adaswarm"), "empso": "mpso", "mpso": "empso"},
    pictures=function_pictures,
    notes=(
        "By the paper's protocol there is no held-out data: accuracies are of the examples that were trained on, and "
        "count each output that rounds to its label, so that an answer of zeros has 67 % on three classes. The column "
        "of the constant answer shows what that alone is worth.",
        "The published code starts the swarm at the labels, shares one best among all samples of a batch and never "
        "shows the swarm the network's outputs. That is what stands under the paper's protocol here. Fairly, the swarm "
        "starts anywhere in (0, 1), each output has a best of its own, and all methods are tuned with one budget, on "
        "features that are standardised, and scored on test parts by the most likely class.",
        "AdaSwarm is Adam on kappa (y - g). Where the loss is lowest at the label, g is the label: the fair tables set "
        "it beside Adam on the squared distance to the label, without a swarm.",
        "The page numbers and the text of the paper were at hand, the supplement's figures as numbers alone. Table 16 "
        "of the supplement (scores of exoplanets) has no claims here: it is not about networks, and its data and its "
        "objective are not given.",
    ),
    about={
        "S5": "Binary cross entropy.",
        "IV": "Squared error.",
        "V": "Absolute error.",
        "S6": "Epochs until Adam is saturated, and until AdaSwarm is as accurate; binary cross entropy.",
        "S7": "The same with squared error.",
        "S8": "The same with absolute error.",
        "S9": "In how many of ten runs AdaSwarm is at least as accurate as Adam.",
    },
    tables=fair_tables,
)
