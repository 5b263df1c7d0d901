"""The methods that are a rule of the gallery and something around it: gradients from elsewhere than autograd, or steps
of one block after another."""

from dataclasses import dataclass

from thalweg.race.sweeping import Sweeping
from thalweg.race.through import Through

ADASWARM = (
    "Mohapatra et al., AdaSwarm: augmenting gradient-based optimizers in deep learning with swarm intelligence, IEEE "
    "Transactions on Emerging Topics in Computational Intelligence 6, 2022"
)
SWARM = {"particles": 10, "iterations": 20, "span": 1.0}
POSITION_WISE = "Valizadeh, Position-wise optimizer: a nature-inspired optimization algorithm, 2022"
ESTIMATOR = {"evaluations": 200, "sigma": 0.1}  # as many as the swarm's 10 particles take in 20 iterations


@dataclass(frozen=True)
class Composed:
    """A rule of the gallery, what it is fed with where that is not autograd, and how blocks are stepped where that is
    not at once."""

    rule: str
    through: Through | None
    title: str
    source: str
    ablations: tuple[str, ...] = ()
    sweep: Sweeping | None = None


_BY_CHANCE = Through("SwarmGradient", SWARM, ("span",), {"coeff": "paper"})
_BEST = Through("SwarmGradient", SWARM, ("span",))
_FITTED = Through("SwarmGradient", SWARM, ("span",), {"coeff": "fitted"})
_LABEL = Through("DistanceToLabel")

COMPOSED: dict[str, Composed] = {
    "adaswarm": Composed(
        "adam",
        _BY_CHANCE,
        "Adam on swarm gradients",
        ADASWARM,
        ("adam", "adam_label_distance", "adam_best_distance"),
    ),
    "adaswarm_fitted": Composed(
        "adam", _FITTED, "Adam on swarm gradients of the loss's own curvature", ADASWARM, ("adam",)
    ),
    "adam_best_distance": Composed("adam", _BEST, "Adam on the squared distance to the swarm's best", ADASWARM),
    "adam_label_distance": Composed("adam", _LABEL, "Adam on the squared distance to the label", ADASWARM),
    "swarm_sgd": Composed(
        "sgd",
        _BY_CHANCE,
        "gradient descent on swarm gradients",
        ADASWARM,
        ("sgd", "sgd_label_distance", "sgd_best_distance"),
    ),
    "sgd_best_distance": Composed(
        "sgd", _BEST, "gradient descent on the squared distance to the swarm's best", ADASWARM
    ),
    "sgd_label_distance": Composed("sgd", _LABEL, "gradient descent on the squared distance to the label", ADASWARM),
    "output_spsa": Composed(
        "adam",
        Through("SPSA", ESTIMATOR, ("sigma",)),
        "Adam on SPSA's estimate of the gradient with respect to the outputs",
        "Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient approximation, IEEE "
        "Transactions on Automatic Control 37, 1992",
    ),
    "output_es": Composed(
        "adam",
        Through("EvolutionStrategy", ESTIMATOR, ("sigma",)),
        "Adam on an evolution strategy's estimate of the gradient with respect to the outputs",
        "Nesterov and Spokoiny, Random gradient-free minimization of convex functions, Foundations of Computational "
        "Mathematics 17, 2017",
    ),
    "output_differences": Composed(
        "adam",
        Through("CentralDifferences", ESTIMATOR, ("sigma",)),
        "Adam on central differences with respect to the outputs",
        "Kiefer and Wolfowitz, Stochastic estimation of the maximum of a regression function, Annals of Mathematical "
        "Statistics 23, 1952",
    ),
    "cross_entropy_surrogate": Composed(
        "adam",
        Through("SmoothSurrogate", {"temperature": 1.0}, ("temperature",), {"surrogate": "cross_entropy"}),
        "Adam on cross entropy in place of another loss of classes",
        "",
    ),
    "smooth_surrogate": Composed(
        "adam",
        Through("SmoothSurrogate", {"temperature": 1.0}, ("temperature",)),
        "Adam on a smooth loss in place of one made of steps",
        "",
    ),
    "position_wise": Composed(
        "sgd",
        None,
        "gradient descent in nested sweeps: the last block is updated L times, the first once",
        POSITION_WISE,
        ("sgd", "layerwise_sgd"),
        Sweeping("nested"),
    ),
    "position_wise_stochastic": Composed(
        "sgd",
        None,
        "gradient descent of the blocks from a drawn one on, for less than a plain step",
        "",
        ("sgd", "layerwise_sgd"),
        Sweeping("stochastic"),
    ),
    "layerwise_sgd": Composed(
        "sgd",
        None,
        "gradient descent at learning rates that are 1, 2, ..., L times as large, block by block",
        "",
        ("sgd",),
        Sweeping("layerwise"),
    ),
    "position_wise_adam": Composed(
        "adam",
        None,
        "Adam in nested sweeps: the last block is updated L times, the first once",
        POSITION_WISE,
        ("adam", "layerwise_adam"),
        Sweeping("nested"),
    ),
    "position_wise_stochastic_adam": Composed(
        "adam",
        None,
        "Adam on the blocks from a drawn one on, for less than a plain step",
        "",
        ("adam", "layerwise_adam"),
        Sweeping("stochastic"),
    ),
    "layerwise_adam": Composed(
        "adam",
        None,
        "Adam at learning rates that are 1, 2, ..., L times as large, block by block",
        "",
        ("adam",),
        Sweeping("layerwise"),
    ),
    "position_wise_adaswarm": Composed(
        "adam",
        _BY_CHANCE,
        "Adam on swarm gradients in nested sweeps",
        POSITION_WISE + "; future work named there",
        ("adaswarm", "position_wise_adam"),
        Sweeping("nested"),
    ),
}
