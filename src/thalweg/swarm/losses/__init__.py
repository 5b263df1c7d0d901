"""Losses that have no useful gradient, each beside the smooth loss that a practitioner would train on instead.

>>> import torch
>>> outputs, targets = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([1, 1])
>>> ZeroOneLoss()(outputs, targets).item()
0.5
>>> [round(ZeroOneLoss().smooth(outputs, targets, temperature).item(), 3) for temperature in (1.0, 0.3, 0.1)]
[0.425, 0.483, 0.5]
"""

from thalweg.swarm.losses.base import HardLoss, Level, SeparableLoss
from thalweg.swarm.losses.classes import AUCLoss, F1Loss, StepCost, ZeroOneLoss
from thalweg.swarm.losses.values import DeadZoneCost, QuantileLoss
from thalweg.swarm.losses.wrapped import BlackBox, Quantised

__all__ = [
    "AUCLoss",
    "BlackBox",
    "DeadZoneCost",
    "F1Loss",
    "HardLoss",
    "Level",
    "QuantileLoss",
    "Quantised",
    "SeparableLoss",
    "StepCost",
    "ZeroOneLoss",
]
