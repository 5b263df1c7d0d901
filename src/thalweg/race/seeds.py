"""Where every random number of a race comes from: one stream a purpose, none of them the method's but its own."""

import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

TUNING_REPS_START = 1_000_000


class Stream(IntEnum):
    """The purposes of a seed. The numbers are part of the protocol: a new purpose takes a new one (3 is kept for
    augmentation). Only OPTIMIZER and CANDIDATES may be read differently by different methods."""

    SPLIT = 0
    INIT = 1
    ORDER = 2
    DROPOUT = 4
    OPTIMIZER = 5
    CANDIDATES = 6  # outputs that swarms and estimators try
    STARTS = 7  # the blocks from which stochastic sweeps train


@dataclass(frozen=True)
class Seed:
    """The repetition `rep` of a task under a master seed. It knows nothing of the method, so methods are paired."""

    master: int
    task: str
    rep: int

    def generator(self, stream: Stream) -> torch.Generator:
        """A fresh torch generator for one purpose."""
        # The task enters by its name alone, so that its numbers do not depend on which other tasks are raced.
        task_id = zlib.crc32(self.task.encode())
        sequence = np.random.SeedSequence([self.master, task_id, self.rep, stream])
        return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


def final_seed(master: int, task: str, index: int) -> Seed:
    """The seed of a final trial, `index` from 0."""
    return Seed(master, task, index)


def tuning_seed(master: int, task: str, index: int) -> Seed:
    """The seed of a tuning trial, `index` from 0: never that of a final trial."""
    return Seed(master, task, TUNING_REPS_START + index)
