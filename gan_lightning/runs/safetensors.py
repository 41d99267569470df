"""Weights in the safetensors format: a header of JSON, then the tensors' bytes; reading one runs no code.

The format is https://huggingface.co/docs/safetensors: eight bytes with the header's length, little endian, the header, the data.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from gan_lightning.errors import UserError

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_LONGEST_HEADER = 100_000_000  # the format's own bound
assert sys.byteorder == "little"


def write_tensors(file: IO[bytes], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors of any device, and texts about them."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name, value in tensors.items():
        end = start + value.numel() * value.element_size()
        header[name] = {"dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for value in tensors.values():
        file.write(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file, on the CPU, and the texts about them.

    Raises:
        UserError: There is no such file, or it is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    try:
        (length,) = struct.unpack("<Q", content[:8])
        if length > min(len(content), _LONGEST_HEADER):
            raise ValueError("its header is longer than it is")
        header = json.loads(content[8 : 8 + length])
        metadata = dict(header.pop("__metadata__", {}))
        data, tensors = bytearray(content[8 + length :]), {}
        for name, value in header.items():
            start, end = value["data_offsets"]
            if not 0 <= start <= end <= len(data):
                raise ValueError(f"{name} lies beyond its end")
            flat = (
                torch.frombuffer(data[start:end], dtype=torch.uint8)
                if end > start
                else torch.zeros(0, dtype=torch.uint8)
            )
            tensors[name] = flat.view(_TYPES[value["dtype"]]).reshape(value["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, struct.error) as error:
        raise UserError(f"{path} is damaged or no safetensors file ({' '.join(str(error).split())[:100]})") from error
    return tensors, metadata
