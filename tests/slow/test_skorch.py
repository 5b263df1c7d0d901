"""Training by skorch is training by a bare loop, interrupted, pickled, cloned or not."""

from __future__ import annotations

import pickle

import pytest
import torch
from optim.trajectories import OWN
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from slow.training import (
    BATCH,
    BATCHES,
    assert_same_states,
    assert_same_steps,
    batches,
    examples,
    network,
    recorded,
    run_page,
    train,
)
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR

from thalweg.optim import AdamW, Gravity, NAdam, RuleOptimizer
from thalweg.rules.gallery import GALLERY

pytestmark = [pytest.mark.slow]
skorch = pytest.importorskip("skorch", reason="skorch is not installed; `make test-slow` installs it")
callbacks = pytest.importorskip("skorch.callbacks")

# As skorch is told: the class, and its arguments after "optimizer__".
OPTIMIZERS = {
    "adamw": {"optimizer": AdamW, "lr": 0.01, "optimizer__weight_decay": 0.1},
    "gravity": {"optimizer": Gravity, "lr": 0.1, "optimizer__alpha": 0.02},
    "nadam": {"optimizer": NAdam, "lr": 0.01},
    "own": {"optimizer": RuleOptimizer, "optimizer__rule": OWN, "lr": 0.05},
}
every_optimizer = pytest.mark.parametrize("choice", OPTIMIZERS.values(), ids=OPTIMIZERS)


def net(choice, *extra):
    return skorch.NeuralNetClassifier(
        network, criterion=torch.nn.CrossEntropyLoss, batch_size=BATCH, train_split=None, verbose=0,
        callbacks=list(extra), **choice,
    )  # fmt: skip


def bare(choice, epochs: int, schedule=None, **settings):
    """The optimizer and the steps of a bare loop; `schedule` makes a scheduler that moves after every step."""
    model = network()
    given = {key.removeprefix("optimizer__"): value for key, value in choice.items() if key != "optimizer"}
    optimizer = choice["optimizer"](model.parameters(), **given)
    steps = recorded(optimizer)
    scheduler = schedule(optimizer) if schedule else None
    train(model, optimizer, batches(epochs), scheduler=scheduler, **settings)
    return optimizer, steps


def shrinking(epoch: int) -> float:
    return 1 / (1 + epoch)


@pytest.mark.parametrize("clip", [None, 0.1], ids=["plain", "clipping"])
@every_optimizer
def test_a_net_with_a_schedule_takes_the_steps_of_the_bare_loop(choice, clip):
    scheduler = callbacks.LRScheduler(policy=ExponentialLR, gamma=0.9, step_every="batch")
    clipping = [callbacks.GradientNormClipping(clip)] if clip else []
    trained = net(choice, scheduler, *clipping).initialize()
    found = recorded(trained.optimizer_)
    trained.partial_fit(*examples(), epochs=2)
    optimizer, steps = bare(choice, 2, lambda o: ExponentialLR(o, 0.9), clip=clip)
    assert_same_steps(found, steps)
    assert_same_states(trained.optimizer_, optimizer)


@pytest.mark.parametrize("how", ["pickle", "files"])
@every_optimizer
def test_a_net_resumed_after_two_epochs_equals_the_uninterrupted_one(choice, how, tmp_path):
    def scheduled():
        return net(choice, callbacks.LRScheduler(policy=LambdaLR, lr_lambda=shrinking)).initialize()

    first = scheduled()
    steps_before = recorded(first.optimizer_)
    first.partial_fit(*examples(), epochs=2)
    if how == "pickle":
        resumed = pickle.loads(pickle.dumps(first))
    else:
        files = {f"f_{part}": tmp_path / part for part in ("params", "optimizer", "history")}
        first.save_params(**files)
        resumed = scheduled()
        resumed.load_params(**files)
    steps_after = recorded(resumed.optimizer_)
    resumed.partial_fit(*examples(), epochs=2)

    optimizer, steps = bare(choice, 4, lambda o: LambdaLR(o, lambda step: shrinking(step // BATCHES)))
    assert_same_steps(steps_before + steps_after, steps)
    assert_same_states(resumed.optimizer_, optimizer)


@every_optimizer
def test_a_clone_is_trained_as_the_original_was(choice):
    """Cloning copies the arguments, a rule among them, and nothing learned; start noise is drawn from the same seed."""
    first = net(choice).fit(*examples())
    again = clone(first).fit(*examples())
    assert_same_states(again.optimizer_, first.optimizer_)


def test_a_grid_search_over_hyperparameters_and_rules_refits_with_the_best():
    grid = {"optimizer__rule": [OWN, GALLERY["adam"].rule], "lr": [0.0, 0.05]}
    x, y = (data.numpy() for data in examples())
    search = GridSearchCV(net(OPTIMIZERS["own"]), grid, cv=2, scoring="accuracy").fit(x, y)
    assert len(search.cv_results_["params"]) == 4
    direct = net(OPTIMIZERS["own"]).set_params(**search.best_params_).fit(x, y)
    assert search.best_estimator_.optimizer_.rule == search.best_params_["optimizer__rule"]
    assert_same_states(search.best_estimator_.optimizer_, direct.optimizer_)


def test_a_hyperparameter_set_between_epochs_holds_from_then_on_and_the_states_stay():
    trained = net(OPTIMIZERS["adamw"]).initialize()
    found = recorded(trained.optimizer_)
    trained.partial_fit(*examples(), epochs=1)
    trained.set_params(lr=0.02, optimizer__weight_decay=0.3)
    trained.partial_fit(*examples(), epochs=1)

    model = network()
    optimizer = AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    steps = recorded(optimizer)
    train(model, optimizer, batches(1))
    optimizer.param_groups[0].update(lr=0.02, weight_decay=0.3)
    train(model, optimizer, batches(1))
    assert_same_steps(found, steps)


def test_groups_by_patterns_of_names_are_the_optimizers_groups():
    trained = net({**OPTIMIZERS["adamw"], "optimizer__param_groups": [("*.bias", {"weight_decay": 0.0})]}).initialize()
    found = {group["weight_decay"]: {p.dim() for p in group["params"]} for group in trained.optimizer_.param_groups}
    assert found == {0.0: {1}, 0.1: {2}}


def test_the_pages_example_goes_on_after_its_pickle(tmp_path, monkeypatch):
    names = run_page("skorch", tmp_path, monkeypatch)
    steps = {state["step"] for state in names["net"].optimizer_.state.values()}
    assert steps == {12 * 2}
