"""The readers of image files, on small twins of them; and the real files where they are."""

import gzip
import hashlib
import io
import lzma
import pickle
import struct
import tarfile

import numpy as np
import pytest
import torch

from thalweg.tasks import DATA_TASKS, DataMissing
from thalweg.tasks.images import Form, ImageData, ImageSet, Piece
from thalweg.tasks.vision import CIFAR10, CIFAR100, CIFAR100_COARSE, FASHION_MNIST, MNIST, NETWORKS, vision_task

PLAIN = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def pixels(n, *shape):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def idx_files(n=20):
    images, labels = pixels(n, 28, 28), np.arange(n, dtype=np.uint8) % 10
    headers = struct.pack(">4I", 0x803, n, 28, 28), struct.pack(">2I", 0x801, n)
    return images, labels, [headers[0] + images.tobytes(), headers[1] + labels.tobytes()]


def cifar_file(n=6, labels=1):
    images, numbers = pixels(n, 3, 32, 32), (np.arange(n * labels, dtype=np.uint8) % 10).reshape(n, labels)
    return images, numbers, np.concatenate([numbers, images.reshape(n, -1)], axis=1).tobytes()


def pieces(names, contents):
    return tuple(
        Piece(name, f"sha256:{hashlib.sha256(content).hexdigest()}")
        for name, content in zip(names, contents, strict=True)
    )


def image_set(form, shape, classes=10):
    return ImageSet("Twin", "twin", shape, classes, (form,), "the twin's page")


def examples_of(tmp_path, form, shape, part="train"):
    return ImageData(image_set(form, shape), part, tmp_path)()


@pytest.mark.parametrize("ending", PLAIN)
def test_idx_files_are_read_packed_or_not(tmp_path, ending):
    images, labels, contents = idx_files()
    names = ("images", "labels")
    (tmp_path / "twin").mkdir()
    for name, content in zip(names, contents, strict=True):
        (tmp_path / "twin" / f"{name}{ending}").write_bytes(PLAIN[ending](content))
    examples = examples_of(tmp_path, Form(pieces(names, contents), (), "idx"), (1, 28, 28))
    np.testing.assert_array_equal(examples.inputs[:, 0].numpy(), images.astype(np.float32) / 255)
    assert examples.targets.tolist() == labels.tolist()
    assert examples.inputs.dtype == torch.float32


@pytest.mark.parametrize("ending", PLAIN)
def test_cifar_batches_follow_one_another(tmp_path, ending):
    images, numbers, content = cifar_file()
    contents = [content, content[: 3 * (1 + 3072)]]
    (tmp_path / "twin").mkdir()
    for name, batch in zip(("1.bin", "2.bin"), contents, strict=True):
        (tmp_path / "twin" / f"{name}{ending}").write_bytes(PLAIN[ending](batch))
    examples = examples_of(tmp_path, Form(pieces(("1.bin", "2.bin"), contents), (), "cifar"), (3, 32, 32))
    expected = np.concatenate([images, images[:3]])
    np.testing.assert_array_equal(examples.inputs.numpy(), expected.astype(np.float32) / 255)
    assert examples.targets.tolist() == [*numbers[:, 0], *numbers[:3, 0]]


def archive_of(tmp_path, name, content, *, archive="twin.tar.gz"):
    (tmp_path / "twin").mkdir(exist_ok=True)
    with tarfile.open(tmp_path / "twin" / archive, "w:gz") as tar:
        for member, data in (("folder/other", b"..."), (f"folder/{name}", content)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("label", [0, 1])
def test_cifar_100_is_read_from_its_archives_with_coarse_or_fine_labels(tmp_path, label):
    images, numbers, content = cifar_file(labels=2)
    python = pickle.dumps(
        {
            b"data": images.reshape(len(images), -1),
            b"coarse_labels": numbers[:, 0].tolist(),
            b"fine_labels": numbers[:, 1].tolist(),
        },
        protocol=2,
    )
    for name, data, decode in (("train.bin", content, "cifar"), ("train", python, "cifar python")):
        archive = f"{name}.tar.gz"
        archive_of(tmp_path, name, data, archive=archive)
        form = Form(pieces((name,), (data,)), (), decode, labels=2, label=label, archive=archive)
        examples = examples_of(tmp_path, form, (3, 32, 32))
        np.testing.assert_array_equal(examples.inputs.numpy(), images.astype(np.float32) / 255)
        assert examples.targets.tolist() == numbers[:, label].tolist()


def test_a_pickle_that_would_run_something_is_refused(tmp_path):
    harmful = pickle.dumps({b"data": print})
    archive_of(tmp_path, "train", harmful)
    form = Form(pieces(("train",), (harmful,)), (), "cifar python", labels=2, archive="twin.tar.gz")
    with pytest.raises(pickle.UnpicklingError, match=r"no need of builtins.print"):
        examples_of(tmp_path, form, (3, 32, 32))


def test_a_file_that_is_not_the_original_is_refused(tmp_path):
    _, _, content = cifar_file()
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "1.bin.xz").write_bytes(lzma.compress(content[:-1] + b"\0"))
    form = Form(pieces(("1.bin",), (content,)), (), "cifar")
    with pytest.raises(ValueError, match=r"1.bin.xz does not hold the original 1.bin: its sha256 is \w+, expected"):
        examples_of(tmp_path, form, (3, 32, 32))
    (tmp_path / "twin" / "1.bin.gz").write_bytes(b"not gzip")
    with pytest.raises(ValueError, match=r"1.bin.gz cannot be unpacked"):
        examples_of(tmp_path, form, (3, 32, 32))


