"""What the survey says of gradients, metaheuristics and hybrids, sentence by sentence.

A statement is words, so each has a rule by which it is judged: what is measured, and from where on it holds.
"""

from __future__ import annotations

from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import NOT_MEASURED, Judged, Judgement, Statement, all_judged
from thalweg.reproduce.survey import judges
from thalweg.reproduce.survey.evidence import Evidence

ANNEALING = ("sa", "gsa")
DIFFERENTIAL = ("de", "jade", "shade")


STATEMENTS: tuple[Statement[Evidence], ...] = (
    Statement(
        "fast start", "V, convergence",
        "Gradient-based optimization methods, such as SGD and its variants, typically exhibit fast initial convergence",
        "after a tenth of the passes the lowest mean training loss is a gradient method's: holds on more than 90 % of "
        "the networks where that has room for a generation of 50, in part on more than half",
        judges.fast_start,
    ),
    Statement(
        "local minima", "V, convergence",
        "they may struggle to escape local minima",
        "on functions with many minima the better descent solves less than half as many runs as the best "
        "metaheuristic; undecided where nobody solves any",
        judges.local_minima,
    ),
    Statement(
        "learning rate", "V, convergence",
        "and can be sensitive to the choice of learning rate",
        "of the drawn rates within a decade of the best one, that itself left out, the median loses more than 5 points "
        "of validation accuracy to it; only networks where the best is more than 5 points above random search's count",
        judges.learning_rate,
    ),
    Statement(
        "robust", "V, convergence",
        "metaheuristic optimization algorithms, such as GA and PSO, often provide more robust convergence properties",
        "they lose less than gradients by the setting (learning rates or scales within a decade of the best drawn, "
        "where that is more than 5 points above random search's), and spread less over seeds; in part where one of "
        "the two",
        judges.robust,
    ),
    Statement(
        "less stuck", "V, convergence",
        "They are less likely to get stuck in local minima",
        "more than half of them solve more runs than the better descent where minima are many; in part where any does, "
        "undecided where nobody solves any",
        judges.less_stuck,
    ),
    Statement(
        "more iterations", "V, convergence",
        "but may require more iterations to converge to a solution",
        "where there is one minimum, the quickest takes more passes than the quickest gradient method on more than "
        "90 % of the functions that both solve, in part on any",
        judges.more_iterations,
    ),
    Statement(
        "efficient", "V, efficiency",
        "Gradient-based optimization methods are computationally efficient",
        "at equal passes metaheuristics are worse than Adam in more than three comparisons of four; in part where they "
        "are worse more often than better",
        judges.efficient,
    ),
    Statement(
        "graphics cards", "V, efficiency",
        "They can leverage the computational power of modern GPUs to accelerate training",
        "needs a graphics card",
        lambda e: Judgement(NOT_MEASURED, "these records were made without a graphics card"),
    ),
    Statement(
        "expensive", "V, efficiency",
        "metaheuristic optimization algorithms are often more computationally expensive, as they involve maintaining a "
        "population of candidate solutions and performing complex search operations",
        "more than half of them take more time of their own for an evaluation than Adam for a step, at the most "
        "dimensions that it is timed at; in part where any does",
        judges.expensive,
    ),
    Statement(
        "simple", "V, performance",
        "Gradient-based methods are often preferred for simple datasets and shallow neural networks",
        "on small networks no metaheuristic is better than Adam, and some are worse; in part where some are "
        "better and some worse",
        judges.simple,
    ),
    Statement(
        "deep and complex", "V, performance",
        "for complex datasets and deep neural networks, metaheuristic optimization algorithms may outperform "
        "gradient-based methods",
        "on deep networks and images any metaheuristic is better than Adam at equal passes; undecided where none is "
        "better and none worse",
        judges.deep_and_complex,
    ),
    Statement(
        "genetic algorithms", "IV",
        "GA is particularly useful for exploring complex and rugged search spaces, where traditional gradient-based "
        "methods may struggle",
        "where minima are many it ends lower than descents on more than half of the functions; in part on any",
        judges.rugged_ga,
    ),
    Statement(
        "particle swarms", "IV",
        "PSO is known for its simplicity and efficiency in optimization tasks",
        "its mean rank among metaheuristics, by runs solved, then by passes, then by what is left, is below two thirds "
        "of what chance gives; in part where it is below what chance gives",
        lambda e: judges.better_than_chance(e, ("pso",)),
    ),
    Statement(
        "ants", "IV",
        "ACO is particularly effective for combinatorial optimization problems",
        "on the knapsack and on the tour they find the optimum in at least one run and in as many as the best of the "
        "others, hill climbing among them: first together is first; in part on one of the two",
        judges.combinatorial("aco_discrete"),
    ),
    Statement(
        "differential evolution", "IV",
        "DE is known for its simplicity and robustness in optimization tasks",
        "the mean rank of its best form is below two thirds of what chance gives; in part where it is below what "
        "chance gives",
        lambda e: judges.better_than_chance(e, DIFFERENTIAL),
    ),
    Statement(
        "annealing", "IV",
        "SA is effective for exploring rugged search spaces and escaping local optima",
        "the same, of its best form",
        lambda e: judges.better_than_chance(e, ANNEALING),
    ),
    Statement(
        "tabu search", "IV",
        "Tabu Search is known for its effectiveness in finding high-quality solutions in combinatorial optimization "
        "problems",
        "as for ants",
        judges.combinatorial("tabu"),
    ),
    Statement(
        "adaptive rates", "III",
        "These methods adapt the learning rate based on the past gradients, enabling faster convergence",
        "at equal passes Adam is better than gradient descent, both tuned, on more than half of the networks; "
        "undecided where it is on fewer, and worse on none",
        judges.adaptive,
    ),
    Statement(
        "hybrids", "VIII",
        "Hybrid optimization techniques combine the strengths of different optimization approaches to achieve better "
        "performance",
        "more than half of the strategies solve a larger share of runs with local searches than without (of fewer "
        "runs, hence shares), and on networks hybrids are more often better than Adam than worse; in part where one of "
        "the two",
        judges.hybrids,
    ),
    Statement(
        "evolution strategies", "VIII",
        "Evolutionary strategies, inspired by the process of natural selection, have shown promise in optimizing "
        "neural networks",
        "better than random search in more than three comparisons of four, and worse than Adam in fewer than half; in "
        "part without the latter",
        judges.evolution,
    ),
    Statement(
        "quantum-inspired", "VIII",
        "These algorithms leverage principles from quantum computing to explore the solution space more efficiently "
        "and effectively",
        "on the knapsack they find the optimum in as many runs as the best of the classical ones, and the "
        "quantum-behaved swarm solves as many as the plain one, at least one each: first together is first; in part "
        "where one of the two",
        judges.quantum,
    ),
)  # fmt: skip


def judged(records: Records) -> list[Judged]:
    """What the records say of each."""
    return all_judged(STATEMENTS, Evidence(records))
