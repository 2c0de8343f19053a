#!/usr/bin/env python3
"""Writes the golden files: values and gradients of every network, computed in float64.

    make_golden.py [--out DIR] [NAME ...]     NAME: a preset, sampler, optim, layers or apply

Weights at full width are too large to keep, so weights and inputs come from a formula that the
C++ tests repeat. For the tensor `name` and the flat (row-major) index i:

    key(i)   = fnv1a64(name) + i * 0x9E3779B97F4A7C15                       (mod 2^64)
    k(i)     = splitmix64(key(i)) >> 40                                     (24 bits)
    value(i) = float32(offset + float32(bound) * (2 k / 2^24 - 1))

fnv1a64 is the usual 64-bit FNV-1a of the name's bytes; splitmix64 is that generator's finalizer
(shifts 30, 27, 31). The product and the sum are exact in double, so only the last rounding counts.

    tensor (name with its prefix, as Q.p.B)         bound                offset   index follows
    weight of 2 or 4 dimensions                     1/sqrt(fan_in)       0        PyTorch's layout
    bias beside such a weight                       1/sqrt(fan_in)       0
    instance norm: 1-d weight                       0.1                  1
    instance norm: bias beside it                   0.1                  0
    p.B, xemb                                       1                    0        PyTorch's layout
    input.z, input.zT                               1.5                  0        [N, nz]
    input.x, input.cotangent of an image            1                    0        N,H,W,C
    every other input.*, optim.* and layer tensor   1 (clip: 3)          0        row-major

fan_in = product of the weight's shape without its first entry (so Cout*k*k for a transposed
convolution, whose weight is [Cin, Cout, k, k]): PyTorch's own default initial bound.
What the files hold is described in README.md.
"""

import argparse
import math
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

import models
import recipe
from recipe import write_safetensors

HERE = Path(__file__).resolve().parent
ENTRIES, GRADIENT_ENTRIES = 512, 32  # most entries kept of a tensor, of a weight's gradient


def formula(name, shape, bound=1.0, offset=0.0):
    """The deterministic tensor of the module's docstring."""
    return torch.from_numpy(recipe.formula(name, shape, bound, offset))


def formula_input(name, shape):
    """An input by its name; shape is [N, ...], images N,H,W,C."""
    return formula("input." + name, shape, 1.5 if name in ("z", "zT") else 1.0)


def fill(module, prefix):
    """Sets every parameter of the module to its formula; float64 from here on."""
    module.double()
    parameters = dict(module.named_parameters())
    for name, parameter in parameters.items():
        stem, _, leaf = name.rpartition(".")
        bound, offset = 1.0, 0.0
        if leaf in ("weight", "bias"):
            weight = parameters[stem + ".weight"].shape
            norm = len(weight) == 1
            bound = 0.1 if norm else 1 / math.sqrt(math.prod(weight[1:]))
            offset = 1.0 if norm and leaf == "weight" else 0.0
        parameter.data = formula(f"{prefix}.{name}", parameter.shape, bound, offset)
    return module


def to_nchw(image):
    return image.permute(0, 3, 1, 2).contiguous()


def to_nhwc(tensor):
    """Images to N,H,W,C; anything else unchanged."""
    return tensor.permute(0, 2, 3, 1).contiguous() if tensor.dim() == 4 else tensor


class GoldenFile:
    """Collects the tensors of one file."""

    def __init__(self):
        self.tensors = {}

    def whole(self, name, tensor):
        """Keeps every entry, in the tensor's shape."""
        self.tensors[name] = torch.as_tensor(tensor, dtype=torch.float64).detach().numpy().copy()

    def sample(self, name, tensor, limit=ENTRIES):
        """Keeps entries 0, s, 2s, .. and the norm of the whole. s is the first number from
        ceil(n/limit) on that shares no factor with n, so that every inner index is visited."""
        flat = tensor.detach().reshape(-1)
        stride = math.ceil(len(flat) / limit)
        while math.gcd(stride, len(flat)) != 1:
            stride += 1
        self.tensors[name] = flat[::stride].numpy().copy()
        self.tensors[name + ".norm"] = flat.norm().reshape(1).numpy()

    def gradients(self, topic, loss, inputs, weights):
        """Gradients of the loss: of inputs {name: tensor}, of weights {full name: parameter}."""
        grads = torch.autograd.grad(loss, [*inputs.values(), *weights.values()])
        for name, grad in zip(inputs, grads):
            self.sample(f"{topic}.grad.input.{name}", to_nhwc(grad))
        for name, grad in zip(weights, grads[len(inputs):]):
            self.sample(f"{topic}.grad.{name}", grad, GRADIENT_ENTRIES)

    def network(self, topic, out, inputs, weights):
        """A network's output, loss = sum(out * input.cotangent), and its gradients."""
        out = to_nhwc(out)
        loss = (out * formula_input("cotangent", out.shape)).sum()
        self.sample(topic + ".out", out)
        self.whole(topic + ".loss", loss.reshape(1))
        self.gradients(topic, loss, inputs, weights)

    def write(self, path):
        write_safetensors(path, self.tensors)
        print(f"{path}: {len(self.tensors)} tensors, {Path(path).stat().st_size} bytes")


