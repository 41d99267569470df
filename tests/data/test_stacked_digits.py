import pytest
import torch

from gan_lightning.data import Digits, StackedDigits


def test_each_channel_is_a_scan_of_the_split_with_its_digit_in_the_label():
    data = StackedDigits(n=300)
    assert data.shape.size == (3, 8, 8) and data.n_classes == 1000
    for split in ("train", "eval"):
        digits, triples = Digits().reference(split), data.reference(split)
        assert len(triples) == 300 and triples.labels is not None and digits.labels is not None
        for channel, place in enumerate((100, 10, 1)):
            same = (triples.images[:, None, channel] == digits.images[None, :, 0]).flatten(2).all(2)
            assert same.any(1).all()  # no scan of the other split
            assert torch.equal(triples.labels // place % 10, digits.labels[same.int().argmax(1)])


def test_channels_are_independent_and_uniform():
    data = StackedDigits(n=20_000)
    labels = data.reference("train").labels
    assert labels is not None
    counts = labels.bincount(minlength=1000)
    shares = Digits().reference("train").labels.bincount() / 1437  # type: ignore[union-attr]
    expected = 20_000 * torch.einsum("a,b,c->abc", shares, shares, shares).flatten()
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 999 - 5 * 45 < chi_squared < 999 + 5 * 45  # mean 999, standard deviation 45


def test_the_draw_is_the_seeds_and_a_size_may_be_larger():
    first, again, other = StackedDigits(n=9), StackedDigits(n=9), StackedDigits(n=9, sample_seed=1, image_size=16)
    assert torch.equal(first.reference("train").images, again.reference("train").images)
    assert not torch.equal(first.reference("train").labels, other.reference("train").labels)
    assert other.reference("eval").images.shape == (9, 3, 16, 16)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        StackedDigits(n=0)
    with pytest.raises(ValueError, match="image_size must be at least 8.*got 4"):
        StackedDigits(image_size=4)
