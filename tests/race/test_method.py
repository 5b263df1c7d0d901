"""Methods: those that have a name, and any torch optimizer beside them, each stepped and counted as it wants to be."""

from __future__ import annotations

import math
import pickle
import textwrap

import cloudpickle
import pytest
import torch
from race.teams import CPU, difference, member, network, order_for, trained, weights_of, workload
from torch import nn

from thalweg import Rule
from thalweg.race.alone import Alone
from thalweg.race.foreign import FURTHER_PASSES, OWN_PASSES, PLAIN, Foreign, style_of
from thalweg.race.method import OTHERS, Method, method_from, method_named, names
from thalweg.race.paste import optimizer_line
from thalweg.race.searching import SEARCHED
from thalweg.race.seeds import Stream
from thalweg.race.spaces import Float
from thalweg.rules.gallery import GALLERY

EPOCHS, BATCHES = 10, 5


pytestmark = pytest.mark.usefixtures("one_thread")


def written_out(one, make, step, dtype=torch.float64) -> dict[str, torch.Tensor]:
    """The weights after a plain loop over the same batches: `step(optimizer, closure)` for each of them."""
    net = network(one.seed.generator(Stream.INIT), dtype)
    optimizer = make(net)
    for order in order_for(one):
        for rows in order.split(one.batch):
            data = one.workload.train[rows]

            def closure(data=data):
                optimizer.zero_grad()
                loss = one.workload.loss(net.eval()(data.inputs), data.targets)  # it has no dropout
                loss.backward()
                return loss

            step(optimizer, closure)
    return dict(net.named_parameters())


def plain_step(optimizer, closure):
    closure()
    optimizer.step()


def run(method, **hyperparameters):
    one = member(method, 0, **hyperparameters)
    team = Alone(one, CPU)
    curves = trained(team, [one])
    assert curves.of("validation_loss", 0)[-1] < curves.of("validation_loss", 0)[0]
    return one, team, curves


def file_with(folder, text: str) -> str:
    (folder / "mine.py").write_text(textwrap.dedent(text))
    return str(folder / "mine.py")


# Each as it wants to be stepped


def test_lbfgs_is_torchs_on_full_batches_and_every_pass_of_its_line_search_counts():
    one, team, _ = run("lbfgs", lr=0.5)
    passes = 0

    def step(optimizer, closure):
        def counted():
            nonlocal passes
            passes += 1
            return closure()

        optimizer.step(counted)

    expected = written_out(
        one, lambda net: torch.optim.LBFGS(net.parameters(), lr=0.5, line_search_fn="strong_wolfe"), step
    )
    assert one.batch == 40
    assert difference(weights_of(team), expected) < 1e-9
    assert team.counts.steps[0] == EPOCHS
    assert team.counts.forward[0] == team.counts.backward[0] == passes > 2 * EPOCHS
    assert team.counts.examples[0] == 40 * passes
    assert team.counts.state_bytes[0] > 20 * 83 * 8  # ten pairs of its history and more, of 83 weights in float64


def test_muon_is_torchs_on_matrices_and_adamw_on_the_rest():
    one, team, _ = run("muon", lr=0.02)

    def make(net):
        matrices, others = ([w for w in net.parameters() if (w.dim() == 2) == wanted] for wanted in (True, False))
        muon = torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        rest = torch.optim.AdamW(others, lr=0.02, weight_decay=0.1)

        class Both:
            def zero_grad(self):
                muon.zero_grad()
                rest.zero_grad()

            def step(self):
                muon.step()
                rest.step()

        return Both()

    assert difference(weights_of(team), written_out(one, make, plain_step)) < 1e-9
    assert team.counts.forward[0] == team.counts.steps[0] == EPOCHS * BATCHES
    matrices, others = 40 + 30, 13
    assert team.counts.state_bytes[0] == 8 * (matrices + 2 * others) + 2 * 4  # AdamW keeps two float32 step counts


def test_the_schedule_reaches_every_group_of_an_optimizer_that_is_two():
    one = member("muon", 0, lr=0.02, schedule="step")
    team = Alone(one, CPU)
    trained(team, [one])
    assert [group["lr"] for group in team.optimizer.param_groups] == pytest.approx([0.02 * 0.01] * 2)


