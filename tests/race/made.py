"""Races that were never run: results of any size, made from seeded NumPy numbers in no time."""

import hashlib
from dataclasses import replace

import numpy as np

from thalweg.race.manifest import Manifest
from thalweg.race.record import Record
from thalweg.race.result import Draw, MethodInfo, Protocol, RaceResult, Study, TaskInfo
from thalweg.race.spaces import Choice, Float
from thalweg.race.store import Store

TASKS = (
    "iris", "diabetes", "wine", "digits", "ionosphere", "breast_cancer", "sonar", "seeds", "banknote", "heart",
    "haberman", "car", "ilpd", "abalone", "titanic", "pima", "mushroom",
)  # fmt: skip
METHODS = (
    "adamw", "sgd", "gravity", "gravity_ema", "ades", "ades_heavy_ball", "lion", "rmsprop", "heavy_ball", "adam",
    "nesterov", "adagrad", "radam", "sign", "signum",
)  # fmt: skip
ABLATIONS = {"gravity": ("gravity_ema",), "ades": ("ades_heavy_ball",), "sign": ("signum",)}
CODES = {"adamw": "thalweg.optim.AdamW", "sgd": "torch.optim.SGD", "gravity": "thalweg.optim.Gravity"}
DEFAULTS = {"schedule": "constant", "lr": 1e-2, "weight_decay": 0.0}
BETAS = {"betas": (0.9, 0.999)}
LR = Float("lr", 1e-4, 10)
SCHEDULE = Choice("schedule", ("constant", "cosine"))
BETA = Float("betas", 1e-3, 1, index=0, complement=True)
EXAMPLES, BATCH = 150, 50
PROVENANCE = {
    "command": "thalweg race --methods adamw,sgd",
    "started": "2026-01-01T00:00:00+00:00",
    "versions": {"python": "3.11.7", "thalweg": "0.1.0", "torch": "2.13.0", "numpy": "2.3.1"},
    "machine": {"system": "Linux x86_64", "cpu": "some", "cpus": 2, "gpus": []},
    "git": {"commit": "b57af56", "dirty": None},
}


def made_result(
    tasks=2, methods=4, seeds=8, draws=3, studies=3, repeats=2, epochs=5, *, random=0, shifts=None, correlation=0.5,
    spread=0.03, names=None,
):  # fmt: skip
    """A race of the first so many of TASKS and METHODS, or of the methods in `names`; "adamw" is its baseline.

    `shifts` has by how much a method's score at its best is above 0.9 (0.5 on diabetes), by name; the others have what
    the numbers of `random` give them. `spread` is the standard deviation over the seeds, of which a part is shared by
    all methods so that they have this `correlation`. The second task (diabetes) scores R2, the others accuracy. Large
    learning rates diverge.
    """
    names = names or METHODS[:methods]
    protocol = Protocol(seeds=seeds, draws=draws, studies=studies, repeats=repeats, sampler="random", baseline=names[0])
    infos = tuple(_task(name, epochs) for name in TASKS[:tasks])
    raced = tuple(_method(name) for name in names)
    all_studies, records = {}, {}
    for t, task in enumerate(infos):
        shared = np.random.default_rng((random, t)).standard_normal(10_000)
        for m, method in enumerate(raced):
            numbers = np.random.default_rng((random, t, m, 1))
            maker = _Maker(task, method.name, numbers, shared, correlation, spread, (shifts or {}).get(method.name))
            found = tuple(maker.study(index, method.space, protocol) for index in range(studies))
            all_studies[task.name, method.name] = found
            records[task.name, method.name] = tuple(
                maker.record("final", rep, dict(found[rep % studies].chosen.hyperparameters)) for rep in range(seeds)
            )
    manifest = Manifest(
        infos, raced, protocol, {name: name for name in names}, {name: _defaults(name) for name in names},
        {name: name for name in (*names, *(task.name for task in infos))},
        {task.name: {"data": "c0ffee"} for task in infos}, PROVENANCE,
    )  # fmt: skip
    return RaceResult(infos, raced, protocol, all_studies, records, manifest.as_dict())


def stored(result, folder):
    """The race in a store, as if it had been run."""
    store = Store(folder)
    manifest = Manifest.from_dict(result.manifest)
    store.begin(manifest)
    for place, studies in result.studies.items():
        tuning = [record for study in studies for draw in study.draws for record in draw.records]
        store.put([*tuning, *result.records[place]])
        store.put_cell(place, manifest.place_hash(*place), studies, result.records[place])
    return folder


def with_records(result, task, method, **changes):
    """The result with the final records of a place changed: each value, or a function of the repetition."""
    changed = tuple(
        replace(r, **{name: value(r.rep) if callable(value) else value for name, value in changes.items()})
        for r in result.records[task, method]
    )
    return replace(result, records={**result.records, (task, method): changed})


