"""The picture of a segmentation: image, truth and prediction of one held-out sample."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_pop.errors import DataError
from optuna_pop.spaces.df import df_blocks
from optuna_pop.trainables.data import make_data_set
from optuna_pop.trainables.networks import build_network
from optuna_pop.trainables.pictures import segmentation_picture

CAPTION = 22


def test_three_panels_of_which_two_show_classes() -> None:
    data = make_data_set("streets", {"height": 64, "width": 160, "train_images": 4})
    blocks = df_blocks("df1-seg", input_shape=data.input_shape, classes=data.classes)
    network = build_network(blocks, seed=0).eval()
    content = segmentation_picture(network, data)
    assert segmentation_picture(network, data) == content
    picture = np.asarray(Image.open(io.BytesIO(content)))
    assert picture.shape == (3 * (64 + CAPTION), 160, 3)
    image, truth, prediction = (
        picture[at * (64 + CAPTION) + CAPTION : (at + 1) * (64 + CAPTION)] for at in range(3)
    )
    colours = [len(np.unique(panel.reshape(-1, 3), axis=0)) for panel in (image, truth, prediction)]
    assert colours[0] > 100
    assert 3 <= colours[1] <= data.classes + 1
    samples = data.load().held_out
    x, y = samples.take(torch.arange(min(16, len(samples))))
    most = max(range(len(y)), key=lambda at: len(y[at][y[at] != 255].unique()))
    with torch.inference_mode():
        found = network(x[most : most + 1]).argmax(1)[0].numpy()
    # One colour for each class that the network finds, at the same places.
    pairs = {
        (int(c), tuple(p)) for c, p in zip(found.ravel(), prediction.reshape(-1, 3), strict=True)
    }
    assert len(pairs) == len({c for c, _ in pairs}) == len(np.unique(found))


def test_classification_has_no_masks() -> None:
    data = make_data_set("digits", None)
    with pytest.raises(DataError, match="digits is for classification"):
        segmentation_picture(torch.nn.Identity(), data)