SAM = """
    import torch
    from pytorch_optimizer import SAM


    def sam(params, lr=0.1, rho=0.05):
        return SAM(params, torch.optim.SGD, rho=rho, lr=lr)
"""


def test_sam_takes_two_passes_a_step_the_second_at_the_perturbed_weights(tmp_path):
    sam = pytest.importorskip("pytorch_optimizer").SAM
    one, team, _ = run(method_from(f"{file_with(tmp_path, SAM)}:sam"), lr=0.3, rho=0.1)

    def step(optimizer, closure):
        closure()
        optimizer.first_step(zero_grad=True)
        closure()
        optimizer.second_step(zero_grad=True)

    expected = written_out(one, lambda net: sam(net.parameters(), torch.optim.SGD, rho=0.1, lr=0.3), step)
    assert difference(weights_of(team), expected) < 1e-9
    assert team.counts.steps[0] == EPOCHS * BATCHES
    assert team.counts.forward[0] == team.counts.backward[0] == 2 * EPOCHS * BATCHES
    assert team.counts.examples[0] == 2 * EPOCHS * 40


@pytest.mark.parametrize("name", ["ScheduleFreeSGD", "ScheduleFreeAdamW"])
def test_a_schedule_free_optimizer_trains_at_one_point_and_is_judged_at_the_other(name):
    make = getattr(pytest.importorskip("pytorch_optimizer"), name)
    method = method_from(f"pytorch_optimizer:{name}")
    one, team, curves = run(method, lr=0.1)
    optimizers = []

    def made(net):
        optimizers.append(make(net.parameters(), lr=0.1))
        optimizers[0].train()
        return optimizers[0]

    expected = written_out(one, made, plain_step)
    optimizers[0].eval()
    assert difference(weights_of(team), expected) < 1e-9
    net = network(torch.Generator())
    net.load_state_dict(expected)
    data = one.workload.validation
    assert curves.of("validation_loss", 0)[-1] == pytest.approx(
        one.workload.loss(net.eval()(data.inputs), data.targets).item(), rel=1e-9
    )


@pytest.mark.parametrize("name", ["NAdam", "Adagrad", "ASGD", "Adafactor"])
def test_any_optimizer_of_torch_is_a_method(name):
    method = method_from(f"torch.optim:{name}")
    one, team, _ = run(method, lr=0.05)
    expected = written_out(one, lambda net: getattr(torch.optim, name)(net.parameters(), lr=0.05), plain_step)
    assert difference(weights_of(team), expected) < 1e-9
    assert method.hyperparameters["schedule"] == "constant"


def test_how_optimizers_are_stepped():
    weights = [nn.Parameter(torch.zeros(2, 2))]
    assert style_of(torch.optim.Adam(weights)) == PLAIN
    assert style_of(torch.optim.LBFGS(weights)) == OWN_PASSES
    package = pytest.importorskip("pytorch_optimizer")
    assert style_of(package.SAM(weights, torch.optim.SGD, lr=0.1)) == FURTHER_PASSES
    assert style_of(package.ScheduleFreeSGD(weights)) == PLAIN


def test_frozen_weights_are_given_to_no_optimizer():
    def frozen(generator, dtype):
        made = network(generator, dtype)
        made[0].weight.requires_grad_(False)
        return made

    one = member(method_from("torch.optim:AdamW"), 0, workload(make=frozen))
    assert sum(w.numel() for group in Alone(one, CPU).optimizer.param_groups for w in group["params"]) == 83 - 40


# One's own


OWN = """
    import torch


    class Mine(torch.optim.SGD):
        search_space = {"lr": (1e-4, 1.0)}
"""


def test_ones_own_optimizer_takes_five_lines_and_trains_in_another_process_too(tmp_path):
    method = method_from(f"{file_with(tmp_path, OWN)}:Mine")
    assert method.name == "Mine"
    assert method.space[0] == Float("lr", 1e-4, 1.0)
    assert "schedule" in [dimension.name for dimension in method.space]
    assert method.hyperparameters == {
        "schedule": "constant", "lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0
    }  # fmt: skip
    assert not method.stackable
    one, team, _ = run(method, lr=0.1)
    expected = written_out(one, lambda net: torch.optim.SGD(net.parameters(), lr=0.1), plain_step)
    assert difference(weights_of(team), expected) < 1e-9
    copied = pickle.loads(cloudpickle.dumps(method))
    assert copied.definition() == method.definition()
    assert method.info().code == "Mine(model.parameters(), {})"