def named(module, prefix, *only):
    """{prefixed name: parameter}, of the names that start with one of `only` (all without)."""
    return {f"{prefix}.{n}": p for n, p in module.named_parameters()
            if not only or n.startswith(only)}


def preset_golden(cfg):
    """One preset at full width: the four networks, the diffusion losses and, on small images,
    the whole sampler's loss and both chains."""
    golden = GoldenFile()
    batch = 1 if cfg.image > 64 else 2
    z = formula_input("z", (batch, cfg.nz)).requires_grad_()
    x = to_nchw(formula_input("x", (batch, cfg.image, cfg.image, cfg.channels))).requires_grad_()

    G, E = fill(models.Generator(cfg), "G"), fill(models.Energy(cfg), "E")
    golden.network("generator", G(z), {"z": z}, named(G, "G"))
    golden.network("energy", E(z), {"z": z}, named(E, "E"))
    if cfg.name in ("svhn", "mnist-anomaly"):
        chains_golden(golden, cfg, z, x, G, E)
    del G

    Q = fill(models.Amortizer(cfg), "Q")
    golden.network("encoder", Q.encoder(x), {"x": x}, named(Q, "Q", "encoder."))
    z = formula_input("z", (3, cfg.nz)).requires_grad_()
    xemb = formula_input("xemb", (3, cfg.nemb)).requires_grad_()
    logsnr = torch.tensor([-5.0, 0.5, 9.0], dtype=torch.float64)
    golden.whole("denoiser.logsnr", logsnr)
    golden.network("denoiser", Q.p(z, logsnr, xemb), {"z": z, "xemb": xemb}, named(Q, "Q", "p."))

    t, mask = torch.tensor([[0.03125, 0.5, 0.9375], [1, 0, 1]], dtype=torch.float64)
    eps, emb_noise = (formula_input(n, (3, cfg.nz)) for n in ("eps", "emb_noise"))
    golden.whole("loss.t", t)
    golden.whole("loss.mask", mask)
    for kind, names in (("noise", ("prior_emb.", "p.B")), ("null", ("xemb", "p.B"))):
        loss = Q.loss(z, t, eps, Q.blend(xemb, mask, emb_noise, kind))
        golden.whole(f"loss.{kind}.value", loss)
        golden.gradients(f"loss.{kind}", loss.mean(), {"z": z, "xemb": xemb}, named(Q, "Q", *names))
    if cfg.name in ("svhn", "mnist-anomaly"):
        x = to_nchw(formula_input("x", (3, cfg.image, cfg.image, cfg.channels)))
        loss = Q.loss(z, t, eps, Q.blend(Q.encoder(x), mask, emb_noise))
        golden.whole("amortizer.value", loss)
        golden.gradients("amortizer", loss.mean(), {}, named(Q, "Q", "encoder.", "prior_emb."))
    return golden


def chains_golden(golden, cfg, z0, x, G, E, steps=5):
    """z after every step of a posterior and of a prior chain, without noise."""
    x = x.detach()
    for name, size in (("posterior_chain", cfg.posterior_step_size),
                       ("prior_chain", cfg.prior_step_size)):
        golden.whole(name + ".step_size", [size])
        z = z0
        for step in range(1, steps + 1):
            if name == "prior_chain":
                z = models.prior_chain(z, E, 1, size, noise=False)
            else:
                z = models.posterior_chain(z, x, G, E, 1, size, cfg.sigma, noise=False)
            golden.whole(f"{name}.step.{step}", z)
    golden.whole("posterior_chain.sigma", [cfg.sigma])


