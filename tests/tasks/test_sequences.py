"""Modular addition, and the next character of a text."""

import pytest
import torch

from thalweg.tasks import TASKS, DataMissing
from thalweg.tasks.sequences import WINDOW, characters

TEXT = "".join(f"{number} and {number + 1} make {2 * number + 1}; ä" for number in range(400))


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "sums of-numbers.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_all_sums_are_there_once_and_right():
    examples = TASKS["modular_addition"]().train()
    assert len({tuple(pair) for pair in examples.inputs.tolist()}) == 31**2
    assert torch.equal(examples.targets, (examples.inputs[:, 0] + examples.inputs[:, 1]) % 31)


@pytest.mark.parametrize("network", ["transformer", "gru"])
def test_windows_are_consecutive_and_the_stretches_do_not_overlap(text_file, network, generator):
    task = characters(text_file, network)
    workload, test = task.workload_and_test(generator())
    alphabet = "".join(sorted(set(TEXT)))
    texts = []
    for part in (workload.train, workload.validation, test):
        flat = part.inputs.flatten().tolist()
        texts.append("".join(alphabet[token] for token in flat))
        assert part.targets.flatten().tolist()[:-1] == flat[1:]  # the target is the character that follows
    position = -1
    for text in texts:
        position = TEXT.index(text, position + 1)
    assert [len(text) % WINDOW for text in texts] == [0, 0, 0]
    assert len(texts[0]) + len(texts[1]) + len(texts[2]) <= len(TEXT)
    assert len(texts[0]) > 0.75 * len(TEXT)


def test_networks_answer_at_every_place_and_only_from_the_past(text_file, generator):
    for network in ("transformer", "gru"):
        workload = characters(text_file, network).workload(generator())
        model = workload.network(generator())
        inputs = workload.train.inputs[:2]
        changed = inputs.clone()
        changed[:, 20] = (changed[:, 20] + 1) % 3
        outputs, after = model(inputs), model(changed)
        assert outputs.shape == (2, len(set(TEXT)), WINDOW)
        torch.testing.assert_close(outputs[:, :, :20], after[:, :, :20])
        assert not torch.allclose(outputs[:, :, 20:], after[:, :, 20:])


def test_a_character_task_is_named_after_its_file(text_file):
    task = characters(text_file)
    assert task.name == "chars_sums_of_numbers"
    assert list(task.checksums()) == [text_file.name]
    assert characters(text_file, "gru").name == "chars_gru_sums_of_numbers"
    assert task.check()


def test_what_is_no_text_is_refused(tmp_path, generator):
    with pytest.raises(DataMissing, match=r"no text file .*none.txt"):
        characters(tmp_path / "none.txt").workload(generator())
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(ValueError, match="too short: it has 9 characters and needs 1320"):
        characters(tmp_path / "short.txt").workload(generator())
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ValueError, match="too short: it has 0"):
        characters(tmp_path / "empty.txt").workload(generator())
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no text in UTF-8"):
        characters(tmp_path / "binary.txt").workload(generator())
