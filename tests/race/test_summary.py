"""What a race says: verdicts, warnings and sentences from the records, and the line to paste."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from race.made import made_result, with_records

from thalweg.race import method_named, notation, paste, plaintext, sentences
from thalweg.race.fairness import Divergences
from thalweg.race.summary import Verdict

NAMES = ("adamw", "sgd", "lion")


def same_scores(result, task, method, other, shift=0.0):
    """The result with the test metrics of a method those of another, moved by a constant."""
    values = [record.test_metric + shift for record in result.records[task, other]]
    return with_records(result, task, method, test_metric=lambda rep: values[rep])


@pytest.fixture(scope="module")
def result():
    return made_result(2, 3, 12, names=NAMES)


def test_each_other_method_has_a_verdict_on_each_task(result):
    assert all(isinstance(verdict, Verdict) for verdict in result.verdicts)
    assert [(v.task, v.method) for v in result.verdicts] == [(t.name, m) for t in result.tasks for m in NAMES[1:]]
    assert {v.baseline for v in result.verdicts} == {"adamw"}


@pytest.mark.parametrize(("shift", "verdict"), [(0.2, "better"), (-0.2, "worse"), (0.0, "equivalent")])
def test_a_verdict_is_that_of_the_paired_differences(result, shift, verdict):
    moved = same_scores(result, "iris", "sgd", "adamw", shift)
    found = moved.verdicts[0]
    assert (found.verdict, found.difference) == (verdict, pytest.approx(shift))
    assert sentences.in_detail(moved.summary.comparisons["iris", "sgd"], True).startswith(verdict)


def test_nothing_is_equivalent_without_a_margin(result):
    no_margin = replace(result, protocol=replace(result.protocol, margin=0.0))
    assert same_scores(no_margin, "iris", "sgd", "adamw").verdicts[0].verdict == "undecided"


def test_the_margin_is_half_a_point_or_half_the_baselines_deviation(result):
    sd = np.std([r.test_metric for r in result.records["iris", "adamw"]], ddof=1)
    assert result.summary.margin("iris") == pytest.approx(max(0.005, sd / 2))
    assert replace(result, protocol=replace(result.protocol, margin=0.03)).summary.margin("iris") == 0.03


def test_an_undecided_sentence_says_how_many_seeds_would_decide(result):
    found = next(v for v in made_result(6, 4, 8).verdicts if v.verdict == "undecided" and v.needed)
    assert found.needed > found.seeds
    text = sentences.of_method(made_result(1, 3, 8, shifts={"sgd": 0.01, "adamw": 0.0}).summary, "sgd")
    assert "undecided (would need about " in text
    assert "equal" not in text


def test_a_method_over_tasks_is_summed_up_in_words():
    summary = made_result(4, 3, 12, names=NAMES, shifts={"adamw": 0, "sgd": -0.2, "lion": 0.05}, spread=0.01).summary
    assert sentences.of_method(summary, "sgd").startswith("worse on 4 of 4 tasks.")
    assert "descriptive only" in sentences.of_method(summary, "sgd")
    assert sentences.headline(summary) == (
        "Against adamw. Better on some tasks and worse on none: lion. Worse on some tasks and better on none: sgd."
    )


def test_ten_tasks_are_enough_to_speak_of_others():
    summary = made_result(10, 2, 12, names=("adamw", "sgd"), shifts={"adamw": 0, "sgd": -0.1}, spread=0.01).summary
    assert "worse across the tasks (Wilcoxon, p = 0.002 after Holm)" in sentences.of_method(summary, "sgd")


def test_the_best_is_bold_unless_equivalent_to_the_next(result):
    far = same_scores(result, "iris", "lion", "adamw", 0.3)
    assert far.summary.best["iris"].method == "lion"
    assert far.summary.best["iris"].bold
    near = same_scores(same_scores(result, "iris", "sgd", "lion", -0.3), "iris", "adamw", "lion", 1e-4)
    assert near.summary.best["iris"].method == "adamw"
    assert near.summary.best["iris"].comparison.verdict == "equivalent"
    assert not near.summary.best["iris"].bold


def test_divergences_score_the_worst_and_are_never_dropped(result):
    some = with_records(result, "iris", "sgd", diverged=lambda rep: rep < 3, test_metric=lambda rep: 0.9 * (rep >= 3))
    assert len(some.summary.scores("iris", "sgd")) == 12
    assert some.summary.means["iris", "sgd"] == pytest.approx(0.9 * 9 / 12)
    (found,) = [d for d in some.summary.fairness.divergences if d.task == "iris" and d.final]
    assert (found.method, found.final, found.finals) == ("sgd", 3, 12)
    assert isinstance(found, Divergences)
    assert "Diverged in final trials: sgd on iris (3 of 12)." in plaintext.notes(some.summary)


def test_a_metric_that_was_not_finite_scores_the_worst(result):
    odd = with_records(result, "iris", "sgd", test_metric=lambda rep: None if rep == 0 else 0.9)
    assert odd.summary.scores("iris", "sgd")[0] == 0.31  # the untrained networks': nothing was worse
    assert len(odd.summary.scores("iris", "sgd")) == 12


@pytest.mark.parametrize("field", ["data_hash", "init_hash", "order_hash"])
def test_pairing_is_proved_by_hashes(result, field):
    assert result.summary.fairness.unpaired == []
    odd = with_records(result, "iris", "sgd", **{field: lambda rep: "other" if rep == 4 else getattr(
        result.records["iris", "sgd"][rep], field)})  # fmt: skip
    assert odd.summary.fairness.unpaired == [("iris", 4)]
    assert "NOT paired" in plaintext.notes(odd.summary)


def test_unequal_budgets_and_a_test_part_read_in_tuning_are_found(result):
    fair = result.summary.fairness
    assert fair.budgets == {(9, 27)}
    assert fair.read_test_once
    study = result.studies["iris", "sgd"][0]
    shorter = {**result.studies, ("iris", "sgd"): (replace(study, draws=study.draws[:2]),)}
    assert len(replace(result, studies=shorter).summary.fairness.budgets) == 2
    draw = study.draws[0]
    peeked = replace(draw, records=tuple(replace(record, test_metric=0.9) for record in draw.records))
    read = {**result.studies, ("iris", "sgd"): (replace(study, draws=(peeked, *study.draws[1:])),)}
    assert not replace(result, studies=read).summary.fairness.read_test_once


def test_chosen_values_at_an_edge_are_listed_but_not_the_published_default():
    result = made_result(2, 3, 6, draws=8, names=NAMES)
    method = replace(result.methods[1], space=(replace(result.methods[1].space[0], low=9.0, high=10.0),))
    narrow = replace(result, methods=(result.methods[0], method, result.methods[2]))
    edges = [edge for edge in narrow.summary.fairness.edges if edge.method == "sgd"]
    chosen = [study for task in result.tasks for study in result.studies[task.name, "sgd"]]
    assert sum(edge.studies for edge in edges) == sum(study.chosen is not study.draws[0] for study in chosen)
    assert edges
    assert all("at the edge of 9 to 10" in edge.warning for edge in edges)


@pytest.mark.parametrize(("methods", "fewest"), [(2, 6), (3, 7), (8, 9)])
def test_too_few_seeds_are_said_to_be_too_few(methods, fewest):
    summary = made_result(1, methods, fewest - 1).summary
    assert not summary.fairness.can_decide
    assert f"{fewest} would be the fewest" in plaintext.notes(summary)
    assert made_result(1, methods, fewest).summary.fairness.can_decide


def test_the_line_to_paste_makes_the_optimizer_and_its_schedule():
    info = method_named("adamw").info()
    setting = {"schedule": "cosine", "lr": 0.0031623, "betas": (0.9, 0.999), "weight_decay": 0.01, "dropout": 0.1}
    line, scheduler = paste.optimizer_line(info, setting), paste.scheduler_line(setting)
    assert line == "thalweg.optim.AdamW(model.parameters(), lr=0.00316, betas=(0.9, 0.999), weight_decay=0.01)"
    made = {"model": torch.nn.Linear(2, 1), "steps": 100}
    exec(f"import torch, thalweg.optim\noptimizer = {line}\n{scheduler}", made)
    assert made["optimizer"].param_groups[0]["lr"] == 0.00316
    assert isinstance(made["scheduler"], torch.optim.lr_scheduler.CosineAnnealingLR)
    assert paste.surroundings(setting) == "the learning rate falls along a cosine to 0 at the last step and dropout 0.1"


@pytest.mark.parametrize("kind", ["step", "one-cycle", "plateau"])
def test_every_schedule_can_be_pasted(kind):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    names = {"optimizer": optimizer, "steps": 100, "epochs": 20}
    exec(f"import torch\n{paste.scheduler_line({'schedule': kind, 'lr': 0.1})}", names)
    rates = []
    for _ in range(100):
        optimizer.step()
        names["scheduler"].step(*[1.0] * (kind == "plateau"))
        rates.append(optimizer.param_groups[0]["lr"])
    assert min(rates) < 0.011


def test_the_recommendation_is_a_setting_that_was_chosen_and_says_how_sure_it_is():
    result = made_result(3, 3, 12, names=NAMES, shifts={"adamw": 0, "sgd": -0.1, "lion": 0.08}, spread=0.01)
    found = paste.recommend(result.summary)
    assert found.method == "lion"
    chosen = [study.chosen for task in result.tasks for study in result.studies[task.name, "lion"]]
    lines = [paste.optimizer_line(result.methods[2], draw.hyperparameters) for draw in chosen]
    assert found.code.splitlines()[0].removeprefix("optimizer = ") in lines
    assert "better on 3 of 3 tasks" in " ".join(found.certainty)


def test_the_baseline_is_recommended_where_nothing_ranks_above_it():
    result = made_result(1, 2, 8, names=("adamw", "sgd"), shifts={"adamw": 0, "sgd": -0.2})
    assert "It is the baseline" in " ".join(paste.recommend(result.summary).certainty)


@pytest.mark.parametrize("tasks", [4, 15])
def test_the_table_fits_80_columns(tasks):
    names = ("adamw", "gravity_ema_noise", "ades_heavy_ball", "sgd")
    table = plaintext.table(made_result(tasks, 4, 8, names=names).summary)
    assert all(len(line) <= 80 for line in str(table).splitlines())
    assert len(table.rows) == 4


def test_a_race_without_final_trials_has_a_table_of_its_tuning():
    result = made_result(2, 2, 0)
    assert result.verdicts == ()
    assert "no final trials were run" in result.table


def test_a_notebook_shows_the_table_escaped(result):
    titled = replace(result, methods=(replace(result.methods[0], name="<b>"), *result.methods[1:]))
    for table in ("studies", "records"):
        moved = {(t, "<b>" if m == "adamw" else m): v for (t, m), v in getattr(result, table).items()}
        titled = replace(titled, **{table: moved})
    shown = replace(titled, protocol=replace(result.protocol, baseline="<b>"))._repr_html_()
    assert shown.count("<tr>") == 5
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (notation.score(0.9641, 0.0123, True), "96.4 ± 1.2"),
        (notation.score(0.5123, 0.0345, False), "0.512 ± 0.035"),
        (notation.score(-12.3, 4.5, False), "−12.3 ± 4.5"),
        (notation.score(0.4, float("nan"), True), "40.0"),
        (notation.difference(0.0125, True), "+1.25"),
        (notation.difference(-0.00001, True), "0"),
        (notation.difference(-0.0213, False), "−0.0213"),
        (notation.p_value(0.0004), "< 0.001"),
        (notation.p_value(0.9996), "1.000"),
        (notation.argument(0.9991234), "0.999123"),
        (notation.argument(1e-8), "1e-08"),
        (notation.argument((0.9, 0.999)), "(0.9, 0.999)"),
        (notation.seconds(4.2e-5), "42 µs"),
        (notation.seconds(12000), "3 h 20 min"),
        (notation.number(float("inf")), "∞"),
        (notation.number(1234.5), "1,234"),
        (notation.number(1.5e-7), "1.5e-07"),
        (sentences.about(683), "690"),
        (sentences.about(7), "7"),
    ],
)
def test_figures_are_written_for_people(written, text):
    assert written == text
