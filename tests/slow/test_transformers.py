"""Training by Transformers' Trainer is training by a bare loop, interrupted or not."""

from __future__ import annotations

import pytest
import torch
from slow.training import (
    BATCH,
    BATCHES,
    assert_same_states,
    assert_same_steps,
    every_optimizer,
    recorded,
    run_page,
    schedule,
    train,
)

from thalweg.optim import Gravity

pytestmark = [pytest.mark.slow]
transformers = pytest.importorskip("transformers", reason="transformers is not installed; `make test-slow` installs it")
pytest.importorskip("accelerate", reason="accelerate is not installed; `make test-slow` installs it")

LENGTH, VOCABULARY = 7, 11


def language_model() -> torch.nn.Module:
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.GPT2LMHeadModel(config)


def texts() -> list[dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCABULARY, (BATCH * BATCHES, LENGTH), generator=random)
    return [{"input_ids": row, "labels": row} for row in tokens]


def batches(epochs: int) -> list[torch.Tensor]:
    return list(torch.stack([text["input_ids"] for text in texts()]).split(BATCH)) * epochs


def loss(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The sum over tokens divided by their number; Trainer divides by the tokens of all batches of a step at once."""
    return model(input_ids=tokens, labels=tokens, num_items_in_batch=tokens.numel()).loss


def arguments(folder, epochs: int, **settings):
    settings = {"max_grad_norm": 0.0, "save_strategy": "no", **settings}
    return transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=epochs, per_device_train_batch_size=BATCH, use_cpu=True,
        train_sampling_strategy="sequential", logging_strategy="no", report_to="none", disable_tqdm=True, **settings,
    )  # fmt: skip


def trainer(make, folder, epochs: int, **settings):
    """A Trainer with an optimizer and its schedule, and the list of steps that it will take."""
    model = language_model()
    optimizer = make(model.parameters())
    made = transformers.Trainer(
        model, arguments(folder, epochs, **settings), train_dataset=texts(), optimizers=(optimizer, schedule(optimizer))
    )
    return made, recorded(optimizer)


def bare(make, epochs: int, **settings):
    model = language_model()
    optimizer = make(model.parameters())
    steps = recorded(optimizer)
    train(model, optimizer, batches(epochs), scheduler=schedule(optimizer), loss=loss, **settings)
    return optimizer, steps


SETTINGS = {
    "plain": ({}, {}),
    "accumulating": ({"gradient_accumulation_steps": 2}, {"accumulate": 2}),
    "clipping": ({"max_grad_norm": 0.1}, {"clip": 0.1}),
    "bf16": ({"bf16": True}, {"autocast": True}),
}


@pytest.mark.parametrize(("theirs", "ours"), SETTINGS.values(), ids=SETTINGS)
@every_optimizer
def test_a_trainer_with_a_schedule_takes_the_steps_of_the_bare_loop(make, theirs, ours, tmp_path):
    made, found = trainer(make, tmp_path, 2, **theirs)
    made.train()
    optimizer, steps = bare(make, epochs=2, **ours)
    assert_same_steps(found, steps)
    assert_same_states(made.optimizer, optimizer)


@every_optimizer
def test_a_trainer_resumed_in_the_middle_of_an_epoch_equals_the_uninterrupted_one(make, tmp_path):
    saved = BATCHES + 2
    whole, steps = trainer(make, tmp_path, 3, save_strategy="steps", save_steps=saved)
    whole.train()
    resumed, found = trainer(make, tmp_path, 3)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{saved}"))
    assert_same_steps(found, steps[saved:])
    assert_same_states(resumed.optimizer, whole.optimizer)


def test_an_optimizer_that_trainer_makes_has_its_groups_decay_and_schedule(tmp_path):
    """`optimizer_cls_and_kwargs`: Trainer spares biases and norms the decay."""
    made = transformers.Trainer(
        language_model(), arguments(tmp_path, 1, weight_decay=0.25, warmup_steps=3), train_dataset=texts(),
        optimizer_cls_and_kwargs=(Gravity, {"lr": 0.05, "alpha": 0.0}),
    )  # fmt: skip
    found = recorded(made.create_optimizer())
    made.train()

    model = language_model()
    decayed = [p for p in model.parameters() if p.dim() > 1]
    spared = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.25}, {"params": spared, "weight_decay": 0.0}]
    optimizer = Gravity(groups, lr=0.05, alpha=0.0)
    steps = recorded(optimizer)
    linear = transformers.get_linear_schedule_with_warmup(optimizer, 3, BATCHES)
    train(model, optimizer, batches(1), scheduler=linear, loss=loss)
    assert_same_steps(found, steps)


def test_the_pages_example_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    names = run_page("transformers", tmp_path, monkeypatch)
    optimizer = names["trainer"].optimizer
    assert {state["step"] for state in optimizer.state.values()} == {32}
    assert optimizer.param_groups[0]["lr"] == 0.0
