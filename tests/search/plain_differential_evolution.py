"""Differential evolution one number at a time, in nested lists: what `test_differential_evolution.py` is held to.

Random numbers are drawn from a generator of the same seed, in the same order.
"""

import math

import torch

from thalweg.search.draws import Draws

LOW, HIGH = -5.0, 5.0
SEED = 3


class Population:
    """Members x of fitness f in nested lists, [run][member]; what the family has in common."""

    def __init__(self, function, population):
        self.function, self.runs, self.dim = function, range(function.runs), range(function.dim)
        self.draws = Draws([torch.Generator().manual_seed(SEED)], function.runs, torch.float64, torch.device("cpu"))
        drawn = self.uniform(population, function.dim)
        self.x = [[[LOW + u * (HIGH - LOW) for u in x] for x in run] for run in drawn]
        self.f = self.evaluated(self.x)
        self.seen = [torch.tensor(self.x, dtype=torch.float64)]
        self.repairs = 0

    @property
    def members(self):
        return range(len(self.x[0]))

    def uniform(self, *shape):
        return self.draws.uniform(*shape).tolist()

    def integers(self, high):
        return self.draws.integers(high, len(self.members)).tolist()

    def evaluated(self, x):
        return self.function(torch.tensor(x, dtype=torch.float64)).tolist()

    def crossed(self, mutants, crossover):
        """Trials; `crossover` of a run and a member."""
        u = self.uniform(len(self.members), len(self.dim))
        sure = self.draws.integers(len(self.dim), len(self.members), 1).tolist()
        trials = [[list(x) for x in run] for run in self.x]
        for run in self.runs:
            for i in self.members:
                for d in self.dim:
                    value, parent = mutants[run][i][d], self.x[run][i][d]
                    if not LOW <= value <= HIGH:
                        value = ((LOW if value < LOW else HIGH) + parent) / 2
                        self.repairs += 1
                    if u[run][i][d] < crossover(run, i) or d == sure[run][i][0]:
                        trials[run][i][d] = value
        self.seen.append(torch.tensor(trials, dtype=torch.float64))
        return trials

    def select(self, trials, values):
        for run in self.runs:
            for i in self.members:
                if values[run][i] <= self.f[run][i]:
                    self.x[run][i], self.f[run][i] = trials[run][i], values[run][i]


def left_over(drawn, taken):
    """The drawn-th of the numbers 0, 1, ... that are not taken."""
    for number in range(drawn + len(taken) + 1):
        if number not in taken:
            if drawn == 0:
                return number
            drawn -= 1
    raise AssertionError


def plain_de(population, generations, weight=0.5, crossover=0.9):
    count = len(population.members)
    for _ in range(generations - 1):
        first, second, third = (population.integers(count - taken) for taken in (1, 2, 3))
        mutants = [[None] * count for _ in population.runs]
        for run in population.runs:
            x = population.x[run]
            for i in population.members:
                steps = []
                for drawn in (first, second, third):
                    steps.append(left_over(drawn[run][i], steps))
                a, b, c = (x[(i + 1 + step) % count] for step in steps)
                mutants[run][i] = [a[d] + weight * (b[d] - c[d]) for d in population.dim]
        trials = population.crossed(mutants, lambda run, i: crossover)
        population.select(trials, population.evaluated(trials))