def test_files_that_disagree_with_the_set_are_refused(tmp_path):
    _, _, contents = idx_files()
    (tmp_path / "twin").mkdir()
    for name, content in zip(("images", "labels"), contents, strict=True):
        (tmp_path / "twin" / name).write_bytes(content)
    right = Form(pieces(("images", "labels"), contents), (), "idx")
    swapped = Form(pieces(("labels", "images"), contents[::-1]), (), "idx")
    with pytest.raises(ValueError, match=r"Twin should have images of \(1, 32, 32\) .* holds \(20, 1, 28, 28\)"):
        examples_of(tmp_path, right, (1, 32, 32))
    with pytest.raises(ValueError, match="not IDX files of as many images as labels"):
        examples_of(tmp_path, swapped, (1, 28, 28))


def test_a_task_of_images_has_the_official_test_part_and_validates_on_a_tenth_of_the_rest(tmp_path, generator):
    _, _, train = idx_files(200)
    _, _, test = idx_files(20)
    names = ("a", "b", "c", "d")
    (tmp_path / "twin").mkdir()
    for name, content in zip(names, [*train, *test], strict=True):
        (tmp_path / "twin" / name).write_bytes(content)
    form = Form(pieces(names[:2], train), pieces(names[2:], test), "idx")
    task = vision_task("twin", image_set(form, (1, 28, 28)), NETWORKS[0], tmp_path)
    workload, test_part = task.workload_and_test(generator())
    assert (len(workload.train), len(workload.validation), len(test_part)) == (180, 20, 20)
    assert workload.validation.targets.bincount().tolist() == [2] * 10
    assert workload.train.inputs.max() <= 1
    sums = [hashlib.sha256(content).hexdigest() for content in train + test]
    assert task.checksums() == dict(zip([f"twin/{name}" for name in names], sums, strict=True))
    task.check()


def test_missing_images_say_where_they_were_looked_for_and_both_ways_to_get_them(tmp_path):
    task = DATA_TASKS["cifar100_coarse_vgg19"](tmp_path)
    with pytest.raises(DataMissing) as caught:
        task.look_for_data()
    for part in (str(tmp_path), "cifar100/train.bin", "--data-dir", "THALWEG_DATA", "cifar-100-binary.tar.gz"):
        assert part in str(caught.value)
    with pytest.raises(DataMissing, match="MNIST are missing: they are not read from OpenML"):
        DATA_TASKS["mnist"]("openml").look_for_data()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_files_of_mnist_hold_as_many_images_of_each_digit_as_is_known(name, data_dir):
    images = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST}[name]
    examples = ImageData(images, "test", data_dir)()
    assert examples.inputs.shape == (10000, 1, 28, 28)
    known = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009] if name == "mnist" else [1000] * 10
    assert examples.targets.bincount().tolist() == known


def test_the_real_files_of_cifar_10_hold_a_thousand_test_images_of_each_class(data_dir):
    examples = ImageData(CIFAR10, "test", data_dir)()
    assert examples.inputs.shape == (10000, 3, 32, 32)
    assert examples.targets.bincount().tolist() == [1000] * 10
    means = examples.inputs.mean(dim=(0, 2, 3)).tolist()
    assert means == pytest.approx([0.4942, 0.4851, 0.4504], abs=1e-3)  # of red, green and blue


def test_cifar_100_is_there_with_both_kinds_of_labels():
    assert (CIFAR100.classes, CIFAR100_COARSE.classes) == (100, 20)
    assert [form.label for form in (*CIFAR100.forms, *CIFAR100_COARSE.forms)] == [1, 1, 0, 0]
