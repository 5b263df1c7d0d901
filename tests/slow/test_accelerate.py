"""Training through Accelerate is training by a bare loop, interrupted or not."""

from __future__ import annotations

import pytest
import torch
from slow.training import (
    BATCH,
    OPTIMIZERS,
    assert_same_states,
    assert_same_steps,
    bare,
    every_optimizer,
    examples,
    network,
    recorded,
    run_page,
    schedule,
)

pytestmark = [pytest.mark.slow]
accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed; `make test-slow` installs it")


@pytest.fixture(autouse=True)
def a_state_of_its_own():
    """Accelerate keeps one state a process and refuses a second precision in it."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


class Training:
    """A loop as Accelerate's guide writes it, with what it prepares; `save` and `resume` are at ends of epochs."""

    def __init__(self, make, clip=None, **settings):
        self.clip = clip
        self.accelerator = accelerate.Accelerator(cpu=True, **settings)
        optimizer = make((model := network()).parameters())
        self.steps = recorded(optimizer)
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*examples()), batch_size=BATCH)
        self.model, self.optimizer, self.data, self.scheduler = self.accelerator.prepare(
            model, optimizer, data, schedule(optimizer)
        )

    def run(self, epochs):
        for _ in range(epochs):
            for batch in self.data:
                self.step(batch)

    def step(self, batch):
        x, y = batch
        with self.accelerator.accumulate(self.model):
            with self.accelerator.autocast():
                loss = torch.nn.functional.cross_entropy(self.model(x), y)
            self.accelerator.backward(loss)
            if self.clip is not None and self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()


SETTINGS = {
    "plain": ({}, {}),
    "accumulating": ({"gradient_accumulation_steps": 2}, {"accumulate": 2}),
    "clipping": ({"clip": 0.1}, {"clip": 0.1}),
    "bf16": ({"mixed_precision": "bf16"}, {"autocast": True}),
}


@pytest.mark.parametrize(("theirs", "ours"), SETTINGS.values(), ids=SETTINGS)
@every_optimizer
def test_a_prepared_loop_with_a_schedule_takes_the_steps_of_the_bare_loop(make, theirs, ours):
    training = Training(make, **theirs)
    training.run(epochs=2)
    optimizer, steps = bare(make, epochs=2, **ours)
    assert_same_steps(training.steps, steps)
    assert_same_states(training.optimizer, optimizer)


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "torch"])
@every_optimizer
def test_a_loop_resumed_in_the_middle_of_an_epoch_equals_the_uninterrupted_one(make, safe, tmp_path):
    first = Training(make)
    first.run(epochs=1)
    for _, batch in zip(range(2), first.data, strict=False):
        first.step(batch)
    first.accelerator.save_state(tmp_path, safe_serialization=safe)

    resumed = Training(make)
    resumed.accelerator.load_state(tmp_path)
    for batch in resumed.accelerator.skip_first_batches(resumed.data, 2):
        resumed.step(batch)
    resumed.run(epochs=1)

    optimizer, steps = bare(make, epochs=3)
    assert_same_steps(first.steps + resumed.steps, steps)
    assert_same_states(resumed.optimizer, optimizer)


def test_preparing_an_optimizer_changes_none_of_its_states():
    """Preparing loads the optimizer's own state dict into it: start noise stays, and the native step with it."""
    untouched = OPTIMIZERS["gravity"](network().parameters())
    training = Training(OPTIMIZERS["gravity"])
    assert_same_states(training.optimizer, untouched)
    prepared = training.optimizer.optimizer
    assert prepared.plan() == untouched.plan()


def test_the_pages_example_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    names = run_page("accelerate", tmp_path, monkeypatch)
    assert {state["step"] for state in names["optimizer"].state.values()} == {4 * len(names["data"])}
