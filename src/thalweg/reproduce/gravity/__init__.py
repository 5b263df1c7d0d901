"""Gravity: Bahrami and Pouriyan Zadeh (2021)."""

from __future__ import annotations

from thalweg.reproduce.gravity.beta import PART as BETA_PART
from thalweg.reproduce.gravity.choices import PART as CHOICES_PART
from thalweg.reproduce.gravity.exact import PART as EXACT_PART
from thalweg.reproduce.gravity.fair_race import PART as FAIR_PART
from thalweg.reproduce.gravity.images import CIFAR10_PART, CIFAR100_PART, FASHION_PART, FIGURES, MNIST_PART
from thalweg.reproduce.gravity.pictures import pictures
from thalweg.reproduce.gravity.sequences import PART as SEQUENCES_PART
from thalweg.reproduce.gravity.statements import judged
from thalweg.reproduce.gravity.tables import tables
from thalweg.reproduce.paper import Paper

__all__ = ["PAPER"]

HISTORY = (
    "The paper prints curves alone; the numbers claimed are those of the authors' published histories, one run each. "
    "Losses and accuracies that are called scaled are those of a smaller network and fewer images, and are not to be "
    "held against them; what they decide is the order, in the statements."
)
ABOUT = {
    "2": "Beta-hat at beta = 1, and how many data V is an average of.",
    "3": "The data sets; settings of the runs.",
    "4": "Parameters of VGG16 and VGG19 by layer.",
    "5": "Learning rates: settings of the runs. Gravity's is 0.1 everywhere.",
    **dict.fromkeys(FIGURES.values(), HISTORY),
    "Repository, beta": "From the authors' repository, not the paper: more runs of CIFAR-10 on VGG16.",
    "Repository, m": "From the authors' repository, not the paper: other choices of m on CIFAR-10 and VGG16.",
}

NOTES = (
    "With m = 1/max|G| the gradient is divided by 1 + (g max|G|)², which changes it by at most Gmax⁴/(1 + Gmax⁴) of "
    "itself: by 0.8 % where the largest gradient of a tensor is 0.3. The gradients of a loss that is a mean over a "
    "batch are mostly smaller. There Gravity is momentum as an exponential moving average, with beta-hat and a random"
    " start; both are raced beside it, as gravity-ema-noise and, from V = 0, gravity-ema.",
    "The random start moves every weight and every bias by a normal number of standard deviation 0.019 in the first "
    "steps, whatever the gradient. The initial weights of VGG's largest layers have 0.015: the start noise is another "
    "initialisation. Glorot's weights halve the variance of a signal at every ReLU, so that next to nothing of what "
    "tells images apart comes through 16 layers; with the noise on top of them it is more than a hundred times as much "
    "in VGG16, and less than twice as much in a narrow one, whose own weights are larger. So a narrow VGG16 says "
    "little of how Gravity trains a wide one.",
    "Gravity has the same hyperparameters everywhere. The learning rates of Adam and RMSprop were picked by hand for "
    "each data set and network (Table 5) and are used here as printed; the smaller networks have those of VGG16. Each"
    " published cell is one run, without a seed. The set that is watched each epoch, and of which best accuracies "
    "are, is the test set. The fair race tunes all by one budget and tests on images that nobody has chosen by.",
    "By the paper's protocol images are x/255, neither normalised nor augmented; there is no dropout, no weight decay"
    " and no schedule. On a GPU (--device cuda) VGG16 and VGG19 are trained whole, on all images for 100 epochs; "
    "elsewhere on images shrunk to half, Keras' CNN without its dropout and a VGG16 with an eighth of the width and "
    "without the last pool, in smaller batches. A scaled run says nothing of the published numbers, which are "
    "therefore counted as not run; at this scale a network may learn nothing by a method, and the tables say so.",
    "Training loss and accuracy are, as Keras reports them, means over the batches of an epoch while the weights move.",
    "Equation 25, bias correction, is printed with the corrected V on its right-hand side. Read so, V is multiplied "
    "by more than one at every early step and overflows for beta near 1, as the paper says; as Adam has it, it does "
    "not.",
)

PAPER = Paper(
    name="gravity",
    title="Gravity",
    source="D. Bahrami and S. Pouriyan Zadeh: Gravity Optimizer: a Kinematic Approach on Optimization in Deep "
    "Learning. 2021, arXiv:2101.09192.",
    parts=(
        EXACT_PART, MNIST_PART, FASHION_PART, CIFAR10_PART, CIFAR100_PART, FAIR_PART, CHOICES_PART, BETA_PART,
        SEQUENCES_PART,
    ),
    partners={"gravity": "adam", "adam": "gravity", "rmsprop": "gravity"},
    pictures=pictures,
    notes=NOTES,
    about=ABOUT,
    tables=tables,
    judged=judged,
)  # fmt: skip
