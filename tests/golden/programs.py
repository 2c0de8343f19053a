#!/usr/bin/env python3
"""Random programs of operations, and what PyTorch computes for them in float64: programs.txt, for test_programs.cpp.

    programs.py                                      300 programs, the committed file
    programs.py --count 6000 --out FILE              more of them; DAMC_PROGRAMS=FILE test_programs runs these

A program is a list of values, each a leaf or an operation on earlier values; what no operation takes is a result.

    program 7
    leaf 3 4 | reversed            value 0: shape and layout; its numbers are the formula of program.7.0 (recipe.py)
    matmul 0 1 | 2 5               operation, operands, numbers; what they mean stands at the operation below
    result 2 P N                   value 2, y: P = sum(y c), c the formula of program.7.result.2; N = |y|
    grad 0 P N                     the same of the gradient of leaf 0, of the sum of all P; formula program.7.grad.0

Layouts are what a leaf is a view of: dense; its dimensions reversed; a part of something larger; repeated, one number along a
dimension. Values keep away from kinks, poles and from being ill-conditioned, so that all of it holds to 1e-9.
"""

import argparse
import math
import random
from pathlib import Path

import torch
from torch.nn import functional as F

import recipe

HERE = Path(__file__).resolve().parent
MOST_ELEMENTS, LARGEST, NEAREST = 400, 20.0, 1e-4  # of a value, in a value, to a kink


def formula(name, shape, bound=1.0):
    return torch.from_numpy(recipe.formula(name, shape, bound).copy())


class Rejected(Exception):
    """Numbers or sizes that a program does not go on with."""


def require(condition):
    if not condition:
        raise Rejected


class Program:
    def __init__(self, number):
        self.number, self.rng = number, random.Random(number)
        self.values, self.lines, self.leaves, self.used = [], [], [], set()

    def leaf(self, shape, layout=None):
        index = len(self.values)
        layout = layout or self.rng.choice(["dense"] * 3 + ["reversed", "part"] + ["repeated"] * (len(shape) > 0))
        base = list(shape)
        if layout == "repeated":
            base[-1] = min(base[-1], 1)
        name = f"program.{self.number}.{index}"
        value = formula(name, base, 1.5).expand(shape).clone().requires_grad_()
        self.values.append(value)
        self.leaves.append(index)
        self.lines.append(" ".join(["leaf", *map(str, shape), "|", layout]))
        return index

    def any(self, *dims):
        """A value of as many dimensions as asked, rather one without a use; a new leaf where there is none."""
        found = [i for i, v in enumerate(self.values) if not dims or v.ndim in dims]
        if not found or self.rng.random() < 0.1:
            return self.leaf(self.shape(self.rng.choice(dims or (0, 1, 2, 3, 4))))
        return self.rng.choices(found, [1 if i in self.used else 5 for i in found])[0]

    def like(self, shape):
        found = [i for i, v in enumerate(self.values) if list(v.shape) == list(shape)]
        return self.rng.choice(found) if found and self.rng.random() < 0.5 else self.leaf(list(shape))

    def shape(self, dims):
        if dims == 4:
            return [self.rng.randint(1, 2), self.rng.randint(2, 6), self.rng.randint(2, 6), self.rng.randint(1, 3)]
        return [0 if self.rng.random() < 0.02 else self.rng.randint(1, 5) for _ in range(dims)]

    def step(self, name):
        """Adds the operation, or nothing when it does not fit."""
        kept = len(self.values), len(self.lines), len(self.leaves)
        try:
            operands, numbers, y = OPERATIONS[name](self)
            require(y.numel() <= MOST_ELEMENTS and bool(torch.isfinite(y).all()))
            require(y.numel() == 0 or y.abs().max() < LARGEST)
        except (Rejected, RuntimeError, IndexError, ValueError):
            del self.values[kept[0]:], self.lines[kept[1]:], self.leaves[kept[2]:]
            return False
        self.values.append(y)
        self.used.update(operands)
        self.lines.append(" ".join([name, *map(str, operands), "|", *map(repr_number, numbers)]).strip())
        return True


def repr_number(x):
    return repr(x) if isinstance(x, float) else str(int(x))