class Adaptive(Population):
    """JADE, or with a memory of so many pairs SHADE, which with a budget loses members."""

    def __init__(self, function, population, best, archive, memory=None, rate=0.1, budget=None):
        super().__init__(function, population)
        self.best, self.rate, self.budget, self.first = best, rate, budget, population
        self.share, self.archive = archive, [[] for _ in self.runs]
        self.centres = [[[0.5, 0.5] for _ in range(memory or 1)] for _ in self.runs]
        self.learns_by_gain, self.oldest = memory is not None, [0 for _ in self.runs]
        self.spent, self.overwritten, self.from_archive = population, 0, 0
        self.reduce()

    def elite(self):
        return max(2 if self.learns_by_gain else 1, round(self.best * len(self.members)))

    def generation(self):
        count = len(self.members)
        which = self.integers(len(self.centres[0])) if self.learns_by_gain else [[0] * count for _ in self.runs]
        normal, u = self.draws.normal(count, 1).tolist(), self.uniform(count, 1)
        places, ones, others = self.integers(self.elite()), self.integers(count - 1), self.integers(1 << 40)
        used, mutants = ([[None] * count for _ in self.runs] for _ in range(2))
        for run in self.runs:
            x, ranked = self.x[run], sorted(self.members, key=lambda i: self.f[run][i])
            for i in self.members:
                f, cr = self.centres[run][which[run][i]]
                below = 0.5 - math.atan(f / 0.1) / math.pi  # the probability that a Cauchy number is not above 0
                f = min(1.0, f + 0.1 * math.tan(math.pi * (below + (1 - below) * u[run][i][0] - 0.5)))
                cr = min(1.0, max(0.0, cr + 0.1 * normal[run][i][0])) if cr >= 0 else 0.0
                one = left_over(ones[run][i], [i])
                known = x + self.archive[run]
                other = left_over(others[run][i] % (len(known) - 2), [i, one])
                self.from_archive += other >= count
                a, b, best = x[one], known[other], x[ranked[places[run][i]]]
                mutants[run][i] = [x[i][d] + f * (best[d] - x[i][d]) + f * (a[d] - b[d]) for d in self.dim]
                used[run][i] = f, cr
        trials = self.crossed(mutants, lambda run, i: used[run][i][1])
        values = self.evaluated(trials)
        self.keep(values)
        for run in self.runs:
            before, after = self.f[run], values[run]
            self.learn(run, [(*used[run][i], before[i] - after[i]) for i in self.members if after[i] < before[i]])
        self.select(trials, values)
        self.spent += count
        self.reduce()

    def room(self):
        return round(self.share * len(self.members))

    def keep(self, values):
        keys = self.uniform(self.room())
        for run in self.runs:
            archive = self.archive[run]
            full = iter(sorted(range(len(archive)), key=lambda place: keys[run][place]))
            for i in self.members:
                if values[run][i] < self.f[run][i]:
                    if len(archive) < self.room():
                        archive.append(self.x[run][i])
                    else:
                        archive[next(full)] = self.x[run][i]
                        self.overwritten += 1

    def learn(self, run, succeeded):
        if not succeeded:
            return
        weights = [gain if self.learns_by_gain else 1.0 for _, _, gain in succeeded]

        def lehmer(k):
            total = sum(w * s[k] for w, s in zip(weights, succeeded, strict=True))
            return sum(w * s[k] ** 2 for w, s in zip(weights, succeeded, strict=True)) / total if total else 0.0

        if self.learns_by_gain:
            before = self.centres[run][self.oldest[run]]
            self.centres[run][self.oldest[run]] = [lehmer(0), lehmer(1) if before[1] > 0 and lehmer(1) > 0 else -1.0]
            self.oldest[run] = (self.oldest[run] + 1) % len(self.centres[run])
        else:
            f, cr = self.centres[run][0]
            means = lehmer(0), sum(s[1] for s in succeeded) / len(succeeded)
            self.centres[run][0] = [(1 - self.rate) * c + self.rate * m for c, m in zip((f, cr), means, strict=True)]

    def reduce(self):
        if self.budget is None:
            return
        count = round(self.first + (4 - self.first) * min(1.0, self.spent / self.budget))
        if count < len(self.members):
            members = self.members
            for run in self.runs:
                stay = sorted(members, key=lambda i: self.f[run][i])[:count]
                self.x[run], self.f[run] = [self.x[run][i] for i in stay], [self.f[run][i] for i in stay]
            for archive in self.archive:
                del archive[self.room() :]
