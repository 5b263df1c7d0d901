"""A stacked optimizer steps every member as an optimizer of its own would; so do the pure functions of a rule."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from optim.test_many_passes import PASSES
from optim.trajectories import (
    NATIVE,
    NOISY,
    RULES,
    SETTINGS,
    assert_same,
    every_rule,
    needs_native,
)
from torch.func import functional_call, grad, stack_module_state, vmap

from thalweg import Rule
from thalweg.optim import RuleOptimizer, StackedOptimizer, functional, native

ALL = {**RULES, **{name: case.rule for name, case in PASSES.items()}}
every_backend = pytest.mark.parametrize("backend", [NATIVE, "torch"])

MEMBERS, STEPS = 4, 10
SHAPES = {"matrix": (5, 3), "vector": (7,), "number": (), "empty": (0,), "image": (2, 3, 4)}

Tensors = dict[str, torch.Tensor]


def params_of(members: int = MEMBERS, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensors:
    """Weights of so many members; which they are of a member does not depend on how many there are."""
    values: Tensors = {}
    for place, (name, shape) in enumerate(SHAPES.items()):
        randoms = [torch.Generator().manual_seed(1000 * seed + 100 * place + i) for i in range(members)]
        drawn = [torch.randn(shape, generator=random, dtype=torch.float64) for random in randoms]
        values[name] = torch.stack(drawn).to(dtype)
    return values


def grads_of(params: Tensors, steps: int = STEPS) -> list[Tensors]:
    """Gradients that change sign, and are 0 here and there, for every step."""
    (dtype,) = {w.dtype for w in params.values()}
    drawn = [params_of(len(params["matrix"]), seed=1 + k) for k in range(steps)]
    return [{name: torch.where(g.abs() < 0.1, 0.0, g).to(dtype) for name, g in row.items()} for row in drawn]


def activity(k: int, members: int = MEMBERS) -> list[bool]:
    """Which members step: in ten steps every one makes another number of them."""
    return [k == 0 or k % (i + 2) != 0 for i in range(members)]


def of_member(key: str, value: float, i: int) -> float:
    """A value of the member's own beside a default, within the same bounds."""
    if key == "lr":
        return value * (1 + i) / 2
    if key == "weight_decay":
        return (0.1, 0.0, 0.02, 0.3)[i]
    if value == 0:
        return i / 100
    return value ** (1 + i / 4) if value < 1 else value * (1 + i / 4)


def hyper_of(rule: Rule, i: int) -> dict[str, Any]:
    return {
        key: tuple(of_member(key, part, i) for part in value) if isinstance(value, tuple) else of_member(key, value, i)
        for key, value in rule.hyperparameters.items()
    }


def stacked_hyper(rule: Rule, members: int = MEMBERS) -> dict[str, Any]:
    """The members' hyperparameters as StackedOptimizer takes them: a list of each, of a tuple a list of each part."""
    own = [hyper_of(rule, i) for i in range(members)]
    stacked: dict[str, Any] = {}
    for key, value in rule.hyperparameters.items():
        of_all = [each[key] for each in own]
        stacked[key] = tuple(map(list, zip(*of_all, strict=True))) if isinstance(value, tuple) else of_all
    return stacked


def streams(members: int = MEMBERS) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(7 + i) for i in range(members)]


def alone(params: Tensors, rule: Rule, i: int, **options: Any) -> tuple[list[torch.nn.Parameter], RuleOptimizer]:
    """Member i's weights, with an optimizer of their own."""
    own = [torch.nn.Parameter(w[i].clone()) for w in params.values()]
    return own, RuleOptimizer(own, rule, generator=streams()[i], **options)


def step_alone(optimizer: RuleOptimizer, own: list[torch.nn.Parameter], grads: Tensors, i: int) -> None:
    for p, g in zip(own, grads.values(), strict=True):
        p.grad = g[i].clone()
    optimizer.step()


def member(optimizer: StackedOptimizer, i: int) -> list[torch.Tensor]:
    """All that member i has: weights, states and clock."""
    held = [w[i] for w in optimizer.params.values()]
    for state in optimizer.state.values():
        held += [state[i]] if isinstance(state, torch.Tensor) else [tensor[i] for tensor in state.values()]
    return [*(tensor.clone() for tensor in held), optimizer.steps[i].clone()]


