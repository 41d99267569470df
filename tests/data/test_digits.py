import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from gan_lightning.data import Digits


def test_the_split_is_the_one_the_classifier_was_trained_on():
    digits, order = load_digits(), torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    train, held_out = Digits().reference("train"), Digits().reference("eval")
    assert len(train) == 1437 and len(held_out) == 360
    images, labels = torch.cat([train.images, held_out.images]), torch.cat([train.labels, held_out.labels])
    assert torch.equal(labels, torch.from_numpy(digits.target)[order])
    assert torch.equal(images[:, 0], (torch.from_numpy(digits.images)[order] * 255 / 16).round().to(torch.uint8))
    assert images.max() == 255 and images.dtype == torch.uint8
    assert train.fingerprint != held_out.fingerprint


@pytest.mark.parametrize("size", [16, 28, 32])
def test_larger_digits_are_pillows(size):
    small, large = Digits().reference().images, Digits(image_size=size).reference().images
    assert large.shape == (360, 1, size, size) and large.dtype == torch.uint8
    for i in range(0, 360, 30):
        expected = Image.fromarray(small[i, 0].numpy()).resize((size, size), Image.Resampling.BICUBIC)
        assert np.abs(large[i, 0].numpy().astype(int) - np.asarray(expected)).max() <= 1


def test_smaller_ones_are_refused():
    with pytest.raises(ValueError, match="image_size must be at least 8.*got 4"):
        Digits(image_size=4)