OPERATIONS = {}


def operation(f):
    OPERATIONS[f.__name__.rstrip("_")] = f
    return f


def away(x, *points):
    """No element near one of these."""
    for point in points:
        require(bool(((x - point).abs() > NEAREST).all()))


# Pointwise.


def pointwise(name, f, fits=lambda x, *_: True, numbers=lambda rng: []):
    def make(p):
        i, constants = p.any(), numbers(p.rng)
        require(fits(p.values[i], *constants))
        return [i], constants, f(p.values[i], *constants)
    OPERATIONS[name] = make


def no_kink(*points):
    def fits(x, *_):
        away(x, *points)
        return True
    return fits


def uniform(low, high):
    return lambda rng: [round(rng.uniform(low, high), 3)]


for name in ("exp", "sin", "cos", "atan", "erf", "tanh", "sigmoid", "square"):
    pointwise(name, getattr(torch, name))
for name in ("softplus", "silu", "gelu"):
    pointwise(name, getattr(F, name), lambda x: bool((x.abs() < 15).all()))  # softplus: PyTorch's has a threshold
for name in ("log", "sqrt"):
    pointwise(name, getattr(torch, name), lambda x: bool((x > 0.1).all()))
pointwise("reciprocal", torch.reciprocal, lambda x: bool((x.abs() > 0.2).all()))
pointwise("abs", torch.abs, no_kink(0))
pointwise("leaky_relu", F.leaky_relu, no_kink(0), lambda rng: [rng.choice([0.0, 0.1, 0.2])])
pointwise("pow", torch.pow, lambda x, e: bool((x > 0.1).all()), uniform(-2, 3))
pointwise("affine", lambda x, a, b: a * x + b, numbers=lambda rng: [round(rng.uniform(-2, 2), 3) for _ in range(2)])


@operation
def clamp(p):
    i, low, high = p.any(), round(p.rng.uniform(-2, 0), 3), round(p.rng.uniform(0, 2), 3)
    away(p.values[i], low, high)
    return [i], [low, high], p.values[i].clamp(low, high)


@operation
def greater(p):
    i, bound = p.any(), round(p.rng.uniform(-1, 1), 3)
    away(p.values[i], bound)
    return [i], [bound], (p.values[i].detach() > bound).double()


def pair(p):
    """Two values that broadcast."""
    i = p.any()
    shape = list(p.values[i].shape)
    for d in range(len(shape)):
        if p.rng.random() < 0.25:
            shape[d] = 1
    j = p.like(shape[p.rng.randint(0, len(shape)) if p.rng.random() < 0.3 else 0:])
    return (i, j) if p.rng.random() < 0.5 else (j, i)


def binary(name, f, fits=lambda a, b: True):
    def make(p):
        i, j = pair(p)
        require(fits(p.values[i], p.values[j]))
        return [i, j], [], f(p.values[i], p.values[j])
    OPERATIONS[name] = make


binary("add", torch.add)
binary("sub", torch.sub)
binary("mul", torch.mul)
binary("div", torch.div, lambda a, b: bool((b.abs() > 0.2).all()))
binary("maximum", torch.maximum, lambda a, b: no_kink(0)(a - b))
binary("minimum", torch.minimum, lambda a, b: no_kink(0)(a - b))
binary("gt", lambda a, b: (a.detach() > b.detach()).double(), lambda a, b: no_kink(0)(a - b))


@operation
def where(p):
    """The condition is whether the first operand is above 0."""
    i, j = pair(p)
    c = p.like(torch.broadcast_shapes(p.values[i].shape, p.values[j].shape))
    away(p.values[c], 0)
    return [c, i, j], [], torch.where(p.values[c].detach() > 0, p.values[i], p.values[j])


@operation
def masked(p):
    """The mask is where the second operand is above 0."""
    i = p.any()
    m = p.like(p.values[i].shape)
    away(p.values[m], 0)
    return [i, m], [], p.values[i] * (p.values[m].detach() > 0)


# Reductions and shapes.