def test_an_optimizer_is_another_when_its_file_changes(tmp_path):
    first = method_from(f"{file_with(tmp_path, OWN)}:Mine")
    second = method_from(f"{file_with(tmp_path, OWN.replace('1e-4', '1e-5'))}:Mine")
    assert first.definition() != second.definition()
    assert second.space[0] == Float("lr", 1e-5, 1.0)


def test_a_hyperparameter_that_has_to_be_given_begins_in_the_middle_of_its_range(tmp_path):
    text = """
        import torch


        class Mine(torch.optim.SGD):
            search_space = {"rate": (1e-4, 1.0)}

            def __init__(self, params, rate, decay=0.5):
                super().__init__(params, lr=rate)
    """
    method = method_from(f"{file_with(tmp_path, text)}:Mine")
    assert method.hyperparameters["rate"] == pytest.approx(0.01)
    assert "decay" not in method.hyperparameters  # it would be the race's own


NO_LR = """
    import torch


    class Mine(torch.optim.Optimizer):
        def __init__(self, params, strength=0.1):
            super().__init__(params, {"strength": strength})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.sub_(weight.grad, alpha=group["strength"])
"""


def test_an_optimizer_without_lr_has_no_schedule(tmp_path):
    method = method_from(f"{file_with(tmp_path, NO_LR)}:Mine")
    assert method.hyperparameters == {"strength": 0.1}
    assert method.space == ()
    one, team, _ = run(method)
    expected = written_out(one, lambda net: torch.optim.SGD(net.parameters(), lr=0.1), plain_step)
    assert difference(weights_of(team), expected) < 1e-9
    with pytest.raises(ValueError, match="schedule of Mine must be constant, because it has no lr"):
        run(method, schedule="cosine")


FAILING = """
    import torch


    class Mine(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    if not torch.isfinite(weight.grad).all():
                        raise RuntimeError("not finite")
            super().step()


    class Broken(torch.optim.SGD):
        def step(self, closure=None):
            raise RuntimeError("no step today")
"""


def test_an_optimizer_that_fails_on_what_is_not_finite_has_diverged_and_else_it_is_an_error(tmp_path):
    path = file_with(tmp_path, FAILING)
    one = member(method_from(f"{path}:Mine"), 0, lr=1e308)
    curves = trained(Alone(one, CPU), [one])
    assert curves.diverged.tolist() == [True]
    one = member(method_from(f"{path}:Broken"), 0)
    with pytest.raises(ValueError, match="Broken failed in a step on small: RuntimeError: no step today"):
        trained(Alone(one, CPU), [one])


def test_what_an_optimizer_draws_follows_from_the_seed(tmp_path):
    text = """
        import torch


        class Mine(torch.optim.SGD):
            def step(self, closure=None):
                for group in self.param_groups:
                    for weight in group["params"]:
                        weight.grad += torch.randn_like(weight) / 100
                super().step()
    """
    method = method_from(f"{file_with(tmp_path, text)}:Mine")
    before = torch.random.get_rng_state()
    first, again = (weights_of(run(method, lr=0.1)[1]) for _ in range(2))
    assert difference(first, again) == 0
    assert torch.equal(torch.random.get_rng_state(), before)


# Errors


