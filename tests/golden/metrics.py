#!/usr/bin/env python3
"""Writes metrics.safetensors: distances between sets of features as numpy and scipy compute them, in float64.

    metrics.py [--out DIR]

Features are max(0, U A s + b + t) with U = "metrics.<set>" [n, rank], A = "metrics.mix" [rank, d] and
b = "metrics.bias" [d] of the formula in recipe.py; the first set has s = 1, t = 0, the second s = 1.1, t = 0.1.

    case       n, n2     d   rank   what it is for
    full       400, 400  48   48    more images than features
    few        40, 30    64   64    fewer images than features: both covariances are singular
    mixed      40, 400   64   64    one of them is

`<case>.frechet` [2]: distance, the means' part; `<case>.mean`, `<case>.covariance`: the first 8 and 4x4 entries of the
first set's; `full.kid`: kernel distance of all images; `full.precision_recall` [2]: first set real, second generated,
k = 3. The distance is the one over images; for `full` scipy's general square root must agree to 1e-9.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.linalg
from recipe import formula, write_safetensors

CASES = {"full": (400, 400, 48, 48), "few": (40, 30, 64, 64), "mixed": (40, 400, 64, 64)}


def features(case, number):
    n1, n2, d, rank = CASES[case]
    n = n2 if number else n1
    s, t = (1.1, 0.1) if number else (1.0, 0.0)
    u = formula(f"metrics.{case}.{number}", (n, rank))
    return np.maximum(0.0, u @ formula("metrics.mix", (rank, d)) * s + formula("metrics.bias", (d,)) + t)


def root_trace_of_sets(x, y):
    """tr (S1^1/2 S2 S1^1/2)^1/2 from the centred images themselves, exact for any number of them."""
    x, y = x - x.mean(0), y - y.mean(0)
    return scipy.linalg.svdvals(x @ y.T).sum() / np.sqrt((len(x) - 1.0) * (len(y) - 1.0))


def frechet(x, y):
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    means = ((x.mean(0) - y.mean(0)) ** 2).sum()
    rest = means + np.trace(s1) + np.trace(s2)
    root_trace = root_trace_of_sets(x, y)
    if min(len(x), len(y)) > x.shape[1]:
        assert abs(root_trace - np.trace(scipy.linalg.sqrtm(s1 @ s2).real)) < 1e-9 * root_trace
    return np.array([rest - 2 * root_trace, means])


def kid(x, y):
    """Unbiased squared maximum mean discrepancy, written as sums over pairs."""
    kernel = lambda a, b: (a @ b / len(a) + 1.0) ** 3
    m = len(x)
    within = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel(a, b) for a in x for b in y)
    return within / (m * (m - 1.0)) - 2.0 * across / m**2


def precision_recall(real, fake, k):
    distances = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2)
    radii = lambda a: np.sort(distances(a, a), axis=1)[:, k]
    d = distances(real, fake)
    return np.array([(d <= radii(real)[:, None]).any(0).mean(), (d <= radii(fake)[None]).any(1).mean()])


def images(size, number, n):
    h, c = size
    u = formula(f"pixels.{h}.{number}", (n, 10)) @ formula(f"pixels.{h}.mix", (10, h * h * c))
    pixels = np.clip(np.floor(127.5 + 20.0 * (0.8 if number else 1.0) * u + 0.5), 0, 255)
    return (pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)).astype(np.float64).reshape(n, h, h, c)


def pixel_components(size, n):
    """Principal components by a singular value decomposition of the centred pixels, and the distance along them."""
    h, c = size
    blocks = lambda x: x if h <= 32 else x.reshape(len(x), h // 2, 2, h // 2, 2, c).mean((2, 4))
    reduce = lambda x: blocks(x).reshape(len(x), -1)
    x, y = reduce(images(size, 0, n)), reduce(images(size, 1, 50))
    _, singular, rows = np.linalg.svd(x - x.mean(0), full_matrices=False)
    variances = singular**2 / (n - 1)
    along = lambda z: (z - x.mean(0)) @ rows[:6].T
    return variances[:6], np.array([variances[:6].sum() / variances.sum()]), frechet(along(x), along(y))[:1]


def main():
    parser = argparse.ArgumentParser(description="Writes metrics.safetensors.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    out = {}
    for case in CASES:
        x, y = features(case, 0), features(case, 1)
        out[case + ".frechet"] = frechet(x, y)
        out[case + ".mean"] = x.mean(0)[:8]
        out[case + ".covariance"] = np.cov(x, rowvar=False)[:4, :4]
    x, y = features("full", 0), features("full", 1)
    out["full.kid"] = np.array([kid(x, y)])
    out["full.precision_recall"] = precision_recall(x, y, 3)
    for size, n in (((28, 1), 90), ((34, 3), 40)):
        for name, value in zip(("variances", "explained", "frechet"), pixel_components(size, n)):
            out[f"pixels.{size[0]}.{name}"] = value
    folder = parser.parse_args().out
    x = features("full", 0)[:, :8]
    np.savez_compressed(folder / "statistics.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    write_safetensors(folder / "metrics.safetensors", out)
    for name, value in out.items():
        print(name, value.ravel())


if __name__ == "__main__":
    main()
