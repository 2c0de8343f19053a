#!/usr/bin/env python3
"""Writes inception.safetensors: Inception-v3 of the original FID as numpy computes it, in float64.

    inception.py [--out DIR]         about a minute

The network is that of pytorch-fid's weights (pt_inception-2015-12-05): batch norm with eps 1e-3 in inference, average
pools that divide by the pixels inside the image, a max pool in the last block. Its weights are not stored: they follow
the formula in recipe.py, by "inception.<key>" with the bounds of bounds().

`rgb`, `grey` and `large` are images in [-1, 1] called "inception.<name>", N,H,W,C. `<image>.resized`: what the network
sees, 299x299, bilinear with half-pixel centres and no antialias; `<image>.<block>` after every block, `<image>.pool3`
the features (not for `large`). All are thinned to at most 512 entries as in make_golden.py, with the norm of the whole.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from recipe import formula, write_safetensors

IMAGES = {"rgb": (2, 32, 32, 3), "grey": (1, 40, 23, 1), "large": (1, 310, 320, 3)}


def bounds(key, shape):
    """(bound, offset) of a tensor of the network."""
    if key.endswith("conv.weight"):
        return math.sqrt(6.0 / math.prod(shape[1:])), 0.0
    return {"weight": (0.3, 1.0), "bias": (0.3, 0.0), "running_mean": (0.2, 0.0),
            "running_var": (0.5, 1.0)}[key.rsplit(".", 1)[1]]


def tensor(key, shape):
    return formula("inception." + key, shape, *bounds(key, shape))


def windows(x, kernel, stride, padding, fill=0.0):
    """Views of all windows of x [N, H, W, C]: [N, H', W', C, kh, kw]."""
    (kh, kw), (ph, pw) = kernel, padding
    x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, (kh, kw), (1, 2))[:, ::stride, ::stride]


def conv(x, name, out, kernel=(1, 1), stride=1, padding=(0, 0)):
    """Convolution, batch norm, ReLU."""
    w = tensor(name + ".conv.weight", (out, x.shape[3], *kernel))
    y = np.tensordot(windows(x, kernel, stride, padding), w, ((3, 4, 5), (1, 2, 3)))
    g, b, mean, var = (tensor(f"{name}.bn.{leaf}", (out,)) for leaf in ("weight", "bias", "running_mean", "running_var"))
    return np.maximum((y - mean) / np.sqrt(var + 1e-3) * g + b, 0.0)


def max_pool(x, stride, padding):
    return windows(x, (3, 3), stride, (padding, padding), -np.inf).max((4, 5))


def average_pool(x):
    inside = windows(np.ones_like(x[:1, :, :, :1]), (3, 3), 1, (1, 1)).sum((4, 5))
    return windows(x, (3, 3), 1, (1, 1)).sum((4, 5)) / inside


def block_35(x, name, pool):
    one = conv(x, name + ".branch1x1", 64)
    five = conv(conv(x, name + ".branch5x5_1", 48), name + ".branch5x5_2", 64, (5, 5), 1, (2, 2))
    three = conv(x, name + ".branch3x3dbl_1", 64)
    for i in (2, 3):
        three = conv(three, f"{name}.branch3x3dbl_{i}", 96, (3, 3), 1, (1, 1))
    return np.concatenate([one, five, three, conv(average_pool(x), name + ".branch_pool", pool)], 3)


def reduction_17(x, name):
    three = conv(conv(x, name + ".branch3x3dbl_1", 64), name + ".branch3x3dbl_2", 96, (3, 3), 1, (1, 1))
    return np.concatenate([conv(x, name + ".branch3x3", 384, (3, 3), 2),
                           conv(three, name + ".branch3x3dbl_3", 96, (3, 3), 2), max_pool(x, 2, 0)], 3)


ROW, COLUMN = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))


def block_17(x, name, c):
    seven = conv(conv(x, name + ".branch7x7_1", c), name + ".branch7x7_2", c, *ROW)
    seven = conv(seven, name + ".branch7x7_3", 192, *COLUMN)
    double = conv(x, name + ".branch7x7dbl_1", c)
    for i, (out, shape) in enumerate(((c, COLUMN), (c, ROW), (c, COLUMN), (192, ROW)), 2):
        double = conv(double, f"{name}.branch7x7dbl_{i}", out, *shape)
    return np.concatenate([conv(x, name + ".branch1x1", 192), seven, double,
                           conv(average_pool(x), name + ".branch_pool", 192)], 3)


def reduction_8(x, name):
    three = conv(conv(x, name + ".branch3x3_1", 192), name + ".branch3x3_2", 320, (3, 3), 2)
    seven = conv(conv(x, name + ".branch7x7x3_1", 192), name + ".branch7x7x3_2", 192, *ROW)
    seven = conv(conv(seven, name + ".branch7x7x3_3", 192, *COLUMN), name + ".branch7x7x3_4", 192, (3, 3), 2)
    return np.concatenate([three, seven, max_pool(x, 2, 0)], 3)


def block_8(x, name, pool):
    split = lambda y, stem: [conv(y, stem + "a", 384, (1, 3), 1, (0, 1)), conv(y, stem + "b", 384, (3, 1), 1, (1, 0))]
    three = split(conv(x, name + ".branch3x3_1", 384), name + ".branch3x3_2")
    double = conv(conv(x, name + ".branch3x3dbl_1", 448), name + ".branch3x3dbl_2", 384, (3, 3), 1, (1, 1))
    return np.concatenate([conv(x, name + ".branch1x1", 320), *three, *split(double, name + ".branch3x3dbl_3"),
                           conv(pool(x), name + ".branch_pool", 192)], 3)


def network(x):
    """Every stage's name and output."""
    stem = [("Conv2d_1a_3x3", lambda x: conv(x, "Conv2d_1a_3x3", 32, (3, 3), 2)),
            ("Conv2d_2a_3x3", lambda x: conv(x, "Conv2d_2a_3x3", 32, (3, 3))),
            ("Conv2d_2b_3x3", lambda x: conv(x, "Conv2d_2b_3x3", 64, (3, 3), 1, (1, 1))),
            ("maxpool1", lambda x: max_pool(x, 2, 0)),
            ("Conv2d_3b_1x1", lambda x: conv(x, "Conv2d_3b_1x1", 80)),
            ("Conv2d_4a_3x3", lambda x: conv(x, "Conv2d_4a_3x3", 192, (3, 3))),
            ("maxpool2", lambda x: max_pool(x, 2, 0))]
    blocks = [("Mixed_5b", block_35, 32), ("Mixed_5c", block_35, 64), ("Mixed_5d", block_35, 64),
              ("Mixed_6a", reduction_17), ("Mixed_6b", block_17, 128), ("Mixed_6c", block_17, 160),
              ("Mixed_6d", block_17, 160), ("Mixed_6e", block_17, 192), ("Mixed_7a", reduction_8),
              ("Mixed_7b", block_8, average_pool), ("Mixed_7c", block_8, lambda x: max_pool(x, 1, 1))]
    for name, step in stem:
        x = step(x)
        yield name, x
    for name, block, *rest in blocks:
        x = block(x, name, *rest)
        yield name, x
    yield "pool3", x.mean((1, 2))


def resize(x):
    """Bilinear to 299x299; grey becomes three equal channels."""
    for axis in (1, 2):
        size = x.shape[axis]
        at = np.maximum((np.arange(299) + 0.5) * size / 299 - 0.5, 0.0)
        low = np.floor(at).astype(int)
        t = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - t) + np.take(x, np.minimum(low + 1, size - 1), axis) * t
    return np.broadcast_to(x, (*x.shape[:3], 3))


def thinned(out, name, x):
    flat = x.reshape(-1)
    stride = math.ceil(len(flat) / 512)
    while math.gcd(stride, len(flat)) != 1:
        stride += 1
    out[name], out[name + ".norm"] = flat[::stride].copy(), np.array([np.linalg.norm(flat)])


def main():
    parser = argparse.ArgumentParser(description="Writes inception.safetensors.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    folder, out = parser.parse_args().out, {}
    for name, shape in IMAGES.items():
        x = resize(formula("inception." + name, shape))
        thinned(out, name + ".resized", x)
        if name != "large":
            for stage, y in network(x):
                thinned(out, f"{name}.{stage}", y)
                print(name, stage, y.shape, y.std())
    write_safetensors(folder / "inception.safetensors", out)


if __name__ == "__main__":
    main()