def _task(name, epochs):
    metric = "R2" if name == "diabetes" else "accuracy"
    return TaskInfo(
        name=name, title=name.replace("_", " ").capitalize(), metric=metric, percent=metric == "accuracy",
        batch_size=BATCH, epochs=epochs, examples=EXAMPLES, parameters=83, network="MLP 4-10-3", source="UCI",
        fingerprint=hashlib.sha256(name.encode()).hexdigest()[:16],
    )  # fmt: skip


def _method(name):
    source = f"@misc{{{name}2020, author = {{Doe, Jo}}, title = {{On {name.replace('_', ' ')}}}, year = {{2020}}}}"
    space = (LR, SCHEDULE, BETA) if name.startswith("ades") else (LR, SCHEDULE)
    code = CODES.get(name, f"thalweg.optim.{name.title().replace('_', '')}") + "(model.parameters(), {})"
    title = name.replace("_", " ").capitalize()
    return MethodInfo(name, title, "w <- w - lr * g", code, source, space, ABLATIONS.get(name, ()))


def _defaults(name):
    return DEFAULTS | (BETAS if name.startswith("ades") else {})


class _Maker:
    """Makes the records of one method on one task: a score with its peak at a learning rate of its own, and noise."""

    def __init__(self, task, method, numbers, shared, correlation, spread, shift):
        self.task, self.method, self.numbers, self.shared = task, method, numbers, shared
        self.share, self.spread = np.sqrt(correlation), spread
        self.skill = (0.9 if task.percent else 0.5) + (0.02 * numbers.standard_normal() if shift is None else shift)
        self.best = numbers.uniform(-2.5, -0.5)
        self.seconds = numbers.uniform(2e-5, 6e-5)

    def study(self, index, space, protocol):
        draws = []
        for number in range(protocol.draws):
            values = _defaults(self.method)
            for dimension in space if number else ():
                values = dimension.with_value_at(values, self.numbers.uniform())
            draws.append(Draw(values, (self.record("tuning", index, values),)))
        best = sorted(draws, key=lambda draw: -draw.score)[: protocol.finalists]
        further = [protocol.studies * (1 + r) + index for r in range(protocol.repeats)]
        return Study(
            index,
            tuple(
                replace(d, records=(*d.records, *(self.record("tuning", rep, d.hyperparameters) for rep in further)))
                if any(d is other for other in best)
                else d
                for d in draws
            ),
        )

    def record(self, role, rep, hyperparameters):
        final, task, epochs = role == "final", self.task, self.task.epochs
        away = np.log10(hyperparameters["lr"]) - self.best
        diverged = bool(away > 2.2)
        worst = 0.0 if task.percent else -1.0
        own = np.sqrt(1 - self.share**2) * self.numbers.standard_normal()
        noise = self.share * self.shared[rep + 5000 * final] + own
        score = float(np.clip(self.skill - 0.05 * away**2 + self.spread * noise, worst, 1.0))
        stopped = int(self.numbers.integers(1, epochs + 1)) if diverged else epochs
        grown = 1 - np.exp(-3 * np.arange(stopped + 1) / epochs)
        metric = np.clip(0.3 + (score - 0.3) * grown / (1 - np.exp(-3)), worst, 1)
        loss = 1.1 * (1 - metric) + 0.01
        if diverged:
            metric, loss = metric[:-1], loss[:-1]
        test = worst if diverged else round(float(np.clip(score + 0.01 * self.numbers.standard_normal(), worst, 1)), 4)
        steps = stopped * 2
        return Record(
            key=hashlib.sha256(f"{task.name} {self.method} {role} {rep} {hyperparameters}".encode()).hexdigest()[:16],
            task=task.name, method=self.method, hyperparameters=hyperparameters, master=0, rep=rep, role=role,
            train_loss=_rounded(0.9 * loss), validation_loss=_rounded(loss), validation_metric=_rounded(metric),
            train_metric=min(1.0, score + 0.02) if final else None,
            test_metric=test if final else None, test_metric_best=test if final else None,
            test_loss=round(float(loss[-1]), 5) if final else None,
            constant_metric=(0.4 if task.percent else 0.0) if final else None,
            untrained_metric=(0.31 if task.percent else -0.4) if final else None,
            diverged=diverged, stopped=stopped, seconds=self.seconds * steps * self.numbers.uniform(0.9, 1.1),
            steps=steps, forward_passes=steps, backward_passes=steps, loss_evaluations=steps, examples=steps * BATCH,
            state_bytes=83 * 4 * (len(self.method) % 3), parameters=83, members=32,
            data_hash=f"d{rep}{final}", init_hash=f"i{rep}", order_hash=f"o{rep}",
        )  # fmt: skip


def _rounded(values):
    return tuple(np.round(values, 5).tolist())
