"""The virtual machine: updates of a whole generation of candidates in one call, with nothing compiled for any."""

from thalweg.evolve.machine.machine import Machine

__all__ = ["Machine"]
