"""Training by Lightning's Trainer is training by a bare loop, interrupted or not."""

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

pytestmark = [
    pytest.mark.slow,
    # Lightning with a newer torch than it was released for, and its advice, which depends on the machine.
    pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
]
lightning = pytest.importorskip("lightning", reason="lightning is not installed; `make test-slow` installs it")


def classifier(make):
    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network()

        def training_step(self, batch, _):
            x, y = batch
            return torch.nn.functional.cross_entropy(self.network(x), y)

        def configure_optimizers(self):
            self.optimizer = make(self.parameters())
            self.steps = recorded(self.optimizer)
            scheduler = {"scheduler": schedule(self.optimizer), "interval": "step"}
            return {"optimizer": self.optimizer, "lr_scheduler": scheduler}

    return Classifier()


def trainer(epochs: int, **settings):
    return lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **settings,
    )  # fmt: skip


def loader(dtype: torch.dtype = torch.float32):
    x, y = examples()
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x.to(dtype), y), batch_size=BATCH)


SETTINGS = {
    "plain": ({}, {}),
    "accumulating": ({"accumulate_grad_batches": 2}, {"accumulate": 2}),
    "clipping": ({"gradient_clip_val": 0.1}, {"clip": 0.1}),
    "bf16-mixed": ({"precision": "bf16-mixed"}, {"autocast": True}),
}


@pytest.mark.parametrize(("theirs", "ours"), SETTINGS.values(), ids=SETTINGS)
@every_optimizer
def test_a_fit_with_a_schedule_takes_the_steps_of_the_bare_loop(make, theirs, ours):
    model = classifier(make)
    trainer(2, **theirs).fit(model, loader())
    optimizer, steps = bare(make, epochs=2, **ours)
    assert_same_steps(model.steps, steps)
    assert_same_states(model.optimizer, optimizer)


@every_optimizer
def test_a_fit_resumed_from_a_checkpoint_equals_the_uninterrupted_one(make, tmp_path):
    first, resumed = classifier(make), classifier(make)
    before = trainer(2)
    before.fit(first, loader())
    before.save_checkpoint(tmp_path / "half.ckpt")
    trainer(4).fit(resumed, loader(), ckpt_path=tmp_path / "half.ckpt")
    optimizer, steps = bare(make, epochs=4)
    assert_same_steps(first.steps + resumed.steps, steps)
    assert_same_states(resumed.optimizer, optimizer)


def test_weights_in_bfloat16_are_resumed_with_their_states_in_float32(tmp_path):
    """`precision="bf16-true"`: the checkpoint keeps the states as they were, where torch casts them to the weights'."""
    first, resumed, whole = (classifier(OPTIMIZERS["gravity"]) for _ in range(3))
    before = trainer(2, precision="bf16-true")
    before.fit(first, loader(torch.bfloat16))
    before.save_checkpoint(tmp_path / "half.ckpt")
    trainer(4, precision="bf16-true").fit(resumed, loader(torch.bfloat16), ckpt_path=tmp_path / "half.ckpt")
    trainer(4, precision="bf16-true").fit(whole, loader(torch.bfloat16))
    assert_same_steps(first.steps + resumed.steps, whole.steps)
    assert_same_states(resumed.optimizer, whole.optimizer)
    p = next(resumed.parameters())
    assert (p.dtype, resumed.optimizer.state[p]["v"].dtype) == (torch.bfloat16, torch.float32)


def test_the_pages_example_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    names = run_page("lightning", tmp_path, monkeypatch)
    (optimizer,) = names["trainer"].optimizers
    assert {state["step"] for state in optimizer.state.values()} == {4 * len(names["data"])}
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * 0.99**32)