def assert_members_agree(
    optimizer: StackedOptimizer, singles: list[tuple[list[torch.nn.Parameter], RuleOptimizer]], tolerance: float
) -> None:
    """Weights, states and clocks are those of the members' own optimizers."""

    def close(what: str, found: Any, expected: Any) -> None:
        torch.testing.assert_close(
            torch.as_tensor(found), torch.as_tensor(expected, dtype=getattr(found, "dtype", None)),
            rtol=tolerance, atol=tolerance, check_stride=False, msg=lambda m: f"{what}: {m}",
        )  # fmt: skip

    for i, (own, single) in enumerate(singles):
        for (name, w), p in zip(optimizer.params.items(), own, strict=True):
            close(f"member {i}, {name}", w[i], p.detach())
            state = single.state[p]
            assert state["step"] == optimizer.steps[i]
            for of_rule in optimizer.rule.states:
                held = optimizer.state[of_rule]
                found = held[i] if isinstance(held, torch.Tensor) else held[name][i]
                close(f"member {i}, {of_rule} of {name}", found, state[of_rule])


def resynchronise(optimizer: StackedOptimizer, singles: list[tuple[list[torch.nn.Parameter], RuleOptimizer]]) -> None:
    """Gives the members' own optimizers the weights and states of the stacked one."""
    for i, (own, single) in enumerate(singles):
        for (name, w), p in zip(optimizer.params.items(), own, strict=True):
            p.detach().copy_(w[i])
            for of_rule in optimizer.rule.states:
                held = optimizer.state[of_rule]
                if isinstance(held, torch.Tensor):
                    single.state[p][of_rule] = held[i].item()
                else:
                    single.state[p][of_rule].copy_(held[name][i])


def assert_equals_members(
    rule: Rule,
    backend: str | None,
    tolerance: float,
    *,
    members: int = MEMBERS,
    dtype: torch.dtype = torch.float64,
    resync: bool = False,
    hyper: bool = True,
    **options: Any,
) -> None:
    """Steps members, each with its own hyperparameters and clock, stacked and one by one, and compares each step."""
    params = params_of(members, dtype)
    singles = [
        alone(params, rule, i, backend="plain", **options, **(hyper_of(rule, i) if hyper else {}))
        for i in range(members)
    ]
    more = stacked_hyper(rule, members) if hyper else {}
    optimizer = StackedOptimizer(params, rule, backend=backend, generators=streams(members), **options, **more)
    for k, grads in enumerate(grads_of(params)):
        active = activity(k, members)
        optimizer.step(grads, active)
        for i, (own, single) in enumerate(singles):
            if active[i]:
                step_alone(single, own, grads, i)
        assert_members_agree(optimizer, singles, tolerance)
        if resync:
            resynchronise(optimizer, singles)
    counts = [sum(activity(k, members)[i] for k in range(STEPS)) for i in range(members)]
    assert optimizer.steps.tolist() == counts
    assert len(set(counts)) == members


# Member by member


# A native step takes most of a second to compile: these have every feature among them, `make test-slow` has all rules.
QUICK = {"adam", "nadam", "radam", "gravity", "own", *PASSES}
CASES = [
    *(pytest.param(rule, "torch", id=f"{name}-torch") for name, rule in ALL.items()),
    *(
        pytest.param(
            rule, "native", marks=[needs_native, *([] if name in QUICK else [pytest.mark.slow])], id=f"{name}-native"
        )
        for name, rule in ALL.items()
    ),
]


@pytest.mark.parametrize(("rule", "backend"), CASES)
def test_members_with_their_own_hyperparameters_and_clocks_step_as_their_own_optimizers_do(rule, backend):
    assert_equals_members(rule, backend, 1e-13)


TAKING = {
    "the_second_takes_the_first": "old = y\ny = x\nx = old + g\nw = w - 0.1*x",
    "the_first_takes_the_second": "old = x\nx = y\ny = old + g\nw = w - 0.1*x",
    "one_takes_the_weight": "old = x\nx = w\nw = w - 0.1*(g + y)\ny = old",
}


@every_backend
@pytest.mark.parametrize("text", TAKING.values(), ids=TAKING)
def test_states_that_take_each_others_values_take_those_from_before_the_step(text, backend):
    assert_equals_members(Rule("taking", text, state="x y"), backend, 1e-13, hyper=False, weight_decay=0.1)


