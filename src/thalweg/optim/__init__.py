"""Rules as `torch.optim.Optimizer`s: `RuleOptimizer` for any, and a class for each that has a published name.

For many networks at once there is `StackedOptimizer`, and for `torch.func` the pure functions of `functional(rule)`.
"""

from thalweg.optim.functional import Functional, functional
from thalweg.optim.named import (
    ADES,
    SGD,
    AdaBelief,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    EMAMomentum,
    Gravity,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    Sign,
    Signum,
    Yogi,
)
from thalweg.optim.optimizer import Plan, RuleOptimizer
from thalweg.optim.stacked import StackedOptimizer

__all__ = [
    "ADES",
    "SGD",
    "AdaBelief",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "EMAMomentum",
    "Functional",
    "Gravity",
    "Lion",
    "NAdam",
    "Plan",
    "RAdam",
    "RMSprop",
    "Rprop",
    "RuleOptimizer",
    "Sign",
    "Signum",
    "StackedOptimizer",
    "Yogi",
    "functional",
]
