import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from gan_lightning.data import decoding
from gan_lightning.data.decoding import UnknownRange, file_shape, resize, upright_size, with_channels
from gan_lightning.shapes import Images


def decode(*arguments):
    return decoding.decode(*arguments).pixels


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png16(values):
    """Write a 16-bit grey PNG by hand, so that no library's idea of it is tested against itself."""
    height, width = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_of([(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows))])


def png_of(chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in [*chunks, (b"IEND", b"")]
    )


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_rgb_is_kept_to_the_bit():
    pixels = noise(8, 8, 3)
    assert np.array_equal(
        decode(encoded(Image.fromarray(pixels), "PNG"), Images(8, 8, 3), "center"), pixels.transpose(2, 0, 1)
    )


def test_grey_becomes_three_equal_channels():
    pixels = noise(8, 8)
    result = decode(encoded(Image.fromarray(pixels), "PNG"), Images(8, 8, 3), "center")
    assert all(np.array_equal(channel, pixels) for channel in result)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), "PNG"), Images(8, 8, 1), "center"), pixels[None])


def test_sixteen_bits_are_scaled_not_clipped():
    values = np.array(
        [[0, 128, 129, 255], [256, 257, 32768, 40000], [65535, 65278, 65406, 65407], [1, 2, 3, 4]], np.uint16
    )
    expected = np.round(values.astype(np.float64) / 257).astype(np.uint8)
    full = [0, 65535]
    assert np.array_equal(decode(png16(values), Images(4, 4, 1), "center", full)[0], expected)
    assert expected[2, 0] == 255 and expected[1, 2] == 128
    assert np.array_equal(decode(png16(values), Images(4, 4, 3), "center", full)[2], expected)
    tiff = encoded(Image.fromarray(values), "TIFF")
    assert np.array_equal(decode(tiff, Images(4, 4, 1), "center", full)[0], expected)


def test_the_range_of_deep_pixels_is_asked_for():
    values = np.array([[0, 2048], [4095, 5000]], np.uint16)
    for content in (png16(values), encoded(Image.fromarray(values), "TIFF")):
        with pytest.raises(UnknownRange, match=r"16-bit, from 0 to 5000, .*such as \[0, 8191\] \(--data.value_range"):
            decode(content, Images(2, 2, 1), "center")
        found = decode(content, Images(2, 2, 1), "center", [0, 4095])
        assert found[0].tolist() == [[0, 128], [255, 255]]
    with pytest.raises(UnknownRange, match=r"32-bit, from 0 to 0"):
        decode(encoded(Image.new("I", (4, 4)), "TIFF"), Images(4, 4, 1), "center")
    light = Image.fromarray(np.array([[0, 0.5], [1, 0.25]], np.float32))
    with pytest.raises(UnknownRange, match=r"floating-point, from 0 to 1, .*such as \[0, 1\]"):
        decode(encoded(light, "TIFF"), Images(2, 2, 1), "center")
    assert decode(encoded(light, "TIFF"), Images(2, 2, 1), "center", [0, 1])[0].tolist() == [[0, 128], [255, 64]]
    for bad in ([1, 0], [0], [0, float("nan")]):
        with pytest.raises(ValueError, match=r"value_range must be \[black, white\]"):
            decoding.check_range(bad)


def test_sixteen_bit_colours_are_not_taken_for_eight_bit_ones():
    row = b"\0" + np.array([[0, 0, 0], [4095, 4095, 4095]], ">u2").tobytes()
    content = png_of([(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(row))])
    with pytest.raises(UnknownRange, match=r"colours have 16 bits; set value_range to \[0, 65535\]"):
        decode(content, Images(1, 2, 3), "center")
    assert decode(content, Images(1, 2, 3), "center", [0, 65535])[0].tolist() == [[0, 15]]


def test_a_format_that_says_its_depth_is_not_asked():
    content = b"P5 2 1 4095\n" + np.array([0, 4095], ">u2").tobytes()
    assert decode(content, Images(1, 2, 1), "center")[0].tolist() == [[0, 255]]


