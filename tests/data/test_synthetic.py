import math

import pytest
import torch

from gan_lightning.data import GaussianMixture, Grid, RandomImages, Ring, SwissRoll


def residuals(source):
    real = source.reference("train")
    return real.images - source.centres[real.labels]


def test_modes_that_overlap_are_told_of():
    assert "modes overlap (standard deviation 5, 2 apart): high quality says little" in Grid(std=5.0, n=64).found()
    assert not any("overlap" in data.found() for data in (Grid(n=64), Ring(n=64)))


@pytest.mark.parametrize(
    "source",
    [
        Ring(n=40_000),
        Ring(5, radius=1.414, std=0.01414, n=40_000),
        Grid(n=40_000),
        GaussianMixture(3, 4, std=0.5, n=40_000),
    ],
)
def test_mixtures_have_their_moments(source):
    real, n, k = source.reference("train"), 40_000, len(source.centres)
    assert real.images.shape == (n, source.channels) and real.images.dtype == torch.float32
    counts = real.labels.bincount(minlength=k)
    assert ((counts - n / k).abs() < 5 * math.sqrt(n / k)).all()
    noise = residuals(source) / source.std
    assert noise.mean(0).abs().max() < 5 / math.sqrt(n)
    torch.testing.assert_close(noise.T @ noise / n, torch.eye(source.channels), atol=5 * math.sqrt(2 / n), rtol=0)


def test_the_ring_excludes_its_end_point():
    for n_modes in (1, 7, 8):
        centres = Ring(n_modes, radius=2.0).centres
        torch.testing.assert_close(centres.norm(dim=1), torch.full((n_modes,), 2.0))
        if n_modes > 1:
            side = 4 * math.sin(math.pi / n_modes)
            torch.testing.assert_close((centres - centres.roll(1, 0)).norm(dim=1), torch.full((n_modes,), side))
    torch.testing.assert_close(Ring().centres[[0, 2]], torch.tensor([[1.0, 0.0], [0.0, 1.0]]))


def test_the_grid_is_veegans():
    expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(map(int, centre)) for centre in Grid().centres.tolist()} == expected
    assert Grid().std == 0.05 and Grid().n_classes == 25


def test_high_quality_rate_of_the_true_ring():
    """Within three standard deviations lie 1 - exp(-4.5) of a Gaussian in the plane."""
    rate = (residuals(Ring(n=100_000)).norm(dim=1) < 0.03).float().mean()
    torch.testing.assert_close(rate, torch.tensor(1 - math.exp(-4.5)), atol=0.002, rtol=0)


def test_the_swiss_roll_is_scikit_learns():
    points = SwissRoll(noise=0.0, n=1000).reference("train").images * 7.5
    t = points.norm(dim=1)
    assert t.min() > 1.5 * math.pi - 1e-3 and t.max() < 4.5 * math.pi + 1e-3
    torch.testing.assert_close(points, torch.stack([t * t.cos(), t * t.sin()], 1), atol=1e-3, rtol=0)
    torch.testing.assert_close(t.mean(), torch.tensor(3 * math.pi), atol=0.5, rtol=0)
    assert SwissRoll().centres is None and SwissRoll().reference().labels is None

    from sklearn.datasets import make_swiss_roll

    ours = SwissRoll(n=50_000).reference("train").images.double()
    theirs = torch.from_numpy(make_swiss_roll(50_000, noise=0.25, random_state=0)[0][:, [0, 2]]) / 7.5
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), atol=0.03, rtol=0)
    torch.testing.assert_close(ours.T.cov(), theirs.T.cov(), atol=0.03, rtol=0)


def test_pacgans_1200_dimensions():
    means = [-1, -0.5, 0, 0.5, -2, -2.5, 10, 0.25, -13, -5.5]
    source = GaussianMixture(1200, std=1.0, means=means, noise_dim=700, n=500)
    noise = residuals(source)
    assert source.n_classes == 10 and source.centres.shape == (10, 1200)
    assert torch.equal(source.centres[:, 0], source.centres[:, -1])
    assert (noise[:, 700:] == 0).all()
    torch.testing.assert_close(noise[:, :700].std(), torch.tensor(1.0), atol=0.01, rtol=0)


def test_drawn_centres_have_their_spread():
    centres = GaussianMixture(50, 200, spread=3.0).centres
    torch.testing.assert_close(centres.std(), torch.tensor(3.0), atol=0.1, rtol=0)


@pytest.mark.parametrize("cls", [Ring, Grid, SwissRoll, lambda **options: GaussianMixture(3, **options)])
def test_the_set_is_a_function_of_its_seed(cls):
    def points(split="train", **options):
        return cls(n=50, **options).reference(split).images

    assert torch.equal(points(), points(seed=9, batch_size=8))
    assert not torch.equal(points(), points(sample_seed=1))
    assert not torch.equal(points(), points("eval"))


def test_random_images():
    source = RandomImages(16, channels=2, n_classes=3, n=500)
    real = source.reference("train")
    assert real.images.shape == (500, 2, 16, 16) and real.images.dtype == torch.uint8
    assert real.images.min() == 0 and real.images.max() == 255
    assert real.labels.unique().tolist() == [0, 1, 2]
    assert RandomImages(8).reference().labels is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Ring(0), "n_modes must be at least 1, got 0"),
        (lambda: Ring(std=-1.0), "std must be at least 0, got -1.0"),
        (lambda: Ring(n=0), "n must be at least 1, got 0"),
        (lambda: SwissRoll(scale=0.0), "scale must be positive, got 0.0"),
        (lambda: GaussianMixture(0), "dim must be at least 1, got 0"),
        (lambda: GaussianMixture(3, noise_dim=4), r"noise_dim must be between 0 and dim \(3\), got 4"),
        (lambda: GaussianMixture(3, means=[]), "n_modes must be at least 1, got 0"),
        (lambda: RandomImages(0), "image_size must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
