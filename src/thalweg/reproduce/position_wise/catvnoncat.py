"""Reading the 209 training images of cats and other things, from the HDF5 file of the course that they come from."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from thalweg.tasks import DataMissing
from thalweg.tasks.folder import VARIABLE, data_folder, data_missing, is_openml

FILE = "catvnoncat/train_catvnoncat.h5"
SHA256 = "fbe56ab67c3ae28d564e3a644189117976d6b31af0a3ce9bb17dbf22908af242"
PIXELS = 255


def cats(data_dir: str | Path | None) -> tuple[Tensor, Tensor]:
    """Images/255, (209, 12288) in float64, pixel after pixel with its three colours; and (209, 1), 1 for a cat.

    Raises DataMissing where the file or h5py is not there, ValueError where the file is another one.
    """
    folder = data_folder(data_dir)
    path = folder / FILE if folder and not is_openml(folder) else None
    if path is None or not path.is_file():
        raise data_missing(
            "Cat vs non-cat",
            folder,
            FILE,
            f"name a folder that holds it by --data-dir or {VARIABLE}",
            "copy train_catvnoncat.h5, of the course Neural Networks and Deep Learning of deeplearning.ai, there",
        )
    try:
        import h5py
    except ImportError as error:
        raise DataMissing(f"{path} cannot be read without h5py: pip install 'thalweg[data]'") from error
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"{path} is not the original file: its sha256 is {found}, expected {SHA256}")
    with h5py.File(BytesIO(content), "r") as file:
        images, labels = file["train_set_x"][:], file["train_set_y"][:]
    x = torch.from_numpy(images).to(torch.float64).reshape(len(images), -1) / PIXELS
    return x, torch.from_numpy(labels).to(torch.float64).unsqueeze(1)
