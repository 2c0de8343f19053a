"""Numbers that need not be stored: a deterministic tensor from its name, the same in the C++ tests (tests/golden.cpp),
and the format of the files of golden values. The formula is in the docstring of make_golden.py."""

import json
import math
import struct
from pathlib import Path

import numpy as np

STEP = np.uint64(0x9E3779B97F4A7C15)


def fnv1a64(name):
    """64-bit FNV-1a hash of a string."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def formula(name, shape, bound=1.0, offset=0.0):
    """The tensor called `name`: float32 values held as float64."""
    z = np.arange(math.prod(shape), dtype=np.uint64) * STEP + np.uint64(fnv1a64(name))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    unit = (z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0
    values = (offset + float(np.float32(bound)) * unit).astype(np.float32).astype(np.float64)
    return values.reshape(shape)


def write_safetensors(path, tensors):
    """Writes {name: array} (float32 or float64): u64 header length, JSON, data."""
    header, blobs, end = {}, [], 0
    for name, array in tensors.items():
        array = np.ascontiguousarray(array)
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": {4: "F32", 8: "F64"}[array.itemsize],
                        "shape": list(array.shape), "data_offsets": [begin, end]}
        blobs.append(array.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