BAD = """
    import torch

    number = 3
    def nothing(params, lr=0.1): return None
    class Strict(torch.optim.SGD):
        def __init__(self, params, lr, secret): super().__init__(params, lr=lr)
    class Odd(torch.optim.SGD):
        search_space = {"lr": (1.0, 1e-4)}
    class Other(torch.optim.SGD):
        search_space = {"speed": (1e-4, 1.0)}
    class Listed(torch.optim.SGD):
        search_space = ["lr"]
"""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere_at_all:Mine", "there is no module 'nowhere_at_all' here; a file of your own is given as my_file.py"),
        ("torch.nowhere:Mine", "there is no module 'torch.nowhere' here"),
        ("torch.optim:Adan", r"torch.optim has no 'Adan' \(did you mean Adam\?\)"),
        ("Adam", "must be module:Name or file.py:Name"),
        ("torch.optim:", "must be module:Name or file.py:Name"),
        ("torch.nn:Linear", "torch.nn:Linear cannot be made with"),
        ("{folder}/none.py:Mine", "there is no file"),
        ("{file}:number", "'number' is not an optimizer class or a function that makes one"),
        ("{file}:nothing", "must make a torch.optim.Optimizer, got NoneType"),
        ("{file}:Strict", "cannot be made with {}: TypeError: .*missing 2 required"),
        ("{file}:Odd", "search_space of .*:Odd must be like .* low must be below high"),
        ("{file}:Other", "search_space of Other: cannot search speed"),
        ("{file}:Listed", "neither a dict nor a list of dimensions"),
        ("{raises}:Mine", "raises.py could not be run: ZeroDivisionError: division by zero"),
        ("{exits}:Mine", "exits.py could not be run: SystemExit"),
    ],
)
def test_what_is_wrong_with_an_optimizer_is_said_when_it_is_named(tmp_path, path, message):
    (tmp_path / "raises.py").write_text("1 / 0")
    (tmp_path / "exits.py").write_text("raise SystemExit(3)")
    places = {"folder": tmp_path, "file": file_with(tmp_path, BAD)}
    places |= {"raises": tmp_path / "raises.py", "exits": tmp_path / "exits.py"}
    with pytest.raises(ValueError, match=message):
        method_from(path.format(**places))


def test_a_package_may_refuse_with_an_error_of_its_own():
    pytest.importorskip("pytorch_optimizer")
    method = method_from("pytorch_optimizer:ScheduleFreeSGD")
    with pytest.raises(ValueError, match=r"ScheduleFreeSGD cannot be made with .*'lr': -1.0.*: NegativeLRError"):
        run(method, lr=-1.0)


def test_the_kind_of_decay_is_for_rules_alone():
    with pytest.raises(ValueError, match=r"decay is for rules alone, but Adam is torch.optim:Adam"):
        method_from("torch.optim:Adam").at({"decay": "coupled"})
    with pytest.raises(ValueError, match="decay must be one of"):
        method_named("adam").at({"decay": "half"})


# Those that have a name


@pytest.mark.parametrize("name", [name for name in names() if name not in SEARCHED])
def test_every_named_method_searches_its_own_hyperparameters_and_says_how_it_is_made(name):
    method = method_named(name)
    assert {dimension.name for dimension in method.space} <= method.hyperparameters.keys()
    assert method.space[0].name == "lr"
    optimizer = method.make([nn.Parameter(torch.ones(2, 2))], torch.Generator())
    assert all(group["lr"] == method.hyperparameters["lr"] for group in optimizer.param_groups)
    assert method.stackable == (name not in OTHERS)
    made = optimizer_line(method.info(), {"lr": method.hyperparameters["lr"]})
    namespace = {"torch": torch, "model": nn.Linear(2, 2), "thalweg": __import__("thalweg")}
    assert isinstance(eval(made, namespace), torch.optim.Optimizer)


def test_methods_are_found_under_both_spellings_and_the_nearest_is_named():
    assert method_named("heavy-ball") == method_named("heavy_ball")
    assert method_named("heavy_ball").optimizer == GALLERY["heavy_ball"].rule
    with pytest.raises(ValueError, match=r"method 'adm' is unknown \(did you mean adam\?\)"):
        method_named("adm")


def test_a_rule_of_ones_own_is_a_method():
    rule = Method("mine", Rule("mine", "w = w - lr*sign(g)", lr=0.01), {"lr": 0.02})
    one, team, _ = run(rule)
    expected = written_out(one, lambda net: SignDescent(net.parameters(), 0.02), plain_step)
    assert difference(weights_of(team), expected) < 1e-9
    assert "w = w - lr*sign(g)" in rule.info().code


class SignDescent(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad.sign()


def test_defaults_that_are_no_hyperparameters_are_left_to_the_optimizer():
    def make(params, lr=0.1, betas=(0.9, 0.99), mode="fast", amsgrad=False, clip=math.inf, start=None, fused=True):
        return torch.optim.Adam(params, lr=lr, betas=betas)

    assert Foreign(make, "here:make").defaults == {"lr": 0.1, "betas": (0.9, 0.99), "mode": "fast"}