@every_backend
@pytest.mark.parametrize("options", ["maximize_coupled", "maximize_decoupled"])
@pytest.mark.parametrize("name", ["adam", "gravity"])
def test_members_are_maximized_and_decayed_as_by_their_own_optimizers(name, options, backend):
    given = {key: value for key, value in SETTINGS[options].items() if key != "weight_decay"}
    assert_equals_members(RULES[name], backend, 1e-13, **given)


@every_backend
@pytest.mark.parametrize("name", ["adam", "own"])
def test_members_in_float32_step_as_their_own_optimizers_do(name, backend):
    rule = RULES[name]
    assert_equals_members(rule, backend, 1e-6, dtype=torch.float32, resync=True)


@every_backend
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_one_member_is_one_optimizer(name, backend):
    assert_equals_members(RULES[name], backend, 1e-13, members=1)


@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_members_in_bfloat16_step_by_torch_with_float32_states_as_their_own_optimizers_do(name):
    rule, params = RULES[name], params_of(dtype=torch.bfloat16)
    singles = [alone(params, rule, i, backend="plain", **hyper_of(rule, i)) for i in range(MEMBERS)]
    optimizer = StackedOptimizer(params, rule, generators=streams(), **stacked_hyper(rule))
    assert optimizer.backend == "torch"
    for grads in grads_of(params):
        optimizer.step(grads)
        for i, (own, single) in enumerate(singles):
            step_alone(single, own, grads, i)
            for (key, w), p in zip(params.items(), own, strict=True):
                # A rounding of float32 may turn one of bfloat16.
                torch.testing.assert_close(w[i], p.detach(), rtol=2**-7, atol=1e-7)
                for state in rule.states:
                    assert optimizer.state[state][key].dtype == torch.float32
                    torch.testing.assert_close(
                        optimizer.state[state][key][i], single.state[p][state], rtol=1e-5, atol=1e-6
                    )
        resynchronise(optimizer, singles)


@every_backend
def test_one_number_is_every_members_own(backend):
    """Given as numbers, as 0-d tensors, as lists or as tensors, and of a tuple in parts."""
    ways = [
        {"lr": 0.05, "betas": (0.8, 0.9)},
        {"lr": torch.tensor(0.05, dtype=torch.float64), "betas": (torch.tensor(0.8, dtype=torch.float64), 0.9)},
        {"lr": [0.05] * MEMBERS, "betas": ([0.8] * MEMBERS, 0.9)},
        {"lr": torch.full((MEMBERS,), 0.05, dtype=torch.float64), "betas": (0.8, [0.9] * MEMBERS)},
    ]
    results = []
    for hyper in ways:
        optimizer = StackedOptimizer(params_of(), RULES["adam"], backend=backend, weight_decay=0.1, **hyper)
        for grads in grads_of(optimizer.params, 3):
            optimizer.step(grads)
        results.append([tensor for i in range(MEMBERS) for tensor in member(optimizer, i)])
    for other in results[1:]:
        assert_same(other, results[0])


@every_backend
@pytest.mark.parametrize("name", ["adam", "own", "lamb", "scalar_state"])
def test_a_member_that_is_not_active_keeps_every_bit(name, backend):
    optimizer = StackedOptimizer(params_of(), ALL[name], backend=backend, **stacked_hyper(ALL[name]))
    for k, grads in enumerate(grads_of(optimizer.params, 6)):
        still = k % MEMBERS
        before = [member(optimizer, i) for i in range(MEMBERS)]
        optimizer.step(grads, [i != still for i in range(MEMBERS)])
        for i in range(MEMBERS):
            same = all(torch.equal(a, b) for a, b in zip(member(optimizer, i), before[i], strict=True))
            assert same == (i == still)


@every_backend
def test_a_per_tensor_state_is_one_value_a_member_and_a_scalar_state_one_float64(backend):
    """norm(v) of a member alone: 3 and 4 in member 0, ten times that in member 1."""
    params = {"w": torch.zeros(2, 2), "b": torch.zeros(2, 1)}
    text = "v = v + g\nn = c*norm(v) + 0*n\nc = c/2\nw = w - lr*v/(1 + n)"
    rule = Rule("both", text, state="v n c", init={"c": "1"}, lr=0.1)
    optimizer = StackedOptimizer(params, rule, backend=backend)
    grads = {"w": torch.tensor([[3.0, 4.0], [30.0, 40.0]]), "b": torch.tensor([[1.0], [2.0]])}
    optimizer.step(grads)
    assert optimizer.state["n"]["w"].tolist() == [5.0, 50.0]
    assert optimizer.state["n"]["b"].tolist() == [1.0, 2.0]
    assert optimizer.state["c"].dtype == torch.float64
    optimizer.step(grads, [False, True])
    assert optimizer.state["n"]["w"].tolist() == [5.0, 50.0]  # half the norm of twice as much
    assert optimizer.state["c"].tolist() == [0.5, 0.25]
    assert optimizer.state["v"]["w"].shape == (2, 2)


