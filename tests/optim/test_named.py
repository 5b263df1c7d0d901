"""The named classes drive the gallery's rules with its defaults, and stand in for torch's classes of the same name."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch
from optim.trajectories import RULES, assert_same, copies, gradients, parameters, run

from thalweg import optim
from thalweg.optim import RuleOptimizer

# The rule that a class drives, for each way in which its flags choose one.
CHOICES = [
    (optim.SGD, {}, "sgd"),
    (optim.SGD, {"momentum": 0.9}, "heavy_ball"),
    (optim.SGD, {"momentum": 0.9, "nesterov": True}, "nesterov"),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.5}, "dampened_momentum"),
    (optim.EMAMomentum, {}, "ema_momentum"),
    (optim.Adagrad, {}, "adagrad"),
    (optim.Adadelta, {}, "adadelta"),
    (optim.RMSprop, {}, "rmsprop"),
    (optim.RMSprop, {"centered": True}, "rmsprop_centered"),
    (optim.RMSprop, {"momentum": 0.9}, "rmsprop_momentum"),
    (optim.RMSprop, {"centered": True, "momentum": 0.9}, "rmsprop_centered_momentum"),
    (optim.Adam, {}, "adam"),
    (optim.Adam, {"amsgrad": True}, "amsgrad"),
    (optim.AdamW, {}, "adamw"),
    (optim.Adamax, {}, "adamax"),
    (optim.NAdam, {}, "nadam"),
    (optim.RAdam, {}, "radam"),
    (optim.Rprop, {}, "rprop"),
    (optim.AdaBelief, {}, "adabelief"),
    (optim.Yogi, {}, "yogi"),
    (optim.Lion, {}, "lion"),
    (optim.Signum, {}, "signum"),
    (optim.Sign, {}, "sign"),
    (optim.Gravity, {}, "gravity"),
    (optim.ADES, {}, "ades"),
]
every_choice = pytest.mark.parametrize(
    ("cls", "flags", "name"), CHOICES, ids=[f"{cls.__name__}-{name}" for cls, _, name in CHOICES]
)
PUBLIC = [getattr(optim, name) for name in optim.__all__]
CLASSES = {each for each in PUBLIC if isinstance(each, type) and issubclass(each, RuleOptimizer)} - {RuleOptimizer}
OF_TORCH = sorted((cls for cls in CLASSES if hasattr(torch.optim, cls.__name__)), key=lambda cls: cls.__name__)


@every_choice
def test_a_named_class_steps_by_its_rule_with_the_gallerys_defaults(cls, flags, name):
    rule = RULES[name]
    ours, other = parameters(), parameters()
    named = cls(ours, **flags)
    assert named.rule == rule
    plain = RuleOptimizer(other, rule, **{key: value for key, value in flags.items() if key in rule.hyperparameters})
    keys = [*rule.hyperparameters, "maximize", "decay"]
    assert [named.param_groups[0][key] for key in keys] == [plain.param_groups[0][key] for key in keys]
    grads = gradients(ours, 3)
    run(named, ours, grads)
    run(plain, other, grads)
    assert_same(ours, other)


def test_every_named_class_is_tried():
    assert {cls for cls, _, _ in CHOICES} == CLASSES


@every_choice
def test_every_hyperparameter_of_the_rule_can_be_given_by_name(cls, flags, name):
    """And every option of RuleOptimizer; Rprop alone has no decay of its own, as in torch."""
    known = set(inspect.signature(cls).parameters)
    assert set(RULES[name].hyperparameters) - known <= ({"weight_decay"} if cls is optim.Rprop else set())
    optimizer = cls(parameters(), **flags, maximize=True, decay="decoupled", backend="plain", foreach=True, fused=True)
    assert optimizer.param_groups[0]["maximize"] is True
    assert optimizer.param_groups[0]["decay"] == "decoupled"
    assert {plan.backend for plan in optimizer.plan()} == {"plain"}


@pytest.mark.parametrize("cls", OF_TORCH)
def test_arguments_stand_in_torchs_order_with_torchs_defaults(cls):
    def positional(kind: type) -> list[tuple[str, object]]:
        kinds = inspect.signature(kind).parameters.values()
        return [(p.name, p.default) for p in kinds if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

    theirs = positional(getattr(torch.optim, cls.__name__))
    for ours, expected in zip(positional(cls), theirs, strict=False):
        assert ours == expected


@pytest.mark.parametrize("cls", OF_TORCH)
def test_a_class_takes_the_place_of_torchs_of_the_same_name(cls):
    """With the defaults of both, on a network, in float32."""
    x, y = torch.linspace(-1, 1, 30).reshape(10, 3), torch.arange(10) % 2
    ours = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    theirs = copy.deepcopy(ours)
    for network, kind in ((ours, cls), (theirs, getattr(torch.optim, cls.__name__))):
        optimizer = kind(network.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("cls", "key", "value"),
    [
        (optim.SGD, "momentum", 0.9),
        (optim.SGD, "nesterov", True),
        (optim.RMSprop, "momentum", 0.9),
        (optim.RMSprop, "centered", True),
        (optim.Adam, "amsgrad", True),
        (optim.AdamW, "amsgrad", True),
    ],
)
def test_a_flag_that_chooses_the_equations_is_refused_in_a_group_and_not_silently_ignored(cls, key, value):
    """torch has one class with branches, which a group may take its own of; ours has one text for all groups."""
    with pytest.raises(ValueError, match=key):
        cls([{"params": parameters()[:2]}, {"params": parameters()[2:], key: value}])


def test_a_group_may_have_its_own_momentum_where_the_equations_have_one():
    params = parameters()
    optimizer = optim.SGD([{"params": params[:2]}, {"params": params[2:], "momentum": 0.5}], momentum=0.9)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.9, 0.5]


@pytest.mark.parametrize("flags", [{"nesterov": True}, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}])
def test_nesterov_without_momentum_or_with_dampening_is_refused_as_by_torch(flags):
    with pytest.raises(ValueError, match="Nesterov"):
        torch.optim.SGD(parameters(), **flags)
    with pytest.raises(ValueError, match=r"(?i)nesterov"):
        optim.SGD(parameters(), **flags)


@pytest.mark.parametrize("first_step", [0, 1])
def test_gravity_counts_steps_from_where_it_is_told(first_step):
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = optim.Gravity([p], first_step=first_step)
    optimizer.state[p]["v"].fill_(1.0)
    p.grad = torch.zeros_like(p)
    optimizer.step()
    assert optimizer.state[p]["v"].item() == pytest.approx([0.5, 1.9 / 3][first_step])


@pytest.mark.parametrize("cls", sorted(CLASSES, key=lambda cls: cls.__name__))
def test_help_ends_with_the_equations_and_their_source(cls):
    rule = cls(parameters()).rule
    documented = inspect.getdoc(cls)
    assert all(line in documented for line in rule.text.splitlines())
    assert "Source: " in documented


def test_gravitys_help_shows_how_to_keep_its_noise_from_pretrained_weights():
    assert "alpha=0" in inspect.getdoc(optim.Gravity)


@every_choice
def test_copies_and_pickles_of_a_named_class_continue_as_it_does(cls, flags, name):
    ours = parameters()
    optimizer = cls(ours, **flags)
    grads = gradients(ours, 4)
    run(optimizer, ours, grads[:2])
    twins = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    start = copies(ours)
    run(optimizer, ours, grads[2:])
    for twin in twins:
        theirs = twin.param_groups[0]["params"]
        assert_same(theirs, start)
        run(twin, theirs, grads[2:])
        assert_same(theirs, ours)
        assert type(twin) is cls
