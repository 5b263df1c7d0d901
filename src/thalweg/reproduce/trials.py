"""Trials by a paper's own protocol: a network trained by itself, epoch by epoch, and many by several workers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from thalweg.race import engine
from thalweg.race.alone import Alone
from thalweg.race.seeds import Seed, Stream
from thalweg.race.training import batch_order
from thalweg.reproduce.paper import Tell

Wanted = TypeVar("Wanted", bound=Hashable)


def trained(team: Alone, batch: int, epochs: int, seed: Seed) -> Iterator[int]:
    """Trains it, in the seed's order of examples; after each epoch, from 1, whoever iterates may look at it."""
    ones, active = np.ones(1), np.ones(1, dtype=np.bool_)
    orders = batch_order(len(team.trial.workload.train), epochs, seed.generator(Stream.ORDER))
    for epoch, order in enumerate(orders, start=1):
        for rows in order.split(batch):
            team.step(rows.unsqueeze(0), ones, active)
        yield epoch


def all_of(
    wanted: Sequence[Wanted], run: Callable[[Wanted], dict[str, Any]], workers: int, tell: Tell, title: str
) -> dict[Wanted, dict[str, Any]]:
    """What each trial comes to, in the order wanted. Raises what a trial raises."""
    found: dict[Wanted, dict[str, Any]] = {}
    with engine.executor(None, workers) as pool:
        pending = {pool.submit(run, trial): trial for trial in wanted}
        while pending:
            for future in engine.completed(pending):
                found[pending.pop(future)] = future.result()
                tell(f"{title}: {len(found)} of {len(wanted)} trials")
    return {trial: found[trial] for trial in wanted}