def sampler_golden():
    """The schedule, single reverse steps and 100-step samples without noise."""
    golden = GoldenFile()
    svhn = models.preset("svhn")
    t = torch.arange(100, dtype=torch.float64) / 99
    logsnr = models.log_snr(t, svhn)
    golden.whole("schedule.t", t)
    golden.whole("schedule.logsnr", logsnr)

    z_t, z_hat = formula_input("z", (2, 8)), formula_input("z_hat", (2, 8))
    for i in (99, 50, 1):
        for gamma in (0.0, 0.5, 1.0):
            mean, variance = models.reverse_step(z_t, z_hat, logsnr[i], logsnr[i - 1], gamma)
            golden.whole(f"reverse.{i}.variance.{gamma}", variance.reshape(1))
        golden.whole(f"reverse.{i}.mean", mean)

    for name, cfg in (("small", models.preset("svhn", nz=10, nemb=32, width=0.25)), ("svhn", svhn)):
        Q = fill(models.Amortizer(cfg), "Q")
        zT = formula_input("zT", (3, cfg.nz))
        xemb, uncond = (formula_input(n, (3, cfg.nemb)) for n in ("xemb", "xemb_uncond"))
        golden.whole(f"sampler.{name}.out", Q.sample(zT, xemb, noise=False))
        if name == "small":
            guided = Q.sample(zT, xemb, noise=False, guidance=0.5, xemb_uncond=uncond)
            golden.whole("sampler.small.guided.out", guided)
    return golden


def optim_golden(steps=10, lr=1e-2):
    """Ten steps of both optimisers, and clipping by the global norm."""
    golden = GoldenFile()
    golden.whole("optim.lr", [lr])
    optimisers = {"adam": (torch.optim.Adam, 0.0), "adamw": (torch.optim.AdamW, 1e-2)}
    for name, (optimiser, decay) in optimisers.items():
        parameter = torch.nn.Parameter(formula("optim.param", (5, 7)))
        update = optimiser([parameter], lr=lr, betas=(0.5, 0.999), weight_decay=decay)
        for step in range(steps):
            parameter.grad = formula(f"optim.grad.{step}", (5, 7))
            update.step()
            golden.whole(f"{name}.step.{step}", parameter)
    for limit in (1, 100):
        a, b = (torch.nn.Parameter(torch.zeros(s, dtype=torch.float64)) for s in ((4, 5), (7,)))
        a.grad, b.grad = formula("clip.grad.a", (4, 5), 3), formula("clip.grad.b", (7,), 3)
        total = torch.nn.utils.clip_grad_norm_([a, b], limit)
        golden.whole(f"clip.{limit}.total", total.reshape(1))
        golden.whole(f"clip.{limit}.a", a.grad)
        golden.whole(f"clip.{limit}.b", b.grad)
    return golden


CONV_CASES = ((3, 1, 1, 5, 7), (4, 2, 1, 8, 6), (4, 2, 1, 7, 9), (4, 1, 0, 4, 4), (4, 1, 0, 6, 5),
              (3, 1, 0, 3, 3), (3, 1, 0, 5, 4))  # kernel, stride, padding, height, width
TRANSPOSE_CASES = ((3, 1, 1, 5, 7), (4, 2, 1, 4, 3), (4, 2, 1, 3, 5), (4, 1, 0, 1, 1),
                   (4, 1, 0, 3, 2), (3, 1, 0, 2, 3), (7, 1, 0, 1, 1))
# kernel, stride, padding, dilation, groups, height, width
APART_CASES = ((3, 1, 2, 2, 1, 4, 5), (2, 2, 1, 3, 1, 4, 3), (3, 1, 1, 1, 3, 3, 4), (3, 2, 1, 2, 3, 4, 3))
# kernel, stride, padding, output_padding, height, width
PADDED_CASES = ((3, 2, 1, 1, 4, 3), (2, 3, 0, 2, 3, 2), (4, 2, 1, 1, 1, 1))
# kernel, stride, padding, height, width, count_include_pad
POOL_CASES = {"max_pool": ((2, 2, 0, 6, 4, 1), (3, 2, 0, 7, 9, 1), (3, 1, 1, 5, 4, 1), (3, 2, 1, 6, 5, 1)),
              "avg_pool": ((2, 2, 0, 6, 4, 1), (3, 1, 1, 5, 4, 1), (3, 1, 1, 5, 4, 0), (3, 2, 1, 6, 5, 0))}


