"""Classifying images: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, with the networks of published comparisons."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.tasks.folder import data_folder
from thalweg.tasks.images import Form, ImageData, ImageSet, Piece
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import keras_cifar_cnn, keras_mnist_cnn, resnet18, vgg
from thalweg.tasks.task import Task

BATCH_SIZE = 128
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_form(*checksums: str) -> Form:
    pieces = [Piece(name, f"sha256:{checksum}") for name, checksum in zip(IDX_FILES, checksums, strict=True)]
    return Form(tuple(pieces[:2]), tuple(pieces[2:]), "idx")


MNIST = ImageSet(
    title="MNIST",
    folder="mnist",
    shape=(1, 28, 28),
    classes=10,
    forms=(
        _idx_form(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    origin="the four files of http://yann.lecun.com/exdb/mnist/",
)

FASHION_MNIST = ImageSet(
    title="Fashion-MNIST",
    folder="fashion-mnist",
    shape=(1, 28, 28),
    classes=10,
    forms=(
        _idx_form(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    origin="the four files of https://github.com/zalandoresearch/fashion-mnist",
)

CIFAR10 = ImageSet(
    title="CIFAR-10",
    folder="cifar10",
    shape=(3, 32, 32),
    classes=10,
    forms=(
        Form(
            train=(
                Piece("data_batch_1.bin", "sha256:cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
                Piece("data_batch_2.bin", "sha256:a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
                Piece("data_batch_3.bin", "sha256:bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
                Piece("data_batch_4.bin", "sha256:014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
                Piece("data_batch_5.bin", "sha256:755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
            ),
            test=(Piece("test_batch.bin", "sha256:8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),),
            decode="cifar",
            archive="cifar-10-binary.tar.gz",
        ),
    ),
    origin="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)


def _cifar100(title: str, classes: int, label: int) -> ImageSet:
    """CIFAR-100 in its binary or its Python form. No SHA-256 of them is known here, so published MD5s are checked."""
    binary = Form(
        train=(Piece("train.bin", "md5:6172c7755cfe09b2fe270c85cebc1b15"),),
        test=(Piece("test.bin", "md5:4499cfba6c016c1be1438163640a0898"),),
        decode="cifar",
        labels=2,
        label=label,
        archive="cifar-100-binary.tar.gz",
    )
    python = Form(
        train=(Piece("train", "md5:16019d7e3df5f24257cddd939b257f8d"),),
        test=(Piece("test", "md5:f0ef6b0ae62326f3e7ffdfab6717acfc"),),
        decode="cifar python",
        labels=2,
        label=label,
        archive="cifar-100-python.tar.gz",
    )
    origin = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz (or cifar-100-python.tar.gz)"
    return ImageSet(title, "cifar100", (3, 32, 32), classes, (binary, python), origin)


CIFAR100 = _cifar100("CIFAR-100", classes=100, label=1)
CIFAR100_COARSE = _cifar100("CIFAR-100, 20 classes", classes=20, label=0)

IMAGE_SETS = {
    "mnist": MNIST,
    "fashion_mnist": FASHION_MNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "cifar100_coarse": CIFAR100_COARSE,
}


@dataclass(frozen=True)
class ImageNetwork:
    """A network for images: a function of a generator, channels and classes; and how long it is trained."""

    suffix: str  # what follows the name of the data set in the name of the task
    title: str
    model: Callable[..., nn.Module]
    epochs: int
    channels: tuple[int, ...] = (1, 3)  # of the images that it takes


NETWORKS = (
    ImageNetwork("", "Keras CNN", keras_mnist_cnn, epochs=12, channels=(1,)),
    ImageNetwork("", "Keras CNN", keras_cifar_cnn, epochs=25, channels=(3,)),
    ImageNetwork("_resnet18", "ResNet-18", resnet18, epochs=30, channels=(3,)),
    ImageNetwork("_vgg16", "VGG16", partial(vgg, 16), epochs=100),
    ImageNetwork("_vgg19", "VGG19", partial(vgg, 19), epochs=100),
)


def vision_task(name: str, images: ImageSet, network: ImageNetwork, data_dir: str | Path | None = None) -> Task:
    """Classification of images x/255 in batches of 128: the official test part, and a tenth of the rest validates."""
    folder = data_folder(data_dir)
    return Task(
        partial(network.model, channels=images.shape[0], classes=images.classes),
        cross_entropy,
        ImageData(images, "train", folder),
        test=ImageData(images, "test", folder),
        metric=ACCURACY,
        name=name,
        title=f"{images.title}, {network.title}",
        batch_size=BATCH_SIZE,
        epochs=network.epochs,
        source=images.origin,
    )


VISION_TASKS: dict[str, Callable[[str | Path | None], Task]] = {
    name + network.suffix: partial(vision_task, name + network.suffix, images, network)
    for name, images in IMAGE_SETS.items()
    for network in NETWORKS
    if images.shape[0] in network.channels
}