# Random starts


@every_backend
@pytest.mark.parametrize("name", sorted(NOISY))
def test_a_member_starts_from_the_noise_of_an_optimizer_with_an_equal_generator(name, backend):
    rule, params = RULES[name], params_of()
    optimizer = StackedOptimizer(params, rule, backend=backend, generators=streams(), **stacked_hyper(rule))
    noise = optimizer.state["v"]["matrix"]
    assert not torch.equal(noise[0], noise[1])
    for i in range(MEMBERS):
        own, single = alone(params, rule, i, **hyper_of(rule, i))
        assert_same([optimizer.state["v"][key][i] for key in SHAPES], [single.state[p]["v"] for p in own])


@needs_native
@pytest.mark.parametrize("name", ["gravity", "gravity_ema_noise"])
def test_a_native_member_equals_a_native_optimizer_with_an_equal_generator_to_the_bit(name):
    rule, params = RULES[name], params_of()
    own = {key: value for key, value in stacked_hyper(rule).items() if key != "weight_decay"}
    optimizer = StackedOptimizer(params, rule, backend="native", generators=streams(), weight_decay=0.1, **own)
    singles = [
        alone(params, rule, i, backend="native", **{**hyper_of(rule, i), "weight_decay": 0.1}) for i in range(MEMBERS)
    ]
    for grads in grads_of(params):
        optimizer.step(grads)
        for i, (weights, single) in enumerate(singles):
            step_alone(single, weights, grads, i)
            assert_same([w[i] for w in params.values()], [p.detach() for p in weights])
            assert_same([optimizer.state["v"][key][i] for key in SHAPES], [single.state[p]["v"] for p in weights])


def test_without_generators_the_first_member_starts_as_an_optimizer_without_one_and_no_two_alike():
    rule, params = RULES["gravity"], params_of()
    optimizer = StackedOptimizer(params, rule)
    own = [torch.nn.Parameter(w[0].clone()) for w in params.values()]
    single = RuleOptimizer(own, rule)
    assert_same([optimizer.state["v"][key][0] for key in SHAPES], [single.state[p]["v"] for p in own])
    noise = optimizer.state["v"]["matrix"]
    assert all(not torch.equal(noise[i], noise[j]) for i in range(MEMBERS) for j in range(i))


# Independence


@every_backend
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["adam", "gravity", "own", "lamb", "scalar_state"])
def test_a_member_whose_gradient_is_not_finite_changes_no_bit_of_the_others(name, bad, backend):
    rule, ill = ALL[name], 2

    def run(value: float | None) -> list[list[torch.Tensor]]:
        params = params_of()
        optimizer = StackedOptimizer(params, rule, backend=backend, generators=streams(), **stacked_hyper(rule))
        for k, grads in enumerate(grads_of(params, 6)):
            if k >= 2 and value is not None:
                for g in grads.values():
                    g[ill].fill_(value)
            optimizer.step(grads)
        return [member(optimizer, i) for i in range(MEMBERS)]

    sound, fallen = run(None), run(bad)
    assert not all(torch.isfinite(tensor).all() for tensor in fallen[ill])
    for i in {*range(MEMBERS)} - {ill}:
        assert all(torch.isfinite(tensor).all() for tensor in fallen[i])
        assert_same(fallen[i], sound[i])


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many parts of each loop were given to other threads; torch's number of threads is put back afterwards."""
    before, given = torch.get_num_threads(), []
    submit = native._pool.submit
    monkeypatch.setattr(native._pool, "submit", lambda *part: (given.append(1), submit(*part))[1])
    yield given
    torch.set_num_threads(before)


LARGE = {"large": (native.SLICE + 1234,), "matrix": (30, 40), "number": (), "empty": (0,)}