def some_dims(p, x):
    dims = sorted(p.rng.sample(range(x.ndim), p.rng.randint(1, x.ndim)))
    return [d - x.ndim if p.rng.random() < 0.3 else d for d in dims]


def reduction(name, f):
    def make(p):
        i = p.any(1, 2, 3, 4)
        x = p.values[i]
        dims, keep = some_dims(p, x), p.rng.random() < 0.5
        return [i], [keep, *dims], f(x, dims, keep)
    OPERATIONS[name] = make


reduction("sum", lambda x, dims, keep: x.sum(dims, keep))
reduction("mean", lambda x, dims, keep: x.mean(dims, keep))


def one_dim(p, *dims):
    i = p.any(*(dims or (1, 2, 3, 4)))
    return i, p.values[i], p.rng.randrange(-p.values[i].ndim, p.values[i].ndim)


@operation
def max_(p):
    i, x, d = one_dim(p)
    best = x.detach().topk(min(2, x.shape[d]), dim=d).values
    require(x.shape[d] < 2 or bool((best.select(d, 0) - best.select(d, 1) > NEAREST).all()))
    keep = p.rng.random() < 0.5
    return [i], [keep, d], x.max(d, keep).values


for name in ("softmax", "log_softmax"):
    def make(p, f=getattr(F, name)):
        i, x, d = one_dim(p)
        require(x.shape[d] > 0)  # refused here, empty there
        return [i], [d], f(x, d)
    OPERATIONS[name] = make


@operation
def reshape(p):
    i = p.any()
    x, shape = p.values[i], []
    rest = x.numel()
    while rest > 1 and len(shape) < 3:
        shape.append(p.rng.choice([d for d in range(1, rest + 1) if rest % d == 0]))
        rest //= shape[-1]
    shape.append(rest)
    return [i], shape, x.reshape(shape)


@operation
def flatten(p):
    i = p.any(2, 3, 4)
    first = p.rng.randrange(p.values[i].ndim)
    return [i], [first], p.values[i].flatten(first)


@operation
def permute(p):
    i = p.any(2, 3, 4)
    order = p.rng.sample(range(p.values[i].ndim), p.values[i].ndim)
    return [i], order, p.values[i].permute(order)


@operation
def transpose(p):
    i, x, d = one_dim(p, 2, 3, 4)
    e = p.rng.randrange(-x.ndim, x.ndim)
    return [i], [d, e], x.transpose(d, e)


@operation
def expand(p):
    i = p.any(0, 1, 2, 3)
    shape = [p.rng.randint(1, 3) if n == 1 else n for n in p.values[i].shape]
    shape = [p.rng.randint(1, 3)] * p.rng.randint(0, 1) + shape
    return [i], shape, p.values[i].expand(shape)


@operation
def narrow(p):
    i, x, d = one_dim(p)
    start = p.rng.randint(0, x.shape[d])
    length = p.rng.randint(0 if p.rng.random() < 0.05 else 1, x.shape[d] - start)
    return [i], [d, start, length], x.narrow(d, start, length)


@operation
def pad(p):
    i, x, d = one_dim(p)
    start, after = p.rng.randint(0, 2), p.rng.randint(0, 2)
    d %= x.ndim
    return [i], [d, start, start + x.shape[d] + after], F.pad(x, [0, 0] * (x.ndim - 1 - d) + [start, after])


@operation
def select(p):
    i, x, d = one_dim(p)
    e = p.rng.randrange(-x.shape[d], x.shape[d])
    return [i], [d, e], x.select(d, e)


@operation
def cat(p):
    i, x, d = one_dim(p)
    parts = [i]
    for _ in range(p.rng.randint(1, 2)):
        shape = list(x.shape)
        shape[d] = p.rng.randint(1, 3)
        parts.append(p.like(shape))
    return parts, [d], torch.cat([p.values[k] for k in parts], d)


@operation
def index_select(p):
    i, x, d = one_dim(p)
    index = [p.rng.randrange(x.shape[d]) for _ in range(p.rng.randint(1, 4))]
    return [i], [d, *index], x.index_select(d, torch.tensor(index))


