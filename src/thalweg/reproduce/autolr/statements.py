"""What the paper says of its optimizers, sentence by sentence, each with the rule by which it is judged.

Those on accuracies by the paper's protocol are undecided where training at our scale was cut short: where more than
half of the trials of the five optimizers validate best in their last epoch.
"""

from __future__ import annotations

from thalweg.reproduce.autolr import by_equations, by_protocol, by_races
from thalweg.reproduce.autolr.by_protocol import settled
from thalweg.reproduce.autolr.evidence import Evidence
from thalweg.reproduce.autolr.fair_race import HOME
from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import Judged, Statement, all_judged

AWAY = "cifar10"


STATEMENTS: tuple[Statement[Evidence], ...] = (
    Statement(
        "best at home", "4.4",
        "ADES has the best test accuracy in Fashion-MNIST",
        "by the paper's protocol its test accuracy is above that of each other one, all intervals leaving out 0; in "
        "part where only its mean is the highest; not where another one is clearly above it",
        settled(HOME, by_protocol.best_at_home),
    ),
    Statement(
        "four alike", "4.4",
        "the differences in performance between the four best optimizers are minimal",
        "mean test accuracies of ADES, Adam, RMSprop and Nesterov are within a point; not where two are clearly "
        "further apart than that",
        settled(HOME, by_protocol.four_alike),
    ),
    Statement(
        "tie with Nesterov", "4.4",
        "we are unable to reject the null hypothesis (p = 0.267)",
        "a two-sided Mann-Whitney test of test accuracies has p of at least 0.05",
        settled(HOME, by_protocol.tie_with_nesterov),
    ),
    Statement(
        "Sign behind", "4.4",
        "the Sign optimizer that performed about 1.5% worse than its peers",
        "its test accuracy is clearly below the mean of the other four, by 0.75 to 3 points; in part where it is by "
        "another amount",
        settled(HOME, by_protocol.sign_behind),
    ),
    Statement(
        "smallest drop at home", "4.4",
        "the Sign optimizer exhibits the smallest accuracy drop between the validation and test sets",
        "in the paper's own Table 2 its drop is the smallest, and here it is clearly below each other one; in part "
        "where only its mean is; not where the table itself has a smaller one, or one is clearly smaller here",
        by_protocol.smallest_drop(HOME),
    ),
    Statement(
        "smallest drop away", "4.5",
        "the Sign optimizer is the most resistant to the dataset change",
        "the same on CIFAR-10, by Table 3",
        settled(AWAY, by_protocol.smallest_drop(AWAY)),
    ),
    Statement(
        "improves to test", "4.5",
        "even slightly improving its performance when moved to the test set",
        "on CIFAR-10 Sign's test accuracy is clearly above its validation accuracy; in part where only its mean is",
        settled(AWAY, by_protocol.improves_to_test),
    ),
    Statement(
        "ahead on CIFAR-10", "4.5",
        "outperforming Adam and RMSProp in both validation and test accuracy",
        "ADES is clearly above both in both; in part where only its means are; not where one is clearly above it",
        settled(AWAY, by_protocol.ahead_on_cifar),
    ),
    Statement(
        "specialised", "4.4",
        "suggesting ALR succeed in its objective of specialization",
        "tuned by one budget, ADES and Sign are more often better than worse than human-made optimizers on "
        "Fashion-MNIST, and by a larger share than on the other tasks; undecided where they are neither at home",
        by_races.specialised,
    ),
    Statement(
        "away from images", "5",
        "It is vital to understand whether ADES retains its utility when applied to different problems",
        "tuned by one budget, it is worse than Adam on no task that is no image set, and better or equivalent on more "
        "than half of them; in part where it is worse on up to half",
        by_races.away_from_images,
    ),
    Statement(
        "convergence speed", "5",
        "there are other properties that are desirable in optimizers such as convergence speed",
        "an advantage: ADES needs clearly fewer epochs than Adam, RMSprop and Nesterov to the validation accuracy that "
        "all of their trials reach, on every data set; in part where only its means are fewer; not where one needs "
        "clearly fewer",
        by_protocol.speed,
    ),
    Statement(
        "sensitivity", "5",
        "and sensitivity to hyper-parameters. Studying evolved optimizers in this lens may reveal additional "
        "advantages",
        "an advantage: the range of learning rates within 1 % of its best score is wider than Adam's and than heavy "
        "ball's by more than a step of the grid, on every task; not where it is narrower than both",
        by_races.sensitivity,
    ),
    Statement(
        "unlike human-made ones", "4.2",
        "Since ADES does not operate similarly to human-made optimizers, we cannot relate its operations to familiar "
        "components",
        "on the gradients of a training its trajectory is further than 5 % of the way from that of heavy ball with "
        "mu = 1 - a (1 + b) and eta = a b",
        by_equations.unlike_human_made,
    ),
    Statement(
        "squared", "4.2",
        "this solution's unique aspect is the presence of a squared auxiliary variable that was not found in "
        "human-made approaches",
        "the quadratic terms make at least 5 % of its steps",
        by_equations.squared,
    ),
    Statement(
        "Sign is new", "4.2",
        "As far as we know, this strategy is not used in any human-made optimizers",
        "its trajectory is not that of signSGD, published in 2018",
        by_equations.sign_is_new,
    ),
    Statement(
        "simple mechanisms", "4.2",
        "The best and most robust evolved optimizers employ simple, familiar mechanisms like a static LR or a simple "
        "momentum term",
        "Sign is signSGD with a static rate, and ADES momentum to within 5 %",
        by_equations.simple_mechanisms,
    ),
    Statement(
        "equation 8", "4.2",
        "The best adaptive evolved optimizer is presented in Equation 8",
        "equation 8, with its printed constants and those of Table 2, trains a network of two layers on digits; in "
        "part where it diverges in some trainings",
        by_equations.equation_8,
    ),
    Statement(
        "tournament", "4.1",
        "a large tournament size is used to reduce selective pressure",
        "the best individual of 20 is a parent less often in tournaments of 5 than in smaller ones",
        by_equations.tournament,
    ),
    Statement(
        "most cannot train", "3.1",
        "the majority of possible solutions cannot train the ANN",
        "more than half of the individuals in the authors' logs are dead",
        by_equations.cannot_train,
    ),
)  # fmt: skip


def judged(records: Records) -> list[Judged]:
    """What the records say of each."""
    return all_judged(STATEMENTS, Evidence(records))