@needs_native
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_the_number_of_threads_changes_no_bit_of_any_member(name, threads):
    """Members of several slices, so that threads begin within a member; one of three does not step."""
    rule, count = RULES[name], 3
    random = torch.Generator().manual_seed(0)
    start = {key: torch.randn(count, *shape, generator=random, dtype=torch.float64) for key, shape in LARGE.items()}
    grads = {key: torch.randn(w.shape, generator=random, dtype=torch.float64) for key, w in start.items()}
    assert sum(w.numel() for w in start.values()) > native.WORTH_THREADS
    results = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        threads.clear()
        params = {key: w.clone() for key, w in start.items()}
        hyper = stacked_hyper(rule, count)
        optimizer = StackedOptimizer(params, rule, backend="native", generators=streams(count), **hyper)
        optimizer.step(grads)
        optimizer.step(grads, [True, False, True])
        assert bool(threads) == (number > 1)
        results.append([tensor for i in range(count) for tensor in member(optimizer, i)])
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])
    singles = [alone(start, rule, i, backend="native", **hyper_of(rule, i)) for i in range(count)]
    for i, (own, single) in enumerate(singles):
        for _ in range(2 - (i == 1)):
            step_alone(single, own, grads, i)
    assert_members_agree(optimizer, singles, 1e-13)


# Memory


@every_backend
def test_gradients_of_any_layout_are_read_as_what_they_are_and_kept(backend):
    """Transposed, expanded, every other element, and with their sign put off, as a conjugate's imaginary part has."""
    shapes = {"a": (3, 4, 5), "b": (3, 4), "c": (3, 6), "d": (3, 2), "e": (3, 2)}
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    odd = {
        "a": normal(5, 4, 3).permute(2, 1, 0),
        "b": normal(3, 1).expand(3, 4),
        "c": normal(3, 12)[:, ::2],
        "d": torch.complex(normal(3, 2), normal(3, 2)).conj().imag,
        "e": torch._neg_view(normal(3, 2)),
    }
    assert all(odd[key].is_neg() for key in "de")
    assert odd["e"].is_contiguous()
    assert not any(odd[key].is_contiguous() for key in "abc")
    even = {key: g.clone(memory_format=torch.contiguous_format).resolve_neg() for key, g in odd.items()}
    results = []
    for grads in (odd, even):
        before = {key: g.clone() for key, g in grads.items()}
        params = {key: torch.ones(shape, dtype=torch.float64) for key, shape in shapes.items()}
        optimizer = StackedOptimizer(params, RULES["own"], backend=backend, weight_decay=0.1)
        optimizer.step(grads)
        optimizer.step(grads)
        results.append([*params.values(), *optimizer.state["v"].values()])
        assert_same([*grads.values()], [*before.values()])
    assert_same(results[0], results[1])


@every_backend
def test_a_step_counts_as_a_change_in_place_of_weights_and_states_but_not_of_gradients(backend):
    params = params_of()
    optimizer = StackedOptimizer(params, RULES["own"], backend=backend, weight_decay=0.1)
    grads = grads_of(params, 1)[0]
    changed = [*params.values(), *optimizer.state["v"].values(), *optimizer.state["n"].values()]
    before, of_grads = [t._version for t in changed], [g._version for g in grads.values()]
    optimizer.step(grads)
    assert all(t._version > version for t, version in zip(changed, before, strict=True))
    assert [g._version for g in grads.values()] == of_grads


@every_backend
def test_backward_through_weights_that_a_step_has_changed_is_an_error(backend):
    w = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = StackedOptimizer({"w": w}, RULES["sgd"], backend=backend)
    loss = w.square().sum()
    optimizer.step({"w": torch.ones_like(w).detach()})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@every_backend
def test_weights_put_elsewhere_by_their_owner_are_stepped_where_they_are(backend):
    """`w.data = ...` gives a tensor other memory."""
    params, other = params_of(), params_of()
    ours, same = (StackedOptimizer(w, RULES["adam"], backend=backend, weight_decay=0.1) for w in (params, other))
    kept: list[torch.Tensor] = []
    for k, grads in enumerate(grads_of(params, 4)):
        if k == 2:
            for w in params.values():
                kept.append(w.data)  # or a step of the old memory would be one of freed memory
                w.data = w.data.clone()
        ours.step(grads)
        same.step(grads)
    assert_same([*params.values()], [*other.values()])


