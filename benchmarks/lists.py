"""Lists of parameters that optimizers are timed on, by the shapes that networks have."""

from __future__ import annotations

import math

import torch

Shapes = list[tuple[int, ...]]
Parameters = list[torch.nn.Parameter]


def resnet18() -> Shapes:
    """The shapes of ResNet-18's 62 parameters, 11.7 million weights (He et al. 2016, ImageNet head)."""
    shapes: Shapes = [(64, 3, 7, 7), (64,), (64,)]
    width = 64
    for stage in (64, 128, 256, 512):
        for block in range(2):
            shapes += [(stage, width, 3, 3), (stage,), (stage,), (stage, stage, 3, 3), (stage,), (stage,)]
            if block == 0 and stage != 64:
                shapes += [(stage, width, 1, 1), (stage,), (stage,)]
            width = stage
    return [*shapes, (1000, 512), (1000,)]


def resnet50() -> Shapes:
    """The shapes of ResNet-50's 161 parameters, 25.6 million weights (He et al. 2016, ImageNet head)."""
    shapes: Shapes = [(64, 3, 7, 7), (64,), (64,)]
    width = 64
    for stage, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            shapes += [(stage, width, 1, 1), (stage,), (stage,), (stage, stage, 3, 3), (stage,), (stage,)]
            shapes += [(4 * stage, stage, 1, 1), (4 * stage,), (4 * stage,)]
            if block == 0:
                shapes += [(4 * stage, width, 1, 1), (4 * stage,), (4 * stage,)]
            width = 4 * stage
    return [*shapes, (1000, 2048), (1000,)]


def transformer() -> Shapes:
    """A decoder of 12 layers of width 768 with 18,432 words and 1,024 places: 148 parameters, 100 million weights."""
    width = 768
    attention: Shapes = [(3 * width, width), (3 * width,), (width, width), (width,)]
    perceptron: Shapes = [(4 * width, width), (4 * width,), (width, 4 * width), (width,)]
    norm: Shapes = [(width,), (width,)]
    return [(18_432, width), (1_024, width), *(norm + attention + norm + perceptron) * 12, *norm]


SMALL: Shapes = [(256,)] * 500
MLP: Shapes = [(2048, 1024), (2048,), (2048, 2048), (2048,), (2048, 2048), (2048,), (768, 2048), (768,)]
SHORT: Shapes = [(256, 128), (256,), (256, 256), (256,), (64, 256), (64,)]  # a compiler takes seconds for each

LISTS = {"ResNet-18": resnet18(), "MLP of 12 M": MLP, "500 of 256": SMALL}
GPU_LISTS = {"ResNet-50": resnet50(), "Transformer": transformer()}


def parameters(shapes: Shapes, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Parameters:
    generator = torch.Generator(device).manual_seed(0)
    made = []
    for shape in shapes:
        p = torch.nn.Parameter((torch.randn(shape, generator=generator, device=device) * 0.01).to(dtype))
        p.grad = (torch.randn(shape, generator=generator, device=device) * 0.01).to(dtype)
        made.append(p)
    return made


def weights(shapes: Shapes) -> int:
    return sum(map(math.prod, shapes))
