"""Search without gradients: strategies that ask and are told, and what is built on them."""

from thalweg.search.algorithm import Algorithm
from thalweg.search.catalogue import names
from thalweg.search.functions.minimize import minimize
from thalweg.search.functions.refine import LBFGS, Descent
from thalweg.search.functions.restarts import BIPOP, IPOP
from thalweg.search.functions.result import History, SearchResult
from thalweg.search.networks.bandit import Bandit
from thalweg.search.networks.es_gradient import ESGradient
from thalweg.search.networks.generations import Generation
from thalweg.search.networks.hybrids import InformedMutation, Memetic, ThenGradient
from thalweg.search.networks.policies import EpisodeReturn, mean_return
from thalweg.search.networks.policy_gradient import LearningCurve, PolicyGradient
from thalweg.search.networks.population import Population
from thalweg.search.networks.quantised import quantised
from thalweg.search.networks.trainers import ESDescent, Generations, Trainer
from thalweg.search.networks.training import TrainingResult, train_without_gradients
from thalweg.search.progress import Progress
from thalweg.search.spaces import Bits, Box, Choices, Orders
from thalweg.search.strategy import Best, Strategy

__all__ = [
    "BIPOP",
    "IPOP",
    "LBFGS",
    "Algorithm",
    "Bandit",
    "Best",
    "Bits",
    "Box",
    "Choices",
    "Descent",
    "ESDescent",
    "ESGradient",
    "EpisodeReturn",
    "Generation",
    "Generations",
    "History",
    "InformedMutation",
    "LearningCurve",
    "Memetic",
    "Orders",
    "PolicyGradient",
    "Population",
    "Progress",
    "SearchResult",
    "Strategy",
    "ThenGradient",
    "Trainer",
    "TrainingResult",
    "mean_return",
    "minimize",
    "names",
    "quantised",
    "train_without_gradients",
]