@every_backend
@pytest.mark.parametrize("name", ["adam", "own"])
def test_states_put_elsewhere_are_stepped_where_they_are(name, backend):
    """A state may be given other memory, or be another tensor: what `state` holds is what a step reads and writes."""
    optimizer = StackedOptimizer(params_of(), RULES[name], backend=backend, **stacked_hyper(RULES[name]))
    same = StackedOptimizer(params_of(), RULES[name], backend=backend, **stacked_hyper(RULES[name]))
    kept: list[torch.Tensor] = []
    for k, grads in enumerate(grads_of(optimizer.params, 4)):
        for state in optimizer.state.values():
            if k == 1:
                for tensor in state.values():
                    kept.append(tensor.data)  # or a step of the old memory would be one of freed memory
                    tensor.data = tensor.data.clone()
            if k == 2:
                state.update({key: tensor.clone() for key, tensor in state.items()})
        optimizer.step(grads)
        same.step(grads)
    for i in range(MEMBERS):
        assert_same(member(optimizer, i), member(same, i))


def through_pickle(optimizer: StackedOptimizer) -> StackedOptimizer:
    loaded: StackedOptimizer = pickle.loads(pickle.dumps(optimizer))
    return loaded


@every_backend
@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle])
@pytest.mark.parametrize("name", ["own", "nadam"])
def test_a_copy_goes_on_by_itself(name, copied, backend):
    """It makes the steps that its original makes, and neither changes a bit of the other."""
    rule = ALL[name]
    optimizer = StackedOptimizer(params_of(), rule, backend=backend, **stacked_hyper(rule))
    grads = grads_of(optimizer.params, 4)
    for row in grads[:2]:
        optimizer.step(row)
    twin = copied(optimizer)
    before = [tensor for i in range(MEMBERS) for tensor in member(optimizer, i)]
    for row in grads[2:]:
        twin.step(row)
    assert_same([tensor for i in range(MEMBERS) for tensor in member(optimizer, i)], before)
    for row in grads[2:]:
        optimizer.step(row)
    for i in range(MEMBERS):
        assert_same(member(twin, i), member(optimizer, i))


@needs_native
@pytest.mark.parametrize("change", ["fewer_members", "transposed", "float64"])
def test_weights_that_are_no_more_what_they_were_are_refused_or_stepped_as_they_are(change):
    """Never as if they had the old shape, order or dtype: that would be other memory."""
    results = []
    for backend in ("native", "torch"):
        w = torch.ones(3, 3)
        optimizer = StackedOptimizer({"w": w}, RULES["adam"], backend=backend, weight_decay=0.1)
        optimizer.step({"w": torch.ones(3, 3)})
        room, of_g = torch.arange(18.0).reshape(6, 3), torch.linspace(-1, 1, 18).reshape(6, 3)
        if change == "fewer_members":
            w.data, g = room[:2], of_g[:2]
        elif change == "transposed":
            w.data, g = room[:3].t(), of_g[:3].t()
        else:
            room, of_g = room.double(), of_g.double()
            w.data, g = room[:3], of_g[:3]
        before = room.clone()
        try:
            optimizer.step({"w": g})
        except (ValueError, RuntimeError):
            results.append(before)  # unchanged
            assert torch.equal(room, before)
        else:
            results.append(room)
            assert torch.equal(room[3:], before[3:])  # the neighbours'
    if not torch.equal(results[0], before):
        torch.testing.assert_close(results[0], results[1])


# Saving


@every_backend
@pytest.mark.parametrize("name", ["adam", "gravity", "own", "nadam", "per_tensor_condition"])
def test_resumed_from_a_file_it_goes_on_as_if_it_had_not_stopped_to_the_bit(name, backend):
    """With another lr set on the way, members on clocks of their own, and a new optimizer at other hyperparameters."""
    rule, params = ALL[name], params_of()
    grads, again = grads_of(params), None
    whole = StackedOptimizer(params, rule, backend=backend, generators=streams(), **stacked_hyper(rule))
    for k, row in enumerate(grads):
        if k == 3:
            whole.set(lr=[0.01, 0.02, 0.03, 0.04])
        whole.step(row, activity(k))
        if k == 5:
            file = io.BytesIO()
            torch.save({"params": params, "optimizer": whole.state_dict()}, file)
            file.seek(0)
            loaded = torch.load(file, weights_only=True)
            again = StackedOptimizer(loaded["params"], rule, backend=backend, weight_decay=0.5)
            again.load_state_dict(loaded["optimizer"])
            assert again.hyper["lr"].tolist() == [0.01, 0.02, 0.03, 0.04]
        elif again is not None:
            again.step(row, activity(k))
    for i in range(MEMBERS):
        assert_same(member(again, i), member(whole, i))


