from __future__ import annotations

import torch
from torch.nn.functional import softmax

from gan_lightning.networks import SelfAttention


def test_attention_starts_as_the_identity_and_its_gain_learns_first() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16)
    inputs = torch.randn(2, 16, 6, 6)
    assert torch.equal(layer(inputs), inputs)
    layer(inputs).square().sum().backward()
    assert layer.gain.grad is not None
    assert layer.gain.grad.abs() > 0
    assert layer.value.weight.grad is not None and not layer.value.weight.grad.any()


def test_attention_is_the_papers_sum_over_pixels_written_as_loops() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16).double()
    layer.gain.data.fill_(0.7)
    inputs = torch.randn(2, 16, 4, 6, dtype=torch.double)
    f, g, h, v = (getattr(layer, name).weight[:, :, 0, 0] for name in ("key", "query", "value", "output"))
    assert [tuple(w.shape) for w in (f, g, h, v)] == [(2, 16), (2, 16), (8, 16), (16, 8)]

    def pooled(weight: torch.Tensor, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the channels of each 2x2 square of pixels, the largest value of each channel."""
        squares = []
        for y in range(0, 4, 2):
            for x in range(0, 6, 2):
                pixels = [weight @ image[:, y + dy, x + dx] for dy in (0, 1) for dx in (0, 1)]
                squares.append(torch.stack(pixels).max(dim=0).values)
        return squares

    for image, found in zip(inputs, layer(inputs), strict=True):
        keys, values = pooled(f, image), pooled(h, image)
        for y in range(4):
            for x in range(6):
                query = g @ image[:, y, x]
                beta = softmax(torch.stack([key @ query for key in keys]), dim=0)
                read = sum(b * value for b, value in zip(beta, values, strict=True))
                torch.testing.assert_close(found[:, y, x], image[:, y, x] + 0.7 * (v @ read))


def test_attention_carries_a_gradient_from_every_pixel_to_every_other() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(8)
    layer.gain.data.fill_(1.0)
    inputs = torch.randn(1, 8, 8, 8, requires_grad=True)
    layer(inputs)[0, :, 0, 0].sum().backward()
    assert inputs.grad is not None
    reached = inputs.grad[0].abs().sum(0) > 0  # one pixel of each square of four, per channel, is the pool's choice
    assert reached[4:, 4:].any()
    assert reached.sum() > 16
