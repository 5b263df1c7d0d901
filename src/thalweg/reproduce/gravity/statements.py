"""What the paper says of Gravity, sentence by sentence, each with the rule by which it is judged.

Sentences on a single figure are held against the authors' own histories first, and hold where our trials show the same.
These decide something only where training was long enough: where at most half of the trials of the three published
methods are at their best accuracy in their last epoch, and all three learn something.
"""

from __future__ import annotations

from thalweg.reproduce.gravity import by_histories, by_parts, by_trials
from thalweg.reproduce.gravity.by_histories import RULE, Order, ordered
from thalweg.reproduce.gravity.evidence import Evidence
from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import Judged, Statement, all_judged


def judged(records: Records) -> list[Judged]:
    """What the records say of each."""
    return all_judged(STATEMENTS, Evidence(records))


def _more(quantity: str, *others: str, method: str = "gravity") -> Order:
    return Order(method, "more", quantity, others or ("adam", "rmsprop"))


def _less(quantity: str, *others: str, method: str = "gravity") -> Order:
    return Order(method, "less", quantity, others or ("adam", "rmsprop"))


STATEMENTS: tuple[Statement[Evidence], ...] = (
    Statement(
        "another algorithm", "abstract",
        "We introduce Gravity, another algorithm for gradient-based optimization",
        "over all data sets, networks and seeds its best accuracy differs from that of EMA momentum with the same "
        "beta-hat and random start; not where the 95 % interval of the difference is within a point",
        by_trials.another_algorithm,
    ),
    Statement(
        "no tuning", "3.3",
        "there was no need to tune hyper-parameters to get better results",
        "at its defaults it is nowhere clearly behind Adam or RMSprop at their hand-picked rates, and in the fair race "
        "nowhere worse than Gravity tuned, nor than Adam or RMSprop tuned; in part where some of the three",
        by_trials.no_tuning,
    ),
    Statement(
        "steadier", "abstract",
        "the Gravity optimizer has more stable performance than Adam and RMSProp",
        "over the last half of the epochs its validation loss oscillates clearly less than that of both, over all "
        "data sets, networks and seeds, by the mean absolute second difference as a share of the loss; in part where "
        "less than one and more than the other, or only in the mean; not where more than one and clearly less than "
        "none",
        by_trials.steadier,
    ),
    Statement(
        "many classes", "abstract",
        "give greater values of validation accuracy for datasets with more output classes like CIFAR-100 (Fine)",
        "in the authors' own histories its best validation accuracy is above that of both others in all four figures "
        "of more than ten classes, and our trials clearly show the same; undecided where only the histories have it; "
        "in part where they do in some",
        by_histories.many_classes,
    ),
    Statement(
        "limits steps", "2.3",
        "It is necessary to limit ΔW for weights with large values of g to avoid divergence",
        "training stays finite, and learns, up to a larger learning rate with the damping than without it and than by "
        "gradient descent, on both problems; in part where in some of these",
        by_parts.avoids_divergence,
    ),
    Statement(
        "choice of m", "2.3",
        "we suggest selecting m as follows",
        "tuned by one budget, some other choice of m, or no m, is worse than 1/max|G|, and none is better; in part "
        "where some are better and some worse; not where some are better and none worse, or all are equivalent",
        by_parts.choice_of_m,
    ),
    Statement(
        "best beta", "2.4",
        "we finally found that the optimal value for β was 0.9 in most cases",
        "0.9 is the best in the authors' own runs by beta, and has the lowest loss in both of ours; in part where in "
        "some",
        by_parts.beta_of_0_9,
    ),
    Statement(
        "initial delay", "2.4",
        "there were still some delays. To solve this problem, we propose an alternative value for β",
        "from V = 0 the training loss is lower by a tenth after clearly fewer steps with beta-hat than with beta, on "
        "both networks; in part where on one; not where after clearly more on one and clearly fewer on none",
        by_parts.initial_delay,
    ),
    Statement(
        "overflow", "2.4",
        "We tried to use bias correction but in large values of β (closer to 1) we encountered overflow",
        "in float32 equation 25 overflows for a beta up to 0.9999, as it is printed and as Adam has it; in part where "
        "in one of the two readings",
        by_parts.overflow,
    ),
    Statement(
        "start noise", "2.4",
        "another solution for increasing the speed of the Gravity optimizer at early steps by using non-zero initial V",
        "the training loss of the first epoch is clearly lower with the random start than without, on all data sets "
        "and networks on which either learns; in part where on some; not where clearly higher on some and lower on "
        "none",
        by_trials.start_noise,
    ),
    Statement(
        "MNIST, VGG16", "4.1.1",
        "Adam shows more validation accuracy and Gravity has lower validation loss",
        RULE,
        ordered("mnist", "vgg16", _more("final_accuracy", "gravity", method="adam"), _less("final_loss", "adam")),
    ),
    Statement(
        "MNIST, VGG19", "4.1.2",
        "Gravity has the least loss in validation loss and shows more accuracy in validation accuracy",
        RULE,
        ordered("mnist", "vgg19", _less("final_loss"), _more("final_accuracy"), _more("best_accuracy")),
    ),
    Statement(
        "Fashion-MNIST, VGG16", "4.2.1",
        "the main comparison between optimizers should be about training loss, it can be seen in Fig. 12 that the "
        "gravity optimizer has a better result than Adam",
        RULE,
        ordered("fashion_mnist", "vgg16", _less("final_train_loss", "adam")),
    ),
    Statement(
        "CIFAR-10, VGG16", "4.3.1",
        "Results of the Gravity in validation accuracy shows its better performance in generalization than the others",
        RULE,
        ordered("cifar10", "vgg16", _more("final_accuracy"), _more("best_accuracy")),
    ),
    Statement(
        "Adam's loss on CIFAR-10", "4.3.1",
        "Adam did a better job in reducing validation loss",
        RULE,
        ordered("cifar10", "vgg16", _less("final_loss", "gravity", method="adam"),
                _less("lowest_loss", "gravity", method="adam")),
    ),
    Statement(
        "RMSprop on CIFAR-100 (coarse)", "4.4.1",
        "RMSProp behaves worse than the other two optimizers",
        RULE,
        ordered("cifar100_coarse", "vgg16", _more("final_loss", "gravity", "adam", method="rmsprop"),
                _less("final_accuracy", "gravity", "adam", method="rmsprop")),
    ),
    Statement(
        "CIFAR-100 (coarse), VGG19", "4.4.2",
        "Gravity showed better behavior than two others, reaching less train loss and more train accuracy. There is a "
        "big difference between Gravity and Adam in validation accuracy",
        RULE,
        ordered("cifar100_coarse", "vgg19", _less("final_train_loss"), _more("final_train_accuracy"),
                _more("final_accuracy", "adam")),
    ),
    Statement(
        "CIFAR-100 (fine), VGG16", "4.5.1",
        "less value for validation loss, more value for validation accuracy, and the faster speed in increasing "
        "validation accuracy",
        RULE,
        ordered("cifar100_fine", "vgg16", _less("final_loss"), _more("final_accuracy"), _more("first_accuracy")),
    ),
    Statement(
        "CIFAR-100 (fine), VGG19", "4.5.2",
        "further reducing validation loss compared to others, faster increasing for validation accuracy, and achieving "
        "more validation accuracy",
        RULE,
        ordered("cifar100_fine", "vgg19", _less("lowest_loss"), _more("first_accuracy"), _more("final_accuracy")),
    ),
    Statement(
        "beyond vision", "5",
        "using the Gravity for problems other than computer vision such as sequence models and NLP is suggested",
        "tuned by one budget, it is worse than Adam on no sequence task that anybody learns, and better or equivalent "
        "on more than half of them; in part where it is worse on up to half",
        by_parts.beyond_vision,
    ),
)  # fmt: skip
