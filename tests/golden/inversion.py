#!/usr/bin/env python3
"""Writes inversion.safetensors: the networks and the objective of GAN inversion as PyTorch computes them, in float64, at
sizes that nobody uses: images of 16x16, 6 layers of 8 latents.

    inversion.py [--out DIR]         a second

The generator and the encoder are those of the in-domain inversion release (StyleGAN with W+ of a style for each layer),
its last upsampling layer fused: literally, a transposed convolution of 4x4. VGG-16 ends with relu4_3. Weights are not stored:
they follow the formula in recipe.py, by "<network>.<key>" with the bounds of bounds().

Inputs: `wp` [2, 48], `z` [3, 8] and `images`, `target` [2, 16, 16, 3], called "inversion.<name>". Tensors are whole,
images N,H,W,C: `generator.layer<i>`, `generator.image`, `mapping.w`, `mapping.truncated`, `encoder.block<i>`,
`vgg.layer<n>` (the last before a pooling). `objective.{pixel,feature,domain}` and `objective.grad` for wp, target with
the factors 1.5, 5e-5, 2; `adam.losses` [6, 2], `adam.wp`: 5 steps without the encoder, losses before each and at the end.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from recipe import formula, write_safetensors

CHANNELS, LATENT, FUSED = [12, 12, 8, 8, 6, 6], 8, 4
VGG = [(0, 2), (5, 7), (10, 12, 14), (17, 19, 21)]
VGG_CHANNELS = [4, 6, 8, 8]
ENCODER_CHANNELS = [4, 6, 6]


def bounds(key, shape):
    """(bound, offset) of a tensor, its key with the network before it."""
    leaf = key.rsplit(".", 1)[1]
    if leaf in ("running_var", "running_mean"):
        return (0.5, 1.0) if leaf == "running_var" else (0.2, 0.0)
    if ".bn" in key:
        return (0.3, 1.0 if leaf == "weight" else 0.0)
    if ".mapping." in key:
        return (170.0 if leaf == "weight" else 30.0, 0.0)
    if leaf == "bias" or key.endswith("apply_noise.weight"):
        return 0.2, 0.0
    if key.startswith("generator."):
        return 1.7, 0.0
    if key.endswith("fc.weight"):
        return 20.0, 0.0
    return math.sqrt(6.0 / math.prod(shape[1:])), 0.0


def weight(key, *shape):
    return torch.from_numpy(formula(key, shape, *bounds(key, shape)))


def lrelu(x):
    return F.leaky_relu(x, 0.2)


def fused_up(x, w):
    """w [3, 3, in, out]"""
    w = F.pad(w.permute(2, 3, 0, 1), (1, 1, 1, 1))
    w = w[:, :, 1:, 1:] + w[:, :, :-1, 1:] + w[:, :, 1:, :-1] + w[:, :, :-1, :-1]
    return F.conv_transpose2d(x, w, stride=2, padding=1)


def blur(x):
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype)
    kernel = (taps[:, None] * taps / 16).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def generator(wp, see=lambda name, x: None):
    for i, c in enumerate(CHANNELS):
        key, size = f"generator.synthesis.layer{i}.", 4 << (i // 2)
        if i == 0:
            x = weight(key + "const", 1, c, 4, 4).expand(len(wp), -1, -1, -1)
        else:
            gain = math.sqrt(2.0 / (9 * CHANNELS[i - 1]))
            if i == FUSED:
                x = fused_up(x, weight(key + "weight", 3, 3, CHANNELS[i - 1], c) * gain)
            else:
                x = F.interpolate(x, scale_factor=2, mode="nearest") if i % 2 == 0 else x
                x = F.conv2d(x, weight(key + "conv.weight", c, CHANNELS[i - 1], 3, 3), padding=1) * gain
            x = blur(x) if i % 2 == 0 else x
        key += "epilogue."
        x = x + weight(key + "apply_noise.noise", 1, 1, size, size) * weight(key + "apply_noise.weight", c)[:, None, None]
        x = F.instance_norm(lrelu(x + weight(key + "bias", c)[:, None, None]), eps=1e-8)
        style = F.linear(wp[:, i], weight(key + "style_mod.dense.fc.weight", 2 * c, LATENT)) / math.sqrt(LATENT)
        style = style + weight(key + "style_mod.dense.wscale.bias", 2 * c)
        x = x * (style[:, :c, None, None] + 1) + style[:, c:, None, None]
        see(f"generator.layer{i}", x)
    key = f"generator.synthesis.output{len(CHANNELS) // 2 - 1}."
    x = F.conv2d(x, weight(key + "conv.weight", 3, CHANNELS[-1], 1, 1)) / math.sqrt(CHANNELS[-1])
    return torch.tanh(x + weight(key + "bias", 3)[:, None, None])


def mapping(z):
    x = z / torch.sqrt((z * z).mean(1, keepdim=True) + 1e-8)
    for i, out in enumerate((LATENT, LATENT, LATENT * len(CHANNELS))):
        key = f"generator.mapping.dense{i}."
        x = F.linear(x, weight(key + "fc.weight", out, LATENT)) * (math.sqrt(2 / LATENT) * 0.01)
        x = lrelu(x + 0.01 * weight(key + "wscale.bias", out))
    average = weight("generator.truncation.w_avg", LATENT)
    share = float(torch.tensor(0.7, dtype=torch.float32))
    return x, (average + (x.view(-1, len(CHANNELS), LATENT) - average) * share).flatten(1)


def batch_norm(x, key):
    mean, var, g, b = (weight(f"{key}.bn.{leaf}", x.shape[1]) for leaf in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, g, b, False, 0.0, 1e-5)


def encoder(x, see=lambda name, x: None):
    x = lrelu(batch_norm(F.conv2d(x, weight("encoder.block0.conv.weight", ENCODER_CHANNELS[0], 3, 3, 3), padding=1), "encoder.block0.bn"))
    see("encoder.block0", x)
    for i, (c, out) in enumerate(zip(ENCODER_CHANNELS, ENCODER_CHANNELS[1:]), 1):
        key = f"encoder.block{i}."
        x = F.avg_pool2d(x, 2)
        short = x if c == out else lrelu(batch_norm(F.conv2d(x, weight(key + "conv.weight", out, c, 1, 1)), key + "bn"))
        for n, to in ((1, c), (2, out)):
            x = F.conv2d(x, weight(f"{key}conv{n}.weight", to, c, 3, 3), weight(f"{key}wscale{n}.bias", to), padding=1)
            x = lrelu(batch_norm(x, f"{key}bn{n}"))
        x = x + short
        see(f"encoder.block{i}", x)
    key = f"encoder.block{len(ENCODER_CHANNELS)}."
    flat = x.flatten(1)
    w = batch_norm(F.linear(flat, weight(key + "fc.weight", LATENT * len(CHANNELS), flat.shape[1])) / 128.0, key + "bn")
    see(f"encoder.block{len(ENCODER_CHANNELS)}", w)
    return w


def vgg(x, see=lambda name, x: None):
    x = ((x + 1) * 127.5).flip(1)
    x = x - torch.tensor([103.939, 116.779, 123.68], dtype=torch.float32).double()[:, None, None]
    for stage, c in zip(VGG, VGG_CHANNELS):
        x = F.max_pool2d(x, 2) if stage[0] else x
        for n in stage:
            key = f"vgg.layer{n}."
            x = F.relu(F.conv2d(x, weight(key + "weight", c, x.shape[1], 3, 3), weight(key + "bias", c), padding=1))
        see(f"vgg.layer{n}", x)
    return x


def rows(x):
    return (x * x).flatten(1).mean(1)


def objective(w, target, with_encoder):
    image = generator(w.view(-1, len(CHANNELS), LATENT))
    terms = [rows(image - target), rows(vgg(image) - vgg(target))]
    if with_encoder:
        terms.append(rows(w - encoder(image)))
    return terms, sum(f * t for f, t in zip((1.5, 5e-5, 2.0), terms))


def descent(w, target, out):
    w = w.clone().requires_grad_(True)
    adam, losses = torch.optim.Adam([w], lr=0.01, betas=(0.9, 0.999), eps=1e-8), []
    for _ in range(5):
        total = objective(w, target, False)[1]
        losses.append(total.detach())
        adam.zero_grad()
        total.sum().backward()
        adam.step()
    losses.append(objective(w, target, False)[1].detach())
    out["adam.losses"], out["adam.wp"] = torch.stack(losses), w.detach()


def main():
    parser = argparse.ArgumentParser(description="Writes inversion.safetensors.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    folder, out = parser.parse_args().out, {}

    def made(name, shape, bound=1.0):
        x = torch.from_numpy(formula("inversion." + name, shape, bound))
        return x.permute(0, 3, 1, 2) if x.ndim == 4 else x

    def see(name, x):
        out[name] = x.detach().permute(0, 2, 3, 1) if x.ndim == 4 else x.detach()

    wp, images, target = made("wp", (2, 48), 1.7), made("images", (2, 16, 16, 3)), made("target", (2, 16, 16, 3))
    see("generator.image", generator(wp.view(2, 6, 8), see))
    out["mapping.w"], out["mapping.truncated"] = mapping(made("z", (3, 8), 1.7))
    encoder(images, see)
    vgg(images, see)
    w = wp.clone().requires_grad_(True)
    terms, total = objective(w, target, True)
    for name, term in zip(("pixel", "feature", "domain"), terms):
        see("objective." + name, term)
    see("objective.grad", torch.autograd.grad(total.sum(), w)[0])
    descent(wp, target, out)
    write_safetensors(folder / "inversion.safetensors", {name: x.numpy() for name, x in out.items()})
    for name, x in out.items():
        print(name, tuple(x.shape), float(x.std()))


if __name__ == "__main__":
    main()
