"""Rules as `torch.optim.Optimizer`s."""

from thalweg.optim.optimizer import RuleOptimizer

__all__ = ["RuleOptimizer"]