def layers_golden(batch=2, cin=3, cout=5):
    """Convolutions, instance norm, pooling and activations, every tensor whole, inputs included."""
    golden = GoldenFile()

    def layer(name, run, x, w, b, twice=False):
        x, w, b = (v.requires_grad_() for v in (x, w, b))
        y = run(to_nchw(x), w, b)
        gy = formula(name + ".gy", to_nhwc(y).shape).requires_grad_()
        gx, gw, gb = torch.autograd.grad((to_nhwc(y) * gy).sum(), (x, w, b), create_graph=twice)
        kept = dict(x=x, w=w, b=b, y=to_nhwc(y), gy=gy, gx=gx, gw=gw, gb=gb)
        if twice:  # the gradients of |gx|^2 / 2 + |gw|^2 / 2
            norms = (gx.square().sum() + gw.square().sum()) / 2
            kept |= dict(zip(("hx", "hw", "hgy"), torch.autograd.grad(norms, (x, w, gy))))
        for key, value in kept.items():
            golden.whole(f"{name}.{key}", value)

    for kind, cases, op in (("conv", CONV_CASES, F.conv2d),
                            ("conv_transpose", TRANSPOSE_CASES, F.conv_transpose2d)):
        for k, s, p, height, width in cases:
            name = f"{kind}.k{k}s{s}p{p}.{height}x{width}"
            shape = (cout, cin, k, k) if kind == "conv" else (cin, cout, k, k)
            layer(name, lambda x, w, b: op(x, w, b, stride=s, padding=p),
                  formula(name + ".x", (batch, height, width, cin)),
                  formula(name + ".w", shape), formula(name + ".b", (cout,)))
        for k, s, p, d, g, height, width in APART_CASES:
            name = f"{kind}.k{k}s{s}p{p}d{d}g{g}.{height}x{width}"
            shape = (6, 3 // g, k, k) if kind == "conv" else (3, 6 // g, k, k)
            layer(name, lambda x, w, b: op(x, w, b, stride=s, padding=p, dilation=d, groups=g),
                  formula(name + ".x", (1, height, width, 3)),
                  formula(name + ".w", shape), formula(name + ".b", (6,)), twice=True)
    for k, s, p, more, height, width in PADDED_CASES:
        name = f"conv_transpose.k{k}s{s}p{p}o{more}.{height}x{width}"
        layer(name, lambda x, w, b: F.conv_transpose2d(x, w, b, stride=s, padding=p, output_padding=more),
              formula(name + ".x", (batch, height, width, cin)),
              formula(name + ".w", (cin, cout, k, k)), formula(name + ".b", (cout,)))

    def norm(x, w, b):
        return F.instance_norm(x, weight=w, bias=b, eps=1e-5)

    for height, width in ((5, 4), (2, 2)):
        name = f"instance_norm.{height}x{width}"
        layer(name, norm, formula(name + ".x", (batch, height, width, cin)),
              formula(name + ".w", (cin,), 0.1, 1), formula(name + ".b", (cin,), 0.1))

    for kind, cases in POOL_CASES.items():
        for k, s, p, height, width, counted in cases:
            name = f"{kind}.k{k}s{s}p{p}c{counted}.{height}x{width}"
            x = formula(name + ".x", (batch, height, width, cin)).requires_grad_()
            y = to_nhwc(F.max_pool2d(to_nchw(x), k, s, p) if kind == "max_pool" else
                        F.avg_pool2d(to_nchw(x), k, s, p, count_include_pad=bool(counted)))
            gy = formula(name + ".gy", y.shape)
            for key, value in dict(x=x, y=y, gy=gy, gx=torch.autograd.grad((y * gy).sum(), x)[0]).items():
                golden.whole(f"{name}.{key}", value)

    ends = torch.tensor([-80.0, -30.0, 30.0, 80.0], dtype=torch.float64)
    x = torch.cat([formula("activation.x", (60,), 6), ends]).requires_grad_()
    golden.whole("activation.x", x)
    for name, f in {"leaky_relu_0.2": lambda x: F.leaky_relu(x, 0.2), "silu": F.silu,
                    "leaky_relu_0.01": lambda x: F.leaky_relu(x, 0.01), "tanh": torch.tanh,
                    "sigmoid": torch.sigmoid, "softplus": F.softplus}.items():
        y = f(x)
        golden.whole(f"activation.{name}.y", y)
        golden.whole(f"activation.{name}.dy", torch.autograd.grad(y.sum(), x)[0])
    return golden


def apply_golden(folder):
    """The small end-to-end case of `damc apply`, with the weights themselves."""
    import apply_case  # it imports this module

    apply_case.write_case(folder, models.preset("svhn", **apply_case.SMALL), apply_case.SMALL)


def main():
    parser = argparse.ArgumentParser(description="Writes the golden files.")
    parser.add_argument("names", nargs="*", help="which files (default: all)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder (default: beside this file)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = {"sampler": sampler_golden, "optim": optim_golden, "layers": layers_golden}
    files |= {n: lambda c=c: preset_golden(c) for n, c in models.PRESETS.items()}
    unknown = set(args.names) - set(files) - {"apply"}
    if unknown:
        sys.exit(f"make_golden.py: no such file: {', '.join(sorted(unknown))}")
    for name in args.names or [*files, "apply"]:
        if name == "apply":
            apply_golden(args.out / "apply")
        else:
            files[name]().write(args.out / f"{name}.safetensors")


if __name__ == "__main__":
    main()