@operation
def gather(p):
    """The numbers after the dimension: the length along it of the index, then the index."""
    i, x, d = one_dim(p, 1, 2, 3)
    shape = list(x.shape)
    shape[d] = p.rng.randint(1, 3)
    index = [p.rng.randrange(x.shape[d]) for _ in range(math.prod(shape))]
    require(len(index) <= 40)
    return [i], [d, shape[d], *index], x.gather(d, torch.tensor(index, dtype=torch.long).reshape(shape))


# Products and networks.


@operation
def matmul(p):
    i = p.any(2, 3, 4)
    shape = list(p.values[i].shape)
    shape[-2:] = [shape[-1], p.rng.randint(1, 5)]
    shape = [1 if p.rng.random() < 0.3 and d < len(shape) - 2 else n for d, n in enumerate(shape)]
    j = p.like(shape[p.rng.randint(0, len(shape) - 2):])
    return [i, j], [], p.values[i] @ p.values[j]


def activated(p, y):
    """None, leaky_relu with slope 0.2 or tanh, by number."""
    kind = p.rng.choice([0, 0, 1, 2])
    if kind == 1:
        away(y, 0)
    return kind, (y, F.leaky_relu(y, 0.2), y.tanh())[kind]


def channels(p, n):
    """A bias or none."""
    return [p.like([n])] if p.rng.random() < 0.7 else []


@operation
def linear(p):
    i = p.any(2, 3)
    w = p.like([p.rng.randint(1, 5), p.values[i].shape[-1]])
    b = channels(p, p.values[w].shape[0])
    kind, y = activated(p, F.linear(p.values[i], p.values[w], *[p.values[k] for k in b]))
    return [i, w, *b], [kind], y


@operation
def fourier_features(p):
    i = p.any(2)
    z = p.values[i]
    j = p.like([z.shape[1], p.rng.randint(1, 4)])
    turns = 2 * math.pi * z @ p.values[j]
    return [i, j], [], torch.cat([turns.sin(), turns.cos(), z], 1)


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def moves(p):
    return [p.rng.randint(1, 3), p.rng.randint(1, 3)], [p.rng.randint(0, 2), p.rng.randint(0, 2)]