@every_backend
def test_set_takes_effect_from_the_next_step_on_and_leaves_the_rest(backend):
    params, w = {"w": torch.zeros(3, 2, dtype=torch.float64)}, torch.ones(3, 2, dtype=torch.float64)
    optimizer = StackedOptimizer(params, RULES["sgd"], lr=1.0, backend=backend)
    optimizer.step({"w": w})
    optimizer.set(lr=[1.0, 2.0, 3.0])
    optimizer.step({"w": w})
    assert params["w"][:, 0].tolist() == [-2.0, -3.0, -4.0]
    optimizer.set(weight_decay=[0.0, 0.5, 1.0])
    optimizer.step({"w": 0 * w})
    assert params["w"][:, 0].tolist() == [-2.0, -3.0 + 2.0 * 0.5 * 3.0, -4.0 + 3.0 * 4.0]
    assert optimizer.hyper["lr"].tolist() == [1.0, 2.0, 3.0]


# Pure functions


def network(dtype: torch.dtype = torch.float64) -> Tensors:
    """One network's weights by name."""
    return {name: w[0] for name, w in params_of(1, dtype).items()}


def leaves(state: Any) -> list[torch.Tensor]:
    return [leaf for value in state.values() for leaf in (leaves(value) if isinstance(value, dict) else [value])]


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL)
def test_update_is_the_step_of_an_optimizer_and_changes_nothing_that_it_is_given(rule):
    params, pure, hyper = network(), functional(rule), hyper_of(rule, 0)
    own = [torch.nn.Parameter(w.clone()) for w in params.values()]
    single = RuleOptimizer(own, rule, backend="plain", **hyper)
    state = pure.init(params, hyper)
    for row in grads_of(params_of(1)):
        grads = {name: g[0] for name, g in row.items()}
        given = [*params.values(), *grads.values(), *leaves(state)]
        before = [tensor.clone() for tensor in given]
        new_params, new_state = pure.update(params, grads, state, hyper)
        assert_same(given, before)
        params, state = new_params, new_state
        for p, g in zip(own, grads.values(), strict=True):
            p.grad = g.clone()
        single.step()
        for (name, w), p in zip(params.items(), own, strict=True):
            torch.testing.assert_close(w, p.detach(), rtol=1e-12, atol=1e-12)
            for of_rule in rule.states:
                found = state[of_rule] if isinstance(state[of_rule], torch.Tensor) else state[of_rule][name]
                expected = torch.as_tensor(single.state[p][of_rule], dtype=torch.float64)
                torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert int(state["step"]) == STEPS == single.state[own[0]]["step"]


@pytest.mark.parametrize("options", ["maximize_coupled", "maximize_decoupled"])
def test_update_maximizes_and_decays_as_an_optimizer_does(options):
    decay, params = SETTINGS[options], network()
    pure = functional(RULES["adam"], maximize=True, decay=decay["decay"])
    own = [torch.nn.Parameter(w.clone()) for w in params.values()]
    single, state = RuleOptimizer(own, RULES["adam"], backend="plain", **decay), pure.init(params)
    for row in grads_of(params_of(1), 4):
        grads = {name: g[0] for name, g in row.items()}
        params, state = pure.update(params, grads, state, {"weight_decay": 0.1})
        step_alone(single, own, row, 0)
    for w, p in zip(params.values(), own, strict=True):
        torch.testing.assert_close(w, p.detach(), rtol=1e-12, atol=1e-12)


@every_rule
def test_update_under_vmap_is_update_of_each(rule):
    """With an lr of each network's own, on clocks of their own."""
    pure, params = functional(rule), params_of()
    lr = rule.hyperparameters["lr"] * torch.arange(1.0, 1 + MEMBERS, dtype=torch.float64)
    each = [{name: w[i] for name, w in params.items()} for i in range(MEMBERS)]
    states = [pure.init(own, generator=stream) for own, stream in zip(each, streams(), strict=True)]
    for i, state in enumerate(states):
        state["step"] += i
    together = torch.utils._pytree.tree_map(lambda *parts: torch.stack(parts), *states)
    for row in grads_of(params, 4):
        params, together = vmap(pure.update)(params, row, together, {"lr": lr})
        for i in range(MEMBERS):
            own = {name: g[i] for name, g in row.items()}
            each[i], states[i] = pure.update(each[i], own, states[i], {"lr": float(lr[i])})
            for name in SHAPES:
                torch.testing.assert_close(params[name][i], each[i][name], rtol=1e-12, atol=1e-12)
    assert together["step"].tolist() == [4 + i for i in range(MEMBERS)]


