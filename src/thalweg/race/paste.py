"""The lines to paste: an optimizer at a chosen setting, and what surrounds it, as code and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thalweg.names import shown
from thalweg.race import notation, sentences
from thalweg.race.notation import listed, plural
from thalweg.race.recipe import RECIPE
from thalweg.race.record import Value
from thalweg.race.result import MethodInfo, Study
from thalweg.race.summary import Summary

OPTIONS = ("decay",)  # of the recipe, but an argument of our optimizers
SCHEDULERS = {
    "cosine": "CosineAnnealingLR(optimizer, T_max=steps)",
    "step": "MultiStepLR(optimizer, [steps // 2, 3 * steps // 4], gamma=0.1)",
    "one_cycle": "OneCycleLR(optimizer, max_lr={lr}, total_steps=steps, cycle_momentum=False)",
    "plateau": "ReduceLROnPlateau(optimizer, factor=0.1, patience=epochs // 10)",
}
SCHEDULES = {
    "constant": "the learning rate stays constant",
    "cosine": "the learning rate falls along a cosine to 0 at the last step",
    "step": "the learning rate falls to a tenth at a half of the training and again at three quarters",
    "one_cycle": "the learning rate rises from 1/25 in the first 30 % of the training and then falls to 0",
    "plateau": "the learning rate falls to a tenth where the validation loss stalls for a tenth of the epochs",
}


@dataclass(frozen=True)
class Recommendation:
    """The best method, its code, what goes with it in words, and how sure that is."""

    method: str
    code: str
    words: str
    certainty: tuple[str, ...]


def optimizer_line(method: MethodInfo, hyperparameters: Mapping[str, Value]) -> str:
    """The expression that makes the optimizer: `thalweg.optim.AdamW(model.parameters(), lr=0.0032)`."""
    own = {n: v for n, v in hyperparameters.items() if n not in RECIPE or (n in OPTIONS and v is not None)}
    code = method.code.replace("{lr}", notation.argument(hyperparameters.get("lr", 0.0)))
    return _filled(code, {n: v for n, v in own.items() if n not in method.loss_names})


def loss_line(method: MethodInfo, hyperparameters: Mapping[str, Value]) -> str:
    """What makes the loss of a method that has its gradients from elsewhere than autograd; else empty."""
    if not method.loss_code:
        return ""
    made = _filled(method.loss_code, {name: hyperparameters[name] for name in method.loss_names})
    return f"loss_fn = {made}  # of the loss without reduction"


def step_line(method: MethodInfo) -> str:
    """What is stepped in place of the optimizer; empty where that is."""
    return f"sweep = {method.step_code}  # in a loop: sweep.step(inputs, targets)" if method.step_code else ""


def scheduler_line(hyperparameters: Mapping[str, Value]) -> str:
    """The learning-rate schedule in torch's words; empty where it is constant."""
    kind = str(hyperparameters.get("schedule", "constant")).replace("-", "_")
    if kind not in SCHEDULERS:
        return ""
    when = "with the validation loss, after every epoch" if kind == "plateau" else "after every batch"
    made = SCHEDULERS[kind].format(lr=notation.argument(hyperparameters.get("lr", 0.0)))
    return f"scheduler = torch.optim.lr_scheduler.{made}  # scheduler.step() {when}"


def surroundings(hyperparameters: Mapping[str, Value]) -> str:
    """Schedule, regularisation and batch size in words."""
    kind = str(hyperparameters.get("schedule", "constant")).replace("-", "_")
    words = [SCHEDULES.get(kind, kind)]
    rest = {
        name: value
        for name, value in hyperparameters.items()
        if name in RECIPE and name not in ("schedule", *OPTIONS) and value not in (None, 0)
    }
    words += [f"{name.replace('_', ' ')} {notation.setting(value)}" for name, value in rest.items()]
    return listed(words)


def best_study(studies: tuple[Study, ...]) -> Study:
    """The study whose choice has the highest validation score; the test part has no say in it."""
    return min(studies, key=lambda study: (-study.chosen.score, study.chosen.loss, study.index))


def recommend(summary: Summary) -> Recommendation:
    """The method of lowest mean rank, at a setting that tuning chose: of several tasks the middle one by lr."""
    name = summary.order[0]
    chosen = [study.chosen.hyperparameters for task in summary.tasks for study in summary.result.studies[task, name]]
    if len(summary.tasks) == 1:
        (task,) = summary.tasks
        setting = best_study(summary.result.studies[task, name]).chosen.hyperparameters
    else:
        setting = sorted(chosen, key=_rate)[len(chosen) // 2]
    info = summary.methods[name]
    made = f"optimizer = {optimizer_line(info, setting)}"
    lines = (loss_line(info, setting), made, step_line(info), scheduler_line(setting))
    words = surroundings(setting)
    return Recommendation(
        name,
        "\n".join(line for line in lines if line),
        words[0].upper() + words[1:],
        (*_certainty(summary, name), _spread(summary, chosen)),
    )


def _filled(code: str, settings: Mapping[str, Value]) -> str:
    head, _, tail = code.rpartition("{}")
    return f"{head}{notation.settings(settings)}{tail}" if settings else f"{head.rstrip().removesuffix(',')}{tail}"


def _certainty(summary: Summary, name: str) -> list[str]:
    tasks = len(summary.tasks)
    if not summary.has_finals:
        return ["How sure: not at all. Only tuning was run, and its validation scores chose the setting."]
    parts = []
    if tasks == 1:
        (task,) = summary.tasks
        info, best = summary.tasks[task], summary.best[task]
        score = notation.score(summary.means[task, name], summary.sds[task, name], info.percent)
        seeds = plural(summary.result.protocol.seeds, "seed")
        parts.append(f"How sure: {shown(name)} has the highest mean {info.metric}, {score} over {seeds}.")
        if best.comparison and best.next:
            parts.append(f"Against the next, {shown(best.next)}: {sentences.in_detail(best.comparison, info.percent)}.")
    else:
        parts.append(
            f"How sure: {shown(name)} has the lowest mean rank, {summary.mean_rank(name):.1f}, over {tasks} tasks."
        )
    if name == summary.baseline:
        parts.append("It is the baseline: no other method ranked above it.")
    elif tasks > 1 or summary.best[next(iter(summary.tasks))].next != summary.baseline:
        parts.append(f"Against {shown(summary.baseline)}: {sentences.of_method(summary, name)}")
    if len(summary.methods) > 2:
        parts.append(f"It was picked from {len(summary.methods)} by these very results, which flatters it a little.")
    return parts


def _spread(summary: Summary, chosen: list[Mapping[str, Value]]) -> str:
    rates = sorted(_rate(setting) for setting in chosen if "lr" in setting)
    where = f"{plural(len(chosen), 'study', 'studies')} on {plural(len(summary.tasks), 'task')}"
    if not rates or len(chosen) < 2:
        return "On a network of your own, tune the learning rate first."
    low, high = notation.setting(rates[0]), notation.setting(rates[-1])
    said = f"all chose lr = {low}" if low == high else f"chose learning rates from {low} to {high}"
    return f"The {where} {said}. On a network of your own, tune the learning rate first."


def _rate(setting: Mapping[str, Value]) -> float:
    rate = setting.get("lr", 0.0)
    return float(rate) if isinstance(rate, int | float) else 0.0
