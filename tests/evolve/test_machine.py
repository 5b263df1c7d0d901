"""The virtual machine: each member steps as the plain step of its rule says, whoever else is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from optim.test_foreach_agrees import Bounded, bounded
from optim.trajectories import needs_native
from rules.random_rules import GENOMES, PROGRAMS, as_text

from thalweg import Rule
from thalweg.evolve.machine import Machine
from thalweg.optim import RuleOptimizer
from thalweg.optim.states import first_states
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY

pytestmark = needs_native

RULES = {name: entry.rule for name, entry in GALLERY.items()}
# A tensor longer than two blocks, odd ones, one weight, none, and a 0-d one.
SHAPES = {"long": (29, 31), "matrix": (5, 7), "odd": (13,), "one": (1, 1), "empty": (0, 3), "scalar": ()}
STEPS = 7
fuzz = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

Tensors = dict[str, torch.Tensor]


def tensors(members: int, seed: int, dtype: torch.dtype = torch.float64, shapes=SHAPES) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(members, *s, generator=random, dtype=torch.float64) for name, s in shapes.items()}
    return {name: torch.where(x.abs() < 0.05, 0.0, x).to(dtype) for name, x in drawn.items()}


def stepped(rules, params: Tensors, steps=range(STEPS), active=None) -> Tensors:
    """The weights after the steps, whose gradients are drawn from their numbers."""
    machine = Machine(rules, params)
    dtype = next(iter(params.values())).dtype
    for k in steps:
        machine.step(tensors(len(rules), 100 + k, dtype, {name: w.shape[1:] for name, w in params.items()}), active)
    return params


def plainly(rule: Rule, member: int, members: int, steps: int, dtype: torch.dtype) -> Tensors:
    """What the plain step makes of a member, tensor by tensor."""
    scalars = rule.scalars(rule.hyperparameters)
    made = {}
    for index, (name, stacked) in enumerate(tensors(members, 0, dtype).items()):
        w = stacked[member]
        first = first_states(rule, w, dict(rule.hyperparameters), 0, index)
        states = [first[state] for state in rule.states]
        for k in range(steps):
            g, t = tensors(members, 100 + k, dtype)[name][member], float(rule.first_step + k)
            w, *states = plain.step(rule)(w, g, *states, t=t, **scalars, maximize=False, decay=rule.decay)
        made[name] = w
    return made


def exactly(value: np.ndarray | np.float64) -> Bounded:
    return Bounded(value, np.float64(0))


def bits(params: Tensors, member: int) -> list[bytes]:
    return [w[member].numpy().tobytes() for w in params.values()]


# Equal to the plain step


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [(torch.float64, STEPS, 1e-12), (torch.float32, 1, 5e-7), (torch.float32, STEPS, 1e-5)],
    ids=["float64", "a float32 step", "float32"],
)
def test_a_generation_of_all_gallery_rules_steps_as_their_plain_steps(dtype, steps, tolerance):
    rules = list(RULES.values())
    made = stepped(rules, tensors(len(rules), 0, dtype), range(steps))
    for member, rule in enumerate(rules):
        for name, expected in plainly(rule, member, len(rules), steps, dtype).items():
            found = made[name][member]
            assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance / 10), (rule.name, name)


def test_random_rules_step_within_the_bounds_of_rounding():
    """Where a rounding decides nothing: the bounds know what may turn."""
    compared, tight = [], []

    @fuzz
    @given(PROGRAMS)
    def compare(lines) -> None:
        rule = Rule("random", as_text(lines))
        params, values = tensors(1, 0, shapes={"a": (8,), "b": (3,)}), {}
        for name, w in params.items():
            values[name] = {"w": exactly(w[0].numpy().copy()), **dict.fromkeys(rule.states, exactly(np.float64(0)))}
        machine = Machine([rule], params)
        for k in range(3):
            grads = tensors(1, 100 + k, shapes={"a": (8,), "b": (3,)})
            machine.step(grads)
            for name, w in params.items():
                own = values[name]
                own |= {"g": exactly(grads[name][0].numpy()), "t": exactly(np.float64(k + 1))}
                with np.errstate(all="ignore"):
                    for equation in rule.program.specialised(()).equations:
                        own[equation.name] = bounded(equation.value, own)
                    known = np.broadcast_to(np.isfinite(own["w"].error), w[0].shape)
                    within = np.abs(w[0].numpy() - own["w"].value) <= 2 * own["w"].error
                assert (within | ~known).all(), (rule.text, k, name)
                compared.append(known.mean())
                tight.append((own["w"].error <= 1e-9 * (1 + np.abs(own["w"].value))).mean())

    compare()
    assert np.mean(compared) > 0.7  # or the bounds say little
    assert np.mean(tight) > 0.6


def test_states_that_the_weight_does_not_follow_from_cost_nothing_and_change_nothing():
    dead = Rule("dead", "m = 0.5*m + g\nv = 0.9*v + exp(v + m)\nw = w - 0.1*m", state="m v")
    alive = Rule("alive", "m = 0.5*m + g\nw = w - 0.1*m")
    params = stepped([dead, alive], {name: w[:1].repeat(2, *[1] * (w.dim() - 1)) for name, w in tensors(1, 0).items()})
    machine = Machine([dead], tensors(1, 0))
    assert machine._kept.weight_states.nbytes == Machine([alive], tensors(1, 0))._kept.weight_states.nbytes
    reference = stepped([alive, alive], {n: w[:1].repeat(2, *[1] * (w.dim() - 1)) for n, w in tensors(1, 0).items()})
    assert torch.equal(params["matrix"][1], reference["matrix"][1])


def test_new_values_are_taken_on_all_at_once():
    """Two states that exchange their values, of each kind."""
    swap = "old = a\na = b + 0*{zero}\nb = old + 1\nw = w + a + 10*b"
    for zero in ("t", "max_abs(g)", "g"):
        rule = Rule("swap", swap.format(zero=zero), state="a b")
        w = {"w": torch.zeros(1, 4, dtype=torch.float64)}
        machine = Machine([rule], w)
        seen = []
        for _ in range(4):
            machine.step({"w": torch.ones(1, 4, dtype=torch.float64)})
            seen.append(w["w"][0, 0].item())
        a, b, total, expected = 0, 0, 0, []
        for _ in range(4):
            a, b = b, a + 1
            total += a + 10 * b
            expected.append(total)
        assert seen == expected


@pytest.mark.parametrize("name", ["number", "lift", "load", "values", "R", "i"])
def test_a_state_may_be_called_what_the_machine_calls_its_own(name):
    params = {"w": torch.zeros(1, 3, dtype=torch.float64)}
    machine = Machine([Rule("named", f"{name} = {name} + g\nw = w - {name}")], params)
    for _ in range(3):
        machine.step({"w": torch.ones(1, 3, dtype=torch.float64)})
    assert (params["w"] == -6).all()


@pytest.mark.parametrize("first_step", [0, 1])
def test_the_clock_of_each_member_starts_at_its_rules_first_step_and_rests_with_it(first_step):
    rules = [Rule("count", "w = w + 10**t", first_step=first_step)] * 2
    params = {"w": torch.zeros(2, 3, dtype=torch.float64)}
    machine = Machine(rules, params)
    for active in ([True, True], [True, False], [True, True]):
        machine.step({"w": torch.zeros(2, 3, dtype=torch.float64)}, np.array(active))
    assert machine.steps.tolist() == [3, 2]
    assert params["w"][:, 0].tolist() == [111 * 10**first_step, 11 * 10**first_step]


def test_weight_decay_is_what_the_rules_default_says():
    coupled = Rule("decays", "w = w - lr*g", lr=0.5, weight_decay=0.1)
    params = {"w": torch.full((2, 1), 2.0, dtype=torch.float64)}
    Machine([coupled, coupled.replace(decay="decoupled")], params).step({"w": torch.ones(2, 1, dtype=torch.float64)})
    assert params["w"].flatten().tolist() == [2 - 0.5 * (1 + 0.1 * 2), 2 * (1 - 0.5 * 0.1) - 0.5]


def test_random_initial_states_are_those_that_an_optimizer_of_that_seed_draws():
    rule = RULES["gravity"]
    params = tensors(2, 0)
    optimizers, own = [], []
    for member in range(2):
        own.append([torch.nn.Parameter(w[member].clone()) for w in params.values()])
        optimizers.append(
            RuleOptimizer(own[-1], rule, backend="plain", generator=torch.Generator().manual_seed(member))
        )
    seeds = [int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(member))) for member in range(2)]
    grads = tensors(2, 1)
    Machine([rule, rule], params, seeds=seeds).step(grads)
    for member, optimizer in enumerate(optimizers):
        for p, g in zip(own[member], grads.values(), strict=True):
            p.grad = g[member].clone()
        optimizer.step()
        for p, w in zip(own[member], params.values(), strict=True):
            torch.testing.assert_close(w[member], p.detach(), rtol=1e-12, atol=1e-14)


# Independent of one another


def test_a_member_has_the_same_bits_alone_and_in_any_company():
    """Beside members that turn NaN and beside others, before and behind them, stopped or not."""
    bad = Rule("bad", "m = 0.9*m + norm(g)\nw = w/0 - m - sqrt(-1 - abs(w))", state="m")
    one = ["gravity", "adam", "nadam", "lion"]
    alone = {}
    for name in one:
        params = {n: w[2:3].clone() for n, w in tensors(4, 0).items()}
        machine = Machine([RULES[name]], params)
        for k in range(STEPS):
            machine.step({n: g[2:3].contiguous() for n, g in tensors(4, 100 + k).items()})
        alone[name] = bits(params, 0)
    for name in one:
        crowd = [bad, RULES["radam"], RULES[name], bad]
        assert bits(stepped(crowd, tensors(4, 0)), 2) == alone[name]
        assert bits(stepped(crowd, tensors(4, 0), active=np.array([True, False, True, False])), 2) == alone[name]


def test_members_that_are_not_active_keep_weights_states_and_clock():
    rules = [RULES["adam"], RULES["nadam"], RULES["gravity"]]
    params = tensors(3, 0)
    machine = Machine(rules, params)
    machine.step(tensors(3, 100))
    machine.step({name: torch.full_like(w, math.nan) for name, w in params.items()}, np.zeros(3, dtype=np.bool_))
    for k in range(1, STEPS):
        machine.step(tensors(3, 100 + k))
    expected = stepped(rules, tensors(3, 0))
    assert [bits(params, i) for i in range(3)] == [bits(expected, i) for i in range(3)]


def test_no_bit_depends_on_the_number_of_threads():
    rules = [rule for rule in RULES.values() for _ in range(2)]
    shapes = {"w": (1500,), "b": (40,)}
    made = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            params = stepped(rules, tensors(len(rules), 0, torch.float32, shapes), range(3))
            made.append([w.numpy().tobytes() for w in params.values()])
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("kept", [[4, 0, 2], np.array([True, False, True, False, True])], ids=["places", "mask"])
def test_members_that_are_kept_go_on_bit_for_bit(kept):
    rules = [RULES[name] for name in ("adam", "sgd", "nadam", "lion", "gravity")]
    rules[1] = Rule("kinds", "a = a + t\nb = b + norm(g)\nc = c + g\nw = w - 0.01*(a + b + c)", state="a b c")
    places = np.arange(5)[kept]
    params = tensors(5, 0)
    machine = Machine(rules, params)
    for k in range(3):
        machine.step(tensors(5, 100 + k), np.array([True, True, k != 1, True, True]))
    rest = machine.keep(kept)
    for k in range(3, STEPS):
        grads = tensors(5, 100 + k)
        machine.step(grads)
        rest.step({name: g[torch.from_numpy(places)] for name, g in grads.items()})
    assert rest.steps.tolist() == [machine.steps[i] for i in places]
    assert [bits(rest.params, k) for k in range(len(places))] == [bits(params, i) for i in places]


@fuzz
@given(GENOMES, GENOMES)
def test_random_company_changes_no_bit(one, other):
    rules = [Rule("random", as_text(genome.program())) for genome in (other, one)]
    shapes = {"a": (9,), "b": ()}
    params = tensors(2, 0, torch.float32, shapes)
    alone = {name: w[1:].clone() for name, w in params.items()}
    together, single = Machine(rules, params), Machine(rules[1:], alone)
    for k in range(2):
        grads = tensors(2, 100 + k, torch.float32, shapes)
        together.step(grads)
        single.step({name: g[1:] for name, g in grads.items()})
    assert bits(params, 1) == bits(alone, 0)


# What is refused


@pytest.mark.parametrize(
    ("members", "params", "message"),
    [
        (1, {"w": torch.zeros(2, 3)}, "rules must be one Rule for each of 2 members, got 1"),
        (2, {"w": torch.zeros(2, 3, dtype=torch.bfloat16)}, "params must be float32 or float64 on the CPU"),
        (2, {"w": torch.zeros(3, 2).t()}, "params must be contiguous"),
        (2, {"w": torch.zeros(2, 3), "b": torch.zeros(3)}, "params must have one leading axis of members"),
    ],
)
def test_rules_and_params_that_do_not_fit_are_refused(members, params, message):
    with pytest.raises(ValueError, match=message):
        Machine([RULES["sgd"]] * members, params)


@pytest.mark.parametrize(
    ("grads", "active", "message"),
    [
        ({}, None, "grads must have a tensor for 'w', got none"),
        ({"w": torch.zeros(2, 4)}, None, "the gradient of 'w' is"),
        ({"w": torch.zeros(2, 3, dtype=torch.float64)}, None, "the gradient of 'w' is"),
        ({"w": torch.zeros(2, 3)}, np.ones(3, dtype=np.bool_), "active must be a bool for each of 2 members"),
        ({"w": torch.zeros(2, 3)}, [1, 0], "active must be a bool for each of 2 members"),
    ],
)
def test_gradients_that_do_not_fit_are_refused_before_anything_moves(grads, active, message):
    params = {"w": torch.ones(2, 3)}
    machine = Machine([RULES["sgd"]] * 2, params)
    with pytest.raises(ValueError, match=message):
        machine.step(grads, active)
    assert (params["w"] == 1).all()
    assert machine.steps.tolist() == [0, 0]


def test_a_gradient_laid_out_otherwise_is_read_as_it_is():
    g = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).t()
    params = {"w": torch.zeros(2, 3)}
    Machine([Rule("descent", "w = w - g")] * 2, params).step({"w": g})
    assert torch.equal(params["w"], -g)


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    import builtins

    real = builtins.__import__

    def refusing(name, *arguments):
        if name == "numba":
            raise ImportError("no numba here")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(RuntimeError, match=r"evolution needs numba.*no numba here.*pip install numba"):
        Machine([RULES["sgd"]], {"w": torch.zeros(1, 3)})