def convolution(name, f):
    def make(p):
        i = p.any(4)
        x = p.values[i]
        require(x.numel() > 0)
        stride, padding = moves(p)
        dilation, groups = [p.rng.choice([1, 1, 2]) for _ in range(2)], p.rng.choice([1, x.shape[3]])
        out = groups * p.rng.randint(1, 4 if groups == 1 else 2)
        ends = [out, x.shape[3] // groups] if name == "conv2d" else [x.shape[3], out // groups]
        w = p.leaf([ends[0], p.rng.randint(1, 4), p.rng.randint(1, 4), ends[1]], "dense")
        b = channels(p, out)
        y = f(nchw(x), nchw(p.values[w]), *([p.values[k] for k in b] or [None]), stride, padding, dilation=dilation,
              groups=groups)
        kind, y = activated(p, nhwc(y))
        return [i, w, *b], [kind, *stride, *padding, *dilation, groups], y
    OPERATIONS[name] = make


convolution("conv2d", F.conv2d)
convolution("conv_transpose2d", F.conv_transpose2d)


def pooling(name, f):
    def make(p):
        i = p.any(4)
        x = p.values[i]
        require(x.numel() > 0)
        kernel = [p.rng.randint(1, 3), p.rng.randint(1, 3)]
        stride, _ = moves(p)
        padding = [p.rng.randint(0, k // 2) for k in kernel]
        counted = p.rng.random() < 0.5
        y = f(nchw(x), kernel, stride, padding, counted)
        return [i], [*kernel, *stride, *padding, counted], nhwc(y)
    OPERATIONS[name] = make


def largest(x, kernel, stride, padding, counted):
    distinct = x.detach().flatten().sort().values.diff()
    require(bool((distinct > 1e-9).all()))  # of equal ones PyTorch and the rest of the world take different ones
    return F.max_pool2d(x, kernel, stride, padding)


pooling("max_pool2d", largest)
pooling("avg_pool2d", lambda x, kernel, stride, padding, counted: F.avg_pool2d(
    x, kernel, stride, padding, count_include_pad=counted))


@operation
def upsample(p):
    i = p.any(4)
    h, w = p.rng.randint(1, 3), p.rng.randint(1, 2)
    return [i], [h, w], p.values[i].repeat_interleave(h, 1).repeat_interleave(w, 2)


def normalisation(name, dims, over):
    def make(p):
        i = p.any(*dims)
        x = p.values[i]
        variance, mean = torch.var_mean(x, over(x), unbiased=False, keepdim=True)
        require(x.numel() > 0 and bool((variance > 0.02).all()))
        w, b = p.like([x.shape[-1]]), p.like([x.shape[-1]])
        eps = p.rng.choice([1e-5, 0.1])
        y = (x - mean) / (variance + eps).sqrt() * p.values[w] + p.values[b]  # written out: no kernel of PyTorch's
        kind, y = activated(p, y) if name != "layer_norm" else (0, y)
        return [i, w, b], [kind, eps], y
    OPERATIONS[name] = make


normalisation("instance_norm", (4,), lambda x: [1, 2])
normalisation("batch_norm", (2, 3, 4), lambda x: list(range(x.ndim - 1)))
normalisation("layer_norm", (2, 3, 4), lambda x: [-1])


@operation
def adaptive_instance_norm(p):
    i = p.any(4)
    x = p.values[i]
    variance, mean = torch.var_mean(x, [1, 2], unbiased=False, keepdim=True)
    require(x.numel() > 0 and bool((variance > 0.02).all()))
    w, b = p.like([x.shape[0], x.shape[-1]]), p.like([x.shape[0], x.shape[-1]])
    eps = p.rng.choice([1e-5, 0.1])
    y = (x - mean) / (variance + eps).sqrt() * p.values[w][:, None, None] + p.values[b][:, None, None]
    return [i, w, b], [eps], y


@operation
def embedding(p):
    i = p.any(2)
    index = [p.rng.randrange(p.values[i].shape[0]) for _ in range(p.rng.randint(1, 5))]
    return [i], index, F.embedding(torch.tensor(index), p.values[i])


@operation
def cross_entropy(p):
    i = p.any(2)
    require(p.values[i].numel() > 0)
    classes = [p.rng.randrange(p.values[i].shape[1]) for _ in range(p.values[i].shape[0])]
    return [i], classes, F.cross_entropy(p.values[i], torch.tensor(classes))


# The file.


def summary(name, x):
    c = formula(name, list(x.shape))
    return f"{float((x * c).sum()):.12g} {float(x.norm()):.12g}"


def write(number):
    """The lines of a program, or None where its gradients are of no use."""
    p = Program(number)
    p.leaf(p.shape(p.rng.choice([1, 2, 2, 3, 4, 4, 4])))
    wanted = p.rng.randint(4, 10)
    names = sorted(OPERATIONS)
    for _ in range(40):
        wanted -= p.step(p.rng.choice(names))
        if wanted == 0:
            break
    results = [k for k in range(len(p.values)) if k not in p.used]
    total, lines = 0.0, [f"program {number}", *p.lines]
    for k in results:
        name = f"program.{number}.result.{k}"
        total = total + (p.values[k] * formula(name, list(p.values[k].shape))).sum()
        lines.append(f"result {k} {summary(name, p.values[k].detach())}")
    require(total.requires_grad)
    leaves = [p.values[k] for k in p.leaves]
    for k, x, g in zip(p.leaves, leaves, torch.autograd.grad(total, leaves, allow_unused=True)):
        g = torch.zeros_like(x) if g is None else g
        require(bool(torch.isfinite(g).all()) and float(g.norm()) < 1e4)
        lines.append(f"grad {k} {summary(f'program.{number}.grad.{k}', g)}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--out", type=Path, default=HERE / "programs.txt")
    options, lines = parser.parse_args(), []
    for number in range(options.count):
        try:
            lines += write(number)
        except Rejected:
            pass
    options.out.write_text("\n".join(lines) + "\n")
    used = [line.split()[0] for line in lines]
    print({name: used.count(name) for name in sorted(OPERATIONS)}, f"{used.count('program')} programs")


if __name__ == "__main__":
    main()
