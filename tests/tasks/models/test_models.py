"""What holds for every network: its size, who decides its weights, and that a cohort of it is each of its members."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from thalweg.tasks.models import gru, keras_cifar_cnn, keras_mnist_cnn, mlp, resnet18, transformer, vgg


@dataclass
class Network:
    make: object
    inputs: tuple
    outputs: tuple
    parameters: int
    tokens: int = 0  # how many, where the inputs are tokens

    def batch(self, n):
        generator = torch.Generator().manual_seed(0)
        shape = (n, *self.inputs)
        images = torch.rand(shape, generator=generator)
        return torch.randint(self.tokens, shape, generator=generator) if self.tokens else images


NETWORKS = {
    "mlp": Network(partial(mlp, (4, 16, 16, 3)), (4,), (3,), 403),
    "transformer": Network(partial(transformer, 23, 3, 11), (3,), (11,), 13963, 23),
    "character transformer": Network(partial(transformer, 9, 6, 9, layers=2, every_place=True), (6,), (9, 6), 26249, 9),
    "gru": Network(partial(gru, 23, 11), (3,), (11,), 7435, 23),
    "character gru": Network(partial(gru, 9, 9, every_place=True), (6,), (9, 6), 6921, 9),
    "keras mnist cnn": Network(keras_mnist_cnn, (1, 28, 28), (10,), 1_199_882),
    "keras cifar cnn": Network(keras_cifar_cnn, (3, 32, 32), (10,), 1_250_858),
    "resnet18": Network(resnet18, (3, 32, 32), (10,), 11_173_962),
    "vgg16": Network(partial(vgg, 16), (3, 32, 32), (10,), 33_638_218),
    "vgg19": Network(partial(vgg, 19), (3, 32, 32), (10,), 38_947_914),
    "vgg16 in grey": Network(partial(vgg, 16, channels=1), (1, 28, 28), (10,), 33_638_218 - 2 * 9 * 64),
}
LARGE = ("resnet18", "vgg16", "vgg19", "vgg16 in grey")
every_network = pytest.mark.parametrize("name", NETWORKS)


@every_network
def test_it_has_the_published_number_of_parameters_and_maps_inputs_to_outputs(name, generator):
    network = NETWORKS[name]
    made = network.make(generator=generator())
    assert sum(weight.numel() for weight in made.parameters()) == network.parameters
    assert made.eval()(network.batch(2)).shape == (2, *network.outputs)
    assert {weight.dtype for weight in made.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in LARGE] + ["resnet18"])
def test_the_generator_decides_all_weights_and_the_global_one_is_not_touched(name, generator):
    before = torch.get_rng_state()
    first, again, other = (NETWORKS[name].make(generator=generator(seed)).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key in first if first[key].dim() > 1]
    assert drawn
    assert not any(torch.equal(first[key], other[key]) for key in drawn)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in LARGE])
def test_gradients_of_a_cohort_are_those_of_its_members(name, generator):
    network = NETWORKS[name]
    members = [network.make(generator=generator(seed)) for seed in (0, 1)]
    for member in members:
        member.eval()  # dropout has no generator here
    inputs = network.batch(3)
    targets = torch.arange(3) if len(network.outputs) == 1 else torch.arange(3 * 6).reshape(3, 6) % 9

    def loss(weights, buffers, inputs, targets):
        return cross_entropy(functional_call(members[0], (weights, buffers), (inputs,)), targets)

    weights, buffers = stack_module_state(members)
    together, losses = vmap(grad_and_value(loss), in_dims=(0, 0, None, None))(weights, buffers, inputs, targets)
    for i, member in enumerate(members):
        alone = cross_entropy(member(inputs), targets)
        alone.backward()
        torch.testing.assert_close(losses[i], alone.detach())
        for key, weight in member.named_parameters():
            torch.testing.assert_close(together[key][i], weight.grad, rtol=1e-3, atol=1e-5)


def test_batch_normalisation_in_a_cohort_is_that_of_each_member(generator):
    members = [resnet18(generator(seed)) for seed in (0, 1)]
    images = torch.rand(4, 3, 8, 8, generator=generator())  # small ones, which it takes as well
    weights, buffers = stack_module_state(members)
    together = vmap(lambda *state: functional_call(members[0], state, images))(weights, buffers)
    for i, member in enumerate(members):
        torch.testing.assert_close(together[i], member(images), rtol=1e-4, atol=1e-4)
        for key, buffer in member.named_buffers():
            torch.testing.assert_close(buffers[key][i], buffer)  # running statistics, of this batch as well