def loss_after(rule: Rule, lr: torch.Tensor, steps: int = 3) -> torch.Tensor:
    """A loss after a few steps down it, as a function of lr."""
    scale = torch.tensor([1.0, 0.3, 2.0], dtype=torch.float64)
    params = {"w": torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)}
    pure = functional(rule)
    state = pure.init(params)
    for _ in range(steps):
        params, state = pure.update(params, {"w": 2 * scale * params["w"]}, state, {"lr": lr})
    return (scale * params["w"].square()).sum()


@pytest.mark.parametrize("name", ["sgd", "adam", "own"])
def test_the_gradient_of_a_later_loss_with_respect_to_lr_equals_finite_differences(name):
    lr, h = torch.tensor(0.07, dtype=torch.float64), 1e-5
    found = grad(lambda value: loss_after(RULES[name], value))(lr)
    difference = (loss_after(RULES[name], lr + h) - loss_after(RULES[name], lr - h)) / (2 * h)
    assert abs(float(difference)) > 0.1
    assert float(found) == pytest.approx(float(difference), rel=1e-6)


def test_the_gradient_of_a_loss_after_one_step_of_sgd_with_respect_to_lr_is_minus_the_squared_gradient_scaled():
    """loss(w - lr*g) of loss = sum(w**2)/2, g = w: its derivative by lr is -(1 - lr)*sum(w**2)."""
    w, pure = torch.tensor([1.0, -2.0], dtype=torch.float64), functional(RULES["sgd"])

    def loss(lr: torch.Tensor) -> torch.Tensor:
        params, _ = pure.update({"w": w}, {"w": w}, pure.init({"w": w}), {"lr": lr})
        return params["w"].square().sum() / 2

    assert float(grad(loss)(torch.tensor(0.25, dtype=torch.float64))) == pytest.approx(-(1 - 0.25) * 5.0, rel=1e-14)


# An ensemble, trained


def model(seed: int) -> torch.nn.Module:
    random = torch.Generator().manual_seed(seed)
    layers = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    for p in layers.parameters():
        p.data = torch.randn(p.shape, generator=random, dtype=torch.float64)
    return layers


X = torch.randn(16, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.sin(X.sum(dim=1, keepdim=True))
LRS = [0.01, 0.03, 0.1]


def by_stacked_optimizer(backend: str) -> Callable[[Tensors, Callable[..., Tensors]], Tensors]:
    def train(params: Tensors, gradients: Callable[..., Tensors]) -> Tensors:
        optimizer = StackedOptimizer(params, RULES["adam"], lr=LRS, weight_decay=0.1, backend=backend)
        for _ in range(STEPS):
            optimizer.step(gradients(params))
        return params

    return train


def by_pure_functions(params: Tensors, gradients: Callable[..., Tensors]) -> Tensors:
    pure = functional(RULES["adam"])
    state, hyper = (
        vmap(pure.init)(params),
        {
            "lr": torch.tensor(LRS, dtype=torch.float64),
            "weight_decay": torch.tensor(0.1, dtype=torch.float64).expand(3),
        },
    )
    for _ in range(STEPS):
        params, state = vmap(pure.update)(params, gradients(params), state, hyper)
    return params


@pytest.mark.parametrize(
    "train",
    [
        pytest.param(by_stacked_optimizer("native"), marks=needs_native, id="native"),
        pytest.param(by_stacked_optimizer("torch"), id="torch"),
        pytest.param(by_pure_functions, id="functional"),
    ],
)
def test_an_ensemble_of_stacked_modules_trains_as_its_members_one_by_one(train):
    models = [model(seed) for seed in range(3)]
    params, _ = stack_module_state(models)

    def loss(own: Tensors) -> torch.Tensor:
        return (functional_call(models[0], own, (X,)) - Y).square().mean()

    trained = train({name: w.detach() for name, w in params.items()}, vmap(grad(loss)))
    for i, (own, lr) in enumerate(zip([model(seed) for seed in range(3)], LRS, strict=True)):
        optimizer = RuleOptimizer(own.parameters(), RULES["adam"], lr=lr, weight_decay=0.1, backend="plain")
        for _ in range(STEPS):
            optimizer.zero_grad()
            (own(X) - Y).square().mean().backward()
            optimizer.step()
        for name, p in own.named_parameters():
            torch.testing.assert_close(trained[name][i], p.detach(), rtol=1e-10, atol=1e-10)
