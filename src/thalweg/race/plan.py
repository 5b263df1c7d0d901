"""The plan of a race on one task, in rounds: tuning by independent studies, then the final trials."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.race.method import Method
from thalweg.race.record import Record, Value
from thalweg.race.result import Draw, Protocol, Study
from thalweg.race.sampling import next_draws
from thalweg.race.seeds import Seed, final_seed, tuning_seed
from thalweg.race.store import Cell
from thalweg.race.trial import FINAL, TUNING, Trial

Records = Mapping[str, Record]
# A plan asks for the trials of a round, is sent their records by key, and ends with the cells by method.
Plan = Generator[list[Trial], Records, dict[str, Cell]]


def plan(task: str, fingerprint: str, methods: Sequence[Method], protocol: Protocol) -> Plan:
    """What has to be run on a task, round by round. It has no data, so it cannot look at a test part.

    In each round of tuning every study of every method tries its next settings, all on the study's own seed; then the
    best three of each on further seeds; then each method runs on the final seeds. Which trials there are follows from
    the protocol and from the records alone, never from the time at which they came.
    """

    def trial(method: Method, hyperparameters: Mapping[str, Value], seed: Seed, role: str) -> Trial:
        return Trial(method.at(hyperparameters), fingerprint, seed, role)

    studies = [_Growing(method, index) for method in methods for index in range(protocol.studies)]

    def seed_of(study: _Growing, repeat: int) -> Seed:
        return tuning_seed(protocol.master, task, study.index * (1 + protocol.repeats) + repeat)

    while asked := [(study, draws) for study in studies if (draws := study.asks(protocol))]:
        trials = [[trial(study.method, draw, seed_of(study, 0), TUNING) for draw in draws] for study, draws in asked]
        records = yield [one for row in trials for one in row]
        for (study, draws), row in zip(asked, trials, strict=True):
            study.draws += [Draw(draw, (records[one.key],)) for draw, one in zip(draws, row, strict=True)]

    again = [(study, place) for study in studies for place in study.best(protocol.finalists)]
    rows = [
        [
            trial(study.method, study.draws[place].hyperparameters, seed_of(study, repeat), TUNING)
            for repeat in range(1, 1 + protocol.repeats)
        ]
        for study, place in again
    ]
    if again:
        records = yield [one for row in rows for one in row]
        for (study, place), row in zip(again, rows, strict=True):
            draw = study.draws[place]
            further = tuple(records[one.key] for one in row)
            study.draws[place] = Draw(draw.hyperparameters, (*draw.records, *further))

    done = {m.name: [Study(s.index, tuple(s.draws)) for s in studies if s.method is m] for m in methods}
    finals = {
        method.name: [
            trial(
                method,
                done[method.name][rep % protocol.studies].chosen.hyperparameters,
                final_seed(protocol.master, task, rep),
                FINAL,
            )
            for rep in range(protocol.seeds)
        ]
        for method in methods
    }
    records = (yield [one for row in finals.values() for one in row]) if protocol.seeds else {}
    return {name: (tuple(done[name]), tuple(records[one.key] for one in row)) for name, row in finals.items()}


@dataclass
class _Growing:
    """A study that is under way."""

    method: Method
    index: int
    draws: list[Draw] = field(default_factory=list)

    def asks(self, protocol: Protocol) -> list[Mapping[str, Value]]:
        """The settings to try next; none once there are enough."""
        return next_draws(
            self.method.space,
            self.method.hyperparameters,
            sampler=protocol.sampler,
            seed=_sampler_seed(protocol.master, self.index),
            draws=protocol.draws,
            history=[(draw.hyperparameters, None if draw.diverged else draw.score) for draw in self.draws],
        )

    def best(self, count: int) -> list[int]:
        """The places of the best draws, the first of equals first."""
        ranked = sorted(range(len(self.draws)), key=lambda i: (-self.draws[i].score, self.draws[i].loss, i))
        return sorted(ranked[:count])


def _sampler_seed(master: int, study: int) -> int:
    return int(np.random.SeedSequence([master, study]).generate_state(1)[0])
