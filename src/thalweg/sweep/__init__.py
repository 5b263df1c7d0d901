"""Position-wise training: sweeps over the blocks of a network, and layer-wise learning rates, which they reduce to."""

from thalweg.sweep.blocks import propose_blocks
from thalweg.sweep.costs import block_costs, nested_cost, plain_cost, stochastic_cost
from thalweg.sweep.optimizers import layerwise_lr
from thalweg.sweep.position_wise import PositionWise

__all__ = [
    "PositionWise",
    "block_costs",
    "layerwise_lr",
    "nested_cost",
    "plain_cost",
    "propose_blocks",
    "stochastic_cost",
]
