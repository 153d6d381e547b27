from dataclasses import replace

import numpy as np
import pytest
import torch

from optuna_pop.errors import InputError, UnknownNameError
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.digits import Digits

pytest.importorskip("sklearn")

TINY = Digits(size=16, copies=1, held_out_copies=2)
PLAIN = Digits(size=8, copies=1, held_out_copies=1, rotation=0, scale=(1, 1), shift=0, noise=0)


def test_digits_are_normalised() -> None:
    split = Digits().load()
    assert split.train.x.mean().abs() < 1e-3
    assert split.train.x.std() == pytest.approx(1, abs=1e-3)


def test_unknown_data_set_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set 'letters': .*digits"):
        DATA_SETS["letters"]


def test_divided_before_warping() -> None:
    train, held_out = TINY.division()
    assert not set(train) & set(held_out)
    assert len(train) + len(held_out) == 1797
    split = TINY.load()
    assert len(split.train.y) == len(train)
    assert len(split.held_out.y) == 2 * len(held_out)


def test_no_held_out_image_is_trained_on() -> None:
    split = PLAIN.load()
    trained = {image.numpy().tobytes() for image in split.train.x}
    assert not any(image.numpy().tobytes() in trained for image in split.held_out.x)


def test_without_warps_the_source_remains() -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    train, _ = PLAIN.division()
    split = PLAIN.load()
    expected = torch.from_numpy(source.images[train]).float()[:, None]
    expected = (expected - expected.mean()) / expected.std()
    torch.testing.assert_close(split.train.x, expected, atol=1e-4, rtol=0)
    np.testing.assert_array_equal(split.train.y, source.target[train])


def test_warps_move_digits_as_far_as_said_and_no_further() -> None:
    """Shrunk to half and shifted by up to a fifth, ink stays within the frame that leaves."""
    split = replace(PLAIN, size=40, scale=(0.5, 0.5), shift=0.2).load()
    ink = split.train.x[:, 0] - split.train.x.min() > 1e-3
    rows = ink.any(dim=2)
    top = rows.int().argmax(dim=1)
    assert top.min() >= 40 * (0.5 - 0.25 - 0.2) - 3
    assert top.max() > 40 * 0.25
    assert not torch.equal(split.train.x[0], split.train.x[1])


def test_settings_decide_the_samples() -> None:
    from optuna_pop.trainables.data import digits

    first = TINY.load()
    digits._warped.cache_clear()
    again, other = replace(TINY).load(), replace(TINY, seed=1).load()
    assert again is not first
    for part in ("train", "held_out"):
        for array in "xy":
            one, other_one = (getattr(getattr(split, part), array) for split in (first, again))
            assert torch.equal(one, other_one)
    assert not torch.equal(first.train.y, other.train.y)


def test_fingerprint_follows_source_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna_pop.trainables.data import digits

    assert TINY.fingerprint() == replace(TINY).fingerprint()
    assert TINY.fingerprint() != replace(TINY, noise=0.1).fingerprint()
    before = TINY.fingerprint()
    images, labels = digits._source()
    monkeypatch.setattr(digits, "_source", lambda: (images * 0.5, labels))
    assert TINY.fingerprint() != before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"copies": 0}, "copies must be at least 1, not 0"),
        ({"size": -4}, "size must be at least 1, not -4"),
        ({"held_out_share": 1.0}, r"held_out_share must lie between 0 and 1, not 1\.0"),
        ({"scale": (1.0, 0.5)}, r"scale must be .* not \(1\.0, 0\.5\)"),
        ({"noise": float("nan")}, "noise must be 0 or more, not nan"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Digits(**setting)
