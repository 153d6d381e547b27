"""Networks as products use them: from an image to a label map or a class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optuna_pop.errors import InputError
from optuna_pop.spaces import BlockConfig
from optuna_pop.spaces.df import df_blocks
from optuna_pop.trainables.data.digits import Digits
from optuna_pop.trainables.data.streets import Streets
from optuna_pop.trainables.image_model import (
    ImageModel,
    check_image_parity,
    task_of,
    to_image_onnx,
)
from optuna_pop.trainables.networks import Network, build_network
from optuna_pop.trainables.tasks import Segmentation

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def network(name: str, shape: tuple[int, int, int], classes: int) -> Network:
    return build_network(df_blocks(name, input_shape=shape, classes=classes)).eval()


@pytest.mark.parametrize("name", ["df1-seg", "df1-seg-d8"])
def test_label_map_is_what_training_judges(name: str) -> None:
    """Also of a d8 network, whose labels are up-sampled, at a size that 8 does not divide."""
    data = Streets(height=60, width=92, train_images=1, held_out_images=2)
    held_out = data.load().held_out
    net = network(name, data.input_shape, data.classes)
    model = to_image_onnx(ImageModel(net, data.statistics))
    session = onnxruntime.InferenceSession(model)
    x, y = held_out.take(torch.arange(2))  # normalised as for training
    with torch.inference_mode():
        wanted = Segmentation().predict(net(x), y).numpy()
    for number in range(2):
        image = held_out.x[number].permute(1, 2, 0).contiguous().numpy()
        assert image.dtype == np.uint8
        (labels,) = session.run(None, {"image": image})
        assert labels.dtype == np.uint8
        assert len(np.unique(labels)) > 1
        np.testing.assert_array_equal(labels, wanted[number])


def test_class_and_probabilities() -> None:
    data = Digits(size=32, copies=1, held_out_copies=1)
    net = network("df1", data.input_shape, data.classes)
    session = onnxruntime.InferenceSession(to_image_onnx(ImageModel(net, data.statistics)))
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 1), np.uint8)
    label, probabilities = session.run(None, {"image": image})
    (mean,), (deviation,) = data.statistics
    x = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 - mean) / deviation
    with torch.inference_mode():
        scores = net(x)[0]
    assert label.tolist() == [int(scores.argmax())]
    np.testing.assert_allclose(probabilities, scores.softmax(0).numpy(), atol=1e-4)


def test_without_statistics_it_takes_what_is_normalised_already() -> None:
    net = network("df1", (3, 32, 32), 10)
    model = to_image_onnx(ImageModel(net, None))
    session = onnxruntime.InferenceSession(model)
    assert session.get_inputs()[0].type == "tensor(float)"
    image = np.random.default_rng(0).normal(size=(32, 32, 3)).astype(np.float32)
    with torch.inference_mode():
        wanted = net(torch.from_numpy(image).permute(2, 0, 1)[None]).argmax()
    assert session.run(["label"], {"image": image})[0] == wanted


def test_statistics_are_those_of_the_samples() -> None:
    data = Digits(size=16, copies=2, held_out_copies=1)
    train = data.load().train.take(torch.arange(len(data.load().train)))[0]
    (mean,), (deviation,) = data.statistics
    raw = train * deviation + mean  # ink as it was before, mostly from 0 to 1
    assert abs(float(raw.mean()) - mean) < 1e-4
    assert abs(float(train.std()) - 1) < 1e-3
    assert data.class_names[:2] == ("0", "1")


def test_an_unfaithful_export_is_refused() -> None:
    model = ImageModel(network("df1-seg", (3, 32, 64), 8), ((0.5,) * 3, (0.2,) * 3))
    good = to_image_onnx(model)
    assert check_image_parity(model, good) >= 0.999
    graph = onnx.load_from_string(good)
    for tensor in graph.graph.initializer:
        if len(tensor.dims) == 1 and tensor.dims[0] == 8:  # biases of the score
            values = onnx.numpy_helper.to_array(tensor) + np.linspace(0, 1000, 8, dtype=np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    with pytest.raises(InputError, match="the export is not faithful"):
        check_image_parity(model, graph.SerializeToString())


def test_what_gives_no_classes() -> None:
    with pytest.raises(InputError, match="gives no classes"):
        task_of([BlockConfig("conv", 3, 8, 8, 4, 4, 4)])
    large = network("df1-seg", (3, 32, 64), 300)
    with pytest.raises(InputError, match="256 classes at most, not 300"):
        ImageModel(large, None)
