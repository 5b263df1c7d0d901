"""The random streams of a race."""

import inspect

import pytest
import torch

from thalweg.race.seeds import Seed, Stream, final_seed, tuning_seed


def draws(seed, stream):
    return torch.rand(4, generator=seed.generator(stream)).tolist()


def test_every_master_task_repetition_and_purpose_has_numbers_of_its_own():
    seeds = [Seed(m, t, r) for m in (0, 1) for t in ("iris", "wine") for r in (0, 1)]
    streams = {tuple(draws(seed, stream)) for seed in seeds for stream in Stream}
    assert len(streams) == 8 * len(Stream)


def test_a_stream_starts_anew_each_time_it_is_asked_for():
    assert draws(Seed(0, "iris", 0), Stream.INIT) == draws(Seed(0, "iris", 0), Stream.INIT)


def test_the_global_generator_is_not_touched():
    before = torch.random.get_rng_state()
    draws(Seed(0, "iris", 0), Stream.INIT)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("stream", "number", "first"),
    [
        (Stream.SPLIT, 0, 0.6456813812255859),
        (Stream.INIT, 1, 0.21104931831359863),
        (Stream.ORDER, 2, 0.7602671980857849),
        (Stream.DROPOUT, 4, 0.9309667944908142),
        (Stream.OPTIMIZER, 5, 0.7651891708374023),
    ],
)
def test_numbers_are_part_of_the_protocol(stream, number, first):
    assert stream == number
    assert draws(Seed(0, "iris", 0), stream)[0] == first


def test_a_seed_knows_nothing_of_the_method():
    assert list(inspect.signature(Seed).parameters) == ["master", "task", "rep"]


def test_tuning_never_shares_a_seed_with_a_final_trial():
    final = {final_seed(0, "iris", index) for index in range(1000)}
    assert not final & {tuning_seed(0, "iris", index) for index in range(1000)}