def test_broken_metadata_cost_no_image():
    pixels = noise(16, 16, 3)
    plain = encoded(Image.fromarray(pixels), "PNG")
    text = zlib.compress(b"x" * 2_000_000)
    for kind, body in ((b"zTXt", b"k\0\0" + text), (b"iTXt", b"broken"), (b"eXIf", b"MM\0*\xff\xff\xff\xff")):
        for crc in (zlib.crc32(kind + body), 0):
            chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
            found = decode(plain[:33] + chunk + plain[33:], Images(16, 16, 3), "center")
            assert np.array_equal(found, pixels.transpose(2, 0, 1)), (kind, crc)
    jpeg = encoded(Image.fromarray(pixels), "JPEG", quality=95)
    expected = decode(jpeg, Images(16, 16, 3), "center")
    for marker, body in (
        (0xE1, b"Exif\0\0MM\0*\xff\xff"),
        (0xE1, b"Exif\0\0"),
        (0xE2, b"ICC_PROFILE\0\5"),
        (0xED, b"Photoshop 3.0\0" + b"8BIM\4"),
    ):
        segment = bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
        assert np.array_equal(decode(jpeg[:2] + segment + jpeg[2:], Images(16, 16, 3), "center"), expected)
    with pytest.raises(Exception, match="truncated"):  # the first complaint, not the second attempt's
        decode(plain[: len(plain) // 2], Images(16, 16, 3), "center")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white(mode):
    image = Image.new(mode, (4, 4), (0, 0, 0, 0)[: len(mode)] if mode == "RGBA" else (0, 0))
    image.putpixel((0, 0), (200, 200, 200, 255) if mode == "RGBA" else (200, 255))
    image.putpixel((1, 0), (0, 0, 0, 128) if mode == "RGBA" else (0, 128))
    result = decode(encoded(image, "PNG"), Images(4, 4, 3), "center")
    assert result[:, 0, 0].tolist() == [200] * 3
    assert all(abs(int(value) - 127) <= 1 for value in result[:, 0, 1])
    assert (result[:, 1:] == 255).all()


def test_palettes_with_and_without_transparency():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = [250, 10, 20]
    palette = Image.fromarray(pixels).quantize(2)
    assert np.array_equal(decode(encoded(palette, "PNG"), Images(4, 4, 3), "center"), pixels.transpose(2, 0, 1))
    black = palette.getpixel((0, 3))
    result = decode(encoded(palette, "PNG", transparency=black), Images(4, 4, 3), "center")
    assert (result[:, 2:] == 255).all() and result[:, 0, 0].tolist() == [250, 10, 20]


def test_a_transparent_colour_of_an_rgb_file():
    image = Image.new("RGB", (4, 4), (1, 2, 3))
    image.putpixel((0, 0), (9, 9, 9))
    result = decode(encoded(image, "PNG", transparency=(1, 2, 3)), Images(4, 4, 3), "center")
    assert result[:, 0, 0].tolist() == [9, 9, 9] and (result[:, 1:] == 255).all()


def test_one_bit():
    image = Image.new("1", (4, 4))
    image.putpixel((2, 1), 1)
    result = decode(encoded(image, "PNG"), Images(4, 4, 1), "center")
    assert result[0, 1, 2] == 255 and result.sum() == 255


def test_cmyk_jpeg():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    red, green, blue = decode(encoded(image, "JPEG", quality=95), Images(16, 16, 3), "center").reshape(3, -1).mean(1)
    assert red > 240 and green < 20 and blue < 20


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_the_cameras_orientation_is_applied(kind):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255  # upper half white
    lossless = {"lossless": True} if kind == "WEBP" else {}
    for orientation, bright in [(1, np.s_[:, :7]), (3, np.s_[:, 9:]), (6, np.s_[:, :, 9:]), (8, np.s_[:, :, :7])]:
        exif = Image.Exif()
        exif[0x0112] = orientation
        result = decode(encoded(Image.fromarray(pixels), kind, exif=exif, **lossless), Images(16, 16, 3), "center")
        assert (result[bright] == 255).all(), orientation
        assert result.mean() == 127.5
        content = encoded(Image.new("RGB", (8, 12)), kind, exif=exif, **lossless)
        assert upright_size(content) == ((8, 12) if orientation > 4 else (12, 8)), orientation


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, Images(8, 8, 3), "center")[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF", "PPM"])
def test_other_formats(kind):
    result = decode(encoded(Image.new("RGB", (20, 10), (200, 100, 50)), kind), Images(8, 8, 3), "center")
    assert result.shape == (3, 8, 8)
    assert np.abs(result.mean((1, 2)) - [200, 100, 50]).max() < 4


def test_cropping_keeps_the_middle_and_squeezing_keeps_all():
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 255
    content = encoded(Image.fromarray(pixels), "PNG")
    assert (decode(content, Images(10, 10, 1), "center") == 255).all()
    squeezed = decode(content, Images(30, 30, 1), "none")
    assert squeezed[0, 15].tolist() == pixels[0].tolist()
    tall = encoded(Image.fromarray(np.ascontiguousarray(pixels.T)), "PNG")
    assert (decode(tall, Images(10, 10, 1), "center") == 255).all()


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    result = decode(encoded(Image.fromarray(stripes), "PNG"), Images(16, 16, 1), "center")
    assert np.abs(result[:, 2:-2, 2:-2].astype(int) - 128).max() < 12
    square = Image.fromarray(noise(40, 40))
    expected = np.asarray(square.resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(decode(encoded(square, "PNG"), Images(16, 16, 1), "center")[0], expected)


def test_tensors_are_resized_as_pictures_are():
    pixels = noise(5, 3, 40, 40)
    expected = np.stack(
        [np.asarray(Image.fromarray(p.transpose(1, 2, 0)).resize((16, 16), Image.Resampling.BICUBIC)) for p in pixels]
    ).transpose(0, 3, 1, 2)
    difference = resize(torch.from_numpy(pixels), Images(16, 16, 3)).int() - torch.from_numpy(expected).int()
    assert difference.abs().max() <= 1
    wide = torch.from_numpy(noise(2, 1, 10, 20))
    assert torch.equal(resize(wide, Images(10, 10, 1)), wide[..., 5:15])
    assert resize(wide, Images(10, 10, 1), "none").shape == (2, 1, 10, 10)
    assert torch.equal(resize(wide, Images(5, 20, 1)), wide[..., 2:7, :])  # the middle of the same ratio


def test_tensors_change_channels_as_pictures_do():
    pixels = noise(3, 3, 8, 8)
    expected = np.stack([np.asarray(Image.fromarray(p.transpose(1, 2, 0)).convert("L")) for p in pixels])[:, None]
    assert np.array_equal(with_channels(torch.from_numpy(pixels), 1).numpy(), expected)
    assert torch.equal(with_channels(torch.from_numpy(expected), 3)[:, 2:], torch.from_numpy(expected))
    with pytest.raises(ValueError, match="2 channels cannot be converted to 3"):
        with_channels(torch.zeros(1, 2, 4, 4, dtype=torch.uint8), 3)


@pytest.mark.parametrize("content", [b"", b"not an image", encoded(Image.fromarray(noise(64, 64, 3)), "PNG")[:2000]])
def test_broken_files_raise(content):
    with pytest.raises(Exception, match=r"empty|cannot identify|truncated|broken"):
        decode(content, Images(8, 8, 3), "center")


def test_decompression_bombs_are_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError):
        decode(encoded(Image.new("L", (50, 50)), "PNG"), Images(4, 4, 1), "center")


def test_the_image_is_not_changed():
    image = Image.new("RGBA", (4, 4))
    before = image.tobytes()
    from gan_lightning.data.decoding import to_pixels

    to_pixels(image, Images(2, 2, 3), "center")
    assert image.tobytes() == before and image.mode == "RGBA"
    assert ImageOps.exif_transpose(image).size == (4, 4)


@pytest.mark.parametrize(
    ("size", "channels", "message"),
    [(0, 3, "image_size must be at least 1"), (8, 5, "got 5"), ([8], 3, "height, width")],
)
def test_shapes_are_checked(size, channels, message):
    with pytest.raises(ValueError, match=message):
        file_shape(size, channels)


def test_a_png_with_a_flipped_byte_is_refused():
    """Pillow reads over a wrong checksum of IDAT, and shows other pixels."""
    saved = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(saved, "PNG")
    content = bytearray(saved.getvalue())
    assert decoding.decode(bytes(content), Images(16, 16, 3), "none").pixels.shape == (3, 16, 16)
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="its IDAT chunk is damaged"):
        decoding.decode(bytes(content), Images(16, 16, 3), "none")
