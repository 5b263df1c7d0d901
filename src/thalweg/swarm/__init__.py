"""Swarms: particle updates, and gradients of losses that have no derivative."""

from thalweg.swarm.adaswarm import AdaSwarm
from thalweg.swarm.descent import Descent, swarm_descent
from thalweg.swarm.distance import DistanceToLabel
from thalweg.swarm.estimators import SPSA, CentralDifferences, EvolutionStrategy, SmoothSurrogate
from thalweg.swarm.gradient import SwarmGradient
from thalweg.swarm.minimize import Minimum, empso_minimize
from thalweg.swarm.objective import unreduced
from thalweg.swarm.outputs import OutputGradient
from thalweg.swarm.particles import EMPSO, MPSO, PSO, REMPSO, VARIANTS, EMPSOAlgorithm1, Particles

__all__ = [
    "EMPSO",
    "MPSO",
    "PSO",
    "REMPSO",
    "SPSA",
    "VARIANTS",
    "AdaSwarm",
    "CentralDifferences",
    "Descent",
    "DistanceToLabel",
    "EMPSOAlgorithm1",
    "EvolutionStrategy",
    "Minimum",
    "OutputGradient",
    "Particles",
    "SmoothSurrogate",
    "SwarmGradient",
    "empso_minimize",
    "swarm_descent",
    "unreduced",
]
