"""Search without gradients: strategies that ask and are told, and what is built on them."""

from thalweg.search.algorithm import Algorithm
from thalweg.search.catalogue import names
from thalweg.search.spaces import Bits, Box, Choices, Orders
from thalweg.search.strategy import Best, Strategy

__all__ = ["Algorithm", "Best", "Bits", "Box", "Choices", "Orders", "Strategy", "names"]
