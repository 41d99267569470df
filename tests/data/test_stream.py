import numpy as np
import pytest
import torch

from gan_lightning.data.stream import RealSamples, Rounds, mix
from gan_lightning.errors import UserError
from gan_lightning.evaluation.pictures import to_uint8


def images(n, labels=True):
    """Images whose every pixel tells which one it is; the first column is marked, so that a mirrored one shows."""
    pixels = torch.arange(n, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 4, 4)
    pixels[..., 0] = 255
    return RealSamples(pixels, torch.arange(n) if labels else None, "test")


def rounds(source, batch_size=6, rank=0, world_size=1, clock=(0, 0), n_critic=2, **options):
    return Rounds(
        source,
        batch_size=batch_size,
        seed=options.pop("seed", 3),
        rank=rank,
        world_size=world_size,
        clock=lambda: clock,
        batches_in_round=lambda update: n_critic,
        rounds_per_epoch=5,
        **options,
    )


def same(one, other):
    return all(
        torch.equal(a.real, b.real) and (a.labels is b.labels is None or torch.equal(a.labels, b.labels))
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize(("n", "batch_size"), [(20, 6), (7, 7), (3, 10), (1, 4), (50, 6)])
def test_each_pass_shows_every_sample_once(n, batch_size):
    stream = rounds(images(n), batch_size)
    seen = torch.cat([stream.batch(k).labels for k in range(-(-5 * n // batch_size))])
    passes = [seen[i * n : (i + 1) * n] for i in range(5)]
    for order in passes:
        assert order.sort().values.tolist() == list(range(n))
    assert n < 4 or any(not torch.equal(passes[0], order) for order in passes[1:])


def test_rows_keep_their_labels_and_pixels():
    batch = rounds(images(20)).batch(5)
    assert torch.equal(batch.real[:, 0, 0, 1], batch.labels.to(torch.uint8))
    assert batch.real.dtype == torch.uint8 and batch.labels.dtype == torch.int64
    assert rounds(images(20, labels=False)).batch(0).labels is None


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"flip": True}, {"flip": True, "dequantize": True}], ids=str)
def test_ranks_share_out_the_global_batch(world_size, options):
    whole = rounds(images(16), **options)
    parts = [rounds(images(16), rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    for k in range(9):
        real = torch.cat([part.batch(k).real for part in parts])
        assert torch.equal(real, whole.batch(k).real)
        assert torch.equal(torch.cat([part.batch(k).labels for part in parts]), whole.batch(k).labels)


@pytest.mark.parametrize("options", [{}, {"flip": True, "dequantize": True}], ids=str)
def test_a_stream_started_anywhere_goes_on_as_the_uninterrupted_one(options):
    def lengths(update):
        return 5 if update < 3 else 2

    def stream(clock):
        return Rounds(
            images(16),
            batch_size=6,
            seed=0,
            rank=0,
            world_size=1,
            clock=lambda: clock,
            batches_in_round=lengths,
            rounds_per_epoch=4,
            **options,
        )

    iterator = iter(stream((0, 0)))
    whole = [next(iterator) for _ in range(12)]
    assert [len(batches) for batches in whole] == [lengths(update) for update in range(12)]
    for update in range(12):
        again = iter(stream((update, sum(map(lengths, range(update))))))
        for expected in whole[update:]:
            assert same(next(again), expected)


def test_the_clock_is_asked_at_each_start():
    clock = [(0, 0)]
    stream = rounds(images(16))
    stream.clock = lambda: clock[0]
    first = next(iter(stream))
    clock[0] = (4, 8)
    assert same(next(iter(stream)), [stream.batch(8), stream.batch(9)])
    assert same(first, [stream.batch(0), stream.batch(1)])
    assert len(stream) == 5


def test_seeds_and_passes_give_different_orders():
    orders = {
        tuple(rounds(images(16), 16, seed=seed).batch(k).labels.tolist()) for seed in range(20) for k in range(20)
    }
    assert len(orders) == 400


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 8, 12, 28, 64])
def test_a_mirrored_image_has_its_columns_in_reverse_at_any_width(width):
    real = torch.randint(0, 256, (20, 3, 5, width), dtype=torch.uint8)
    plain, flipped = (rounds(RealSamples(real, None, ""), 20, flip=flip).batch(0).real for flip in (False, True))
    is_mirrored = [torch.equal(b, a.flip(-1)) for a, b in zip(plain, flipped, strict=True)]
    is_same = [torch.equal(b, a) for a, b in zip(plain, flipped, strict=True)]
    assert all(a or b for a, b in zip(is_mirrored, is_same, strict=True))
    assert width == 1 or 0 < sum(is_mirrored) < 20


def test_half_of_the_images_are_mirrored():
    stream = rounds(images(16), 100, flip=True)
    mirrored = torch.cat([stream.batch(k).real[:, 0, 0, -1] == 255 for k in range(20)])
    assert abs(mirrored.float().mean() - 0.5) < 5 * 0.5 / 2000**0.5
    for k in range(20):
        real = stream.batch(k).real
        assert torch.all((real[..., 0] == 255).all(-1) ^ (real[..., -1] == 255).all(-1))


@pytest.mark.parametrize("grey", [0, 1, 128, 254, 255])
def test_dequantised_images_fill_what_rounds_to_their_grey_level(grey):
    stream = rounds(RealSamples(torch.full((8, 3, 16, 16), grey, dtype=torch.uint8), None, "one"), 64, dequantize=True)
    real = stream.batch(0).real
    assert (to_uint8(real) == grey).all() and real.min() >= -1 and real.max() <= 1
    noise = (real + 1) * 127.5 - grey
    low, high = max(-0.5, -grey), min(0.5, 255 - grey)  # black and white are half as wide
    torch.testing.assert_close(noise.mean(), torch.tensor((low + high) / 2), atol=0.01, rtol=0)
    torch.testing.assert_close(noise.var(), torch.tensor((high - low) ** 2 / 12), atol=0.002, rtol=0)
    assert not torch.equal(real[0], real[1])


def test_samples_are_checked():
    floats = torch.rand(6, 3, 8, 8) * 2 - 1
    for images, message in [
        (floats * 127.5 + 127.5, r"must lie in \[-1, 1\], got .*; x / 127.5 - 1"),
        (floats.abs(), r"must lie in \[-1, 1\], got .*; 2 \* x - 1"),
        (floats.clone().index_fill_(0, torch.tensor([3]), float("nan")), "must be finite"),
        (torch.zeros(6, 8, 8, 3, dtype=torch.uint8), r"looks like \(N, H, W, C\)"),
        (np.zeros((6, 32, 24, 1), np.uint8), r"looks like \(N, H, W, C\)"),
        (torch.zeros(6, 3, 8, 8, dtype=torch.int64), "must be uint8 in 0..255 or floating point, got int64"),
        ([[0.0]], "must be a tensor or a numpy array, got list"),
        (torch.zeros(6), r"got \(6,\)"),
    ]:
        with pytest.raises(UserError, match=message):
            RealSamples(images, None, "wrong")
    for labels, message in [
        (torch.arange(5), r"for each of 6 samples, got int64 \(5,\)"),
        (torch.zeros(6, 2), "one-hot"),
        (torch.tensor([0, 1, -1, 0, 0, 0]), "must count from 0, got -1"),
    ]:
        with pytest.raises(UserError, match=message):
            RealSamples(floats, labels, "wrong")
    taken = RealSamples(floats.numpy(), np.arange(6, dtype=np.int32), "numpy")
    assert torch.equal(taken.images, floats) and taken.labels.dtype == torch.int64


def test_mix_spreads_neighbouring_counters():
    values = [mix(a, b) for a in range(30) for b in range(30)]
    assert len({value & 0xFFFFFFFF for value in values}) == 900
    assert all(0 <= value < 2**63 for value in values)
    ones = sum(bin(mix(0, i) ^ mix(0, i + 1)).count("1") for i in range(1000)) / 1000
    assert abs(ones - 31.5) < 1


def test_vectors():
    source = RealSamples(torch.randn(10, 3), None, "vectors")
    batch = rounds(source, 4).batch(0)
    assert batch.real.shape == (4, 3) and batch.real.dtype == torch.float32


@pytest.mark.parametrize(("batch_size", "world_size", "fix"), [(64, 3, "63 or 66"), (1, 2, "2 or 4"), (0, 1, "1 or 2")])
def test_a_batch_that_ranks_cannot_share_is_refused(batch_size, world_size, fix):
    with pytest.raises(ValueError, match=f"got {batch_size}; take {fix}"):
        rounds(images(8), batch_size, world_size=world_size)


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="no sample to train on in test"):
        rounds(images(0))


def test_the_fingerprint_follows_the_content():
    one, other = images(8), images(8)
    assert one.fingerprint == other.fingerprint and len(one.fingerprint) == 64
    other.images[3, 0, 0, 0] += 1
    assert RealSamples(other.images, None, "").fingerprint != one.fingerprint
    assert RealSamples(one.images.view(8, 4, 4, 1), None, "").fingerprint != one.fingerprint
