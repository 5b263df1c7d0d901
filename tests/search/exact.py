"""A knapsack and a tour whose best answers are known by exact methods, and how long a strategy takes to them."""

import math

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp

from thalweg.search import Bits, Orders


class Knapsack:
    """Items as Han and Kim (2002) draw them, weights of 1 to 10 and profits 5 above, with room for half of the weight.

    What is asked is repaired before it is valued: while it is too heavy, the item of the least profit per weight is
    taken out; then, in the order of profit per weight, items are put in as long as they fit (Michalewicz's greedy
    repair). The strategy is told the repaired points.
    """

    def __init__(self, items=100, seed=0):
        random = np.random.default_rng(seed)
        weights = np.sort(random.integers(1, 11, items))  # the lightest first, which are worth the most per weight
        self.place = torch.from_numpy(random.permutation(items))  # of each of them in a point
        self.weights, self.space = torch.from_numpy(weights).double(), Bits(items)
        self.profits, self.room = self.weights + 5, int(weights.sum()) // 2
        most = np.zeros(self.room + 1)  # by the room that there is
        for weight, profit in zip(weights.tolist(), self.profits.tolist(), strict=True):
            most[weight:] = np.maximum(most[weight:], most[:-weight] + profit)
        self.lowest = -float(most[-1])

    def repaired(self, x):
        x = x[..., self.place]
        taken = x * ((x * self.weights).cumsum(-1) <= self.room)
        room = self.room - (taken * self.weights).sum(-1, keepdim=True)
        others = (1 - taken) * self.weights
        taken = taken + (1 - taken) * (others.cumsum(-1) <= room)
        return torch.zeros_like(x).index_copy_(-1, self.place, taken)

    def __call__(self, x):
        x = x[..., self.place]
        assert ((x @ self.weights) <= self.room).all()
        return -(x @ self.profits)


class Tour:
    """Cities in the unit square."""

    def __init__(self, cities=30, seed=0):
        self.places, self.space = np.random.default_rng(seed).random((cities, 2)), Orders(cities)
        self.distances = torch.cdist(*[torch.from_numpy(self.places)] * 2, compute_mode="donot_use_mm_for_euclid_dist")

    @property
    def lowest(self):
        """By the whole-number program of Dantzig, Fulkerson and Johnson (1954): two edges at each city, and of cities
        that turn out to be a tour by themselves fewer edges than they are."""
        cities = len(self.places)
        pairs = [(a, b) for a in range(cities) for b in range(a)]
        costs = [float(self.distances[pair]) for pair in pairs]
        rules = [LinearConstraint([[city in pair for pair in pairs] for city in range(cities)], 2, 2)]
        while True:
            answer = milp(costs, integrality=np.ones(len(pairs)), bounds=Bounds(0, 1), constraints=rules)
            parts = {city: {city} for city in range(cities)}
            for (a, b), taken in zip(pairs, answer.x, strict=True):
                if taken > 0.5:
                    parts[a] |= parts[b]
                    parts.update(dict.fromkeys(parts[a], parts[a]))
            if len(parts[0]) == cities:
                return answer.fun
            for part in {frozenset(part) for part in parts.values()}:
                rules.append(LinearConstraint([part.issuperset(pair) for pair in pairs], -math.inf, len(part) - 1))

    def repaired(self, x):
        return x

    def __call__(self, x):
        order = x.long()
        return self.distances[order, order.roll(-1, dims=-1)].sum(-1)


def evaluations_to_the_best(strategy, problem, most):
    """The evaluations of each run by which it had the best there is, inf where it had not within `most`."""
    lowest = problem.lowest + 1e-9
    hit = torch.full((strategy.problem.runs,), math.inf)
    while bool(hit.isinf().any()) and int(strategy.evals.max()) < most:
        x = problem.repaired(strategy.ask())
        values = problem(x)
        strategy.tell(values, x=x)
        there = (values.min(1).values <= lowest) & hit.isinf()
        hit = torch.where(there, strategy.evals.to(hit.dtype), hit)
        strategy.park(there)
    return hit
