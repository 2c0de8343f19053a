"""The networks, the diffusion and the Langevin chains of DAMC in plain PyTorch.

This is the oracle of the C++ program: modules carry the authors' parameter names and PyTorch's
layouts, so `{"G." + k: v for k, v in G.state_dict().items()}` is a checkpoint of the program.
Images are N,C,H,W here (N,H,W,C in the program); z is [N, nz]. All code works in the dtype of its
inputs. Symbols: z latent, x image, eps noise, t time in [0, 1], xemb the condition of q(z given x).
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

NTEMB = 128  # width of the time embedding


@dataclass(frozen=True)
class Config:
    """A preset: shapes and widths of the networks, constants of the chains."""

    name: str
    image: int  # height and width
    channels: int
    nz: int
    ngf: int
    nif: int
    generator: tuple  # per layer: kernel, stride, padding, multiple of ngf (None: image channels)
    encoder: tuple  # multiples of nif; the first layer is 3,1,1, the rest 4,2,1
    head: int  # kernel of the encoder's last layer (stride 1, no padding)
    nemb: int = 1024
    ndf: int = 200
    width: float = 1.0  # multiplies the denoiser's 128 and 256
    sigma: float = 0.1
    posterior_step_size: float = 0.1
    prior_step_size: float = 0.4
    logsnr_min: float = -5.1
    logsnr_max: float = 9.8
    steps: int = 100  # of the diffusion


def up(*multiples):
    """Rows of the generator table that double the image."""
    return tuple((4, 2, 1, m) for m in multiples)


PRESETS = {
    c.name: c
    for c in (
        Config("svhn", 32, 3, 100, 64, 64, ((4, 1, 0, 8), *up(4, 2, None)), (1, 2, 4, 8), 4),
        Config("celeba64", 64, 3, 100, 128, 64, ((4, 1, 0, 8), *up(4, 2, 1, None)),
               (1, 2, 4, 8, 8), 4),
        Config("cifar10", 32, 3, 128, 128, 64,
               ((8, 1, 0, 8), *up(4, 2), (3, 1, 1, None)), (1, 2, 4, 8), 4),
        Config("celebahq", 256, 3, 128, 128, 64, ((4, 1, 0, 16), *up(8, 4, 4, 2, 1, None)),
               (1, 2, 4, 4, 8, 8, 8), 4, sigma=1.0),
        Config("mnist-anomaly", 28, 1, 8, 128, 128,
               ((7, 1, 0, 8), *up(4, 2), (3, 1, 1, None)), (1, 2, 4, 8), 3, sigma=1.0),
    )
}


def preset(name, **changes):
    """The preset `name` with some fields changed, for example `preset("svhn", ngf=8)`."""
    return replace(PRESETS[name], **changes)


class Generator(nn.Module):
    """G: z [N, nz] -> image [N, C, H, W] in (-1, 1); transposed convolutions `gen.{0,2,..}`."""

    def __init__(self, cfg):
        super().__init__()
        layers, width = [], cfg.nz
        for kernel, stride, padding, multiple in cfg.generator:
            out = cfg.channels if multiple is None else multiple * cfg.ngf
            layers.append(nn.ConvTranspose2d(width, out, kernel, stride, padding))
            layers.append(nn.Tanh() if multiple is None else nn.LeakyReLU(0.2))
            width = out
        self.gen = nn.Sequential(*layers)

    def forward(self, z):
        return self.gen(z[:, :, None, None])


class Energy(nn.Module):
    """E: z [N, nz] -> energy [N]; `ebm.{0,2,4}`."""

    def __init__(self, cfg):
        super().__init__()
        self.ebm = nn.Sequential(
            nn.Linear(cfg.nz, cfg.ndf), nn.LeakyReLU(0.2),
            nn.Linear(cfg.ndf, cfg.ndf), nn.LeakyReLU(0.2),
            nn.Linear(cfg.ndf, 1))

    def forward(self, z):
        return self.ebm(z).squeeze(-1)


class Encoder(nn.Module):
    """x [N, C, H, W] -> xemb [N, nemb]; convolutions `net.{0,3,..}`, norms `net.{1,4,..}`."""

    def __init__(self, cfg):
        super().__init__()
        layers, width = [], cfg.channels
        for i, multiple in enumerate(cfg.encoder):
            out = multiple * cfg.nif
            kernel, stride = (3, 1) if i == 0 else (4, 2)
            layers += [nn.Conv2d(width, out, kernel, stride, 1),
                       nn.InstanceNorm2d(out, affine=True), nn.LeakyReLU(0.2)]
            width = out
        self.net = nn.Sequential(*layers, nn.Conv2d(width, cfg.nemb, cfg.head))

    def forward(self, x):
        return self.net(x).flatten(1)


class TimeEmbedding(nn.Module):
    """u [N] in [0, 1] -> sines and cosines [N, NTEMB] of 1000 u at 64 frequencies, 1 to 1e-4."""

    def forward(self, u):
        half = NTEMB // 2
        index = torch.arange(half, dtype=u.dtype, device=u.device)
        angle = 1000 * u[:, None] * torch.exp(index * (-math.log(10000) / (half - 1)))
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class Block(nn.Module):
    """out = (W x + b) * sigmoid(W_g c + b_g) + W_b c + (W_s x + b_s), where
    c = SiLU(W_c SiLU(ctx) + b_c)."""

    def __init__(self, nin, nout, nctx):
        super().__init__()
        self._layer = nn.Sequential(nn.Linear(nin, nout))
        self._layer_ctx = nn.Sequential(nn.SiLU(), nn.Linear(nctx, nout), nn.SiLU())
        self._hyper_bias = nn.Linear(nout, nout, bias=False)
        self._hyper_gate = nn.Linear(nout, nout)
        self._skip = nn.Linear(nin, nout)

    def forward(self, x, ctx):
        c = self._layer_ctx(ctx)
        gated = self._layer(x) * torch.sigmoid(self._hyper_gate(c))
        return gated + self._hyper_bias(c) + self._skip(x)


class Denoiser(nn.Module):
    """eps_hat = z + net(z, logsnr, xemb): a U-shaped MLP of seven blocks.

    Each block's output on the way in is stored before its activation; on the way out the running
    value is joined with the last stored one, [running, stored], and LReLU(0.01) acts on both.
    """

    def __init__(self, cfg):
        super().__init__()
        a, b = round(128 * cfg.width), round(256 * cfg.width)
        nctx = NTEMB + cfg.nemb
        self.time_mlp = nn.Sequential(
            TimeEmbedding(), nn.Linear(NTEMB, NTEMB), nn.SiLU(), nn.Linear(NTEMB, NTEMB))
        self.B = nn.Parameter(torch.randn(cfg.nz, cfg.nz // 2))
        self.in_layers = nn.ModuleList(
            [Block(2 * cfg.nz, a, nctx), Block(a, b, nctx), Block(b, b, nctx)])
        self.mid_layers = nn.ModuleList([Block(b, b, nctx)])
        self.out_layers = nn.ModuleList(
            [Block(2 * b, b, nctx), Block(2 * b, a, nctx), Block(2 * a, cfg.nz, nctx)])

    def forward(self, z, logsnr, xemb):
        u = torch.atan(torch.exp(-0.5 * logsnr.clamp(-20, 20))) / (0.5 * math.pi)
        ctx = torch.cat([self.time_mlp(u), xemb], dim=1)
        angle = 2 * math.pi * (z @ self.B)
        h, stored = torch.cat([angle.sin(), angle.cos(), z], dim=1), []
        for block in self.in_layers:
            stored.append(block(h, ctx))
            h = F.leaky_relu(stored[-1], 0.01)
        h = self.mid_layers[0](h, ctx)
        for block in self.out_layers:
            h = block(F.leaky_relu(torch.cat([h, stored.pop()], dim=1), 0.01), ctx)
        return z + h


class Amortizer(nn.Module):
    """Q: the sampler q(z given x) and q(z) with its two kinds of unconditional embedding."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg)
        self.p = Denoiser(cfg)
        self.prior_emb = nn.Sequential(
            nn.Linear(cfg.nz, 128), nn.LeakyReLU(0.01), nn.Linear(128, cfg.nemb))
        self.xemb = nn.Parameter(torch.randn(1, cfg.nemb))

    def unconditional(self, emb_noise, kind="noise"):
        """The embedding that stands for "no image": of fresh noise, or the learned null token."""
        if kind == "null":
            return self.xemb.expand(len(emb_noise), -1)
        return self.prior_emb(emb_noise)

    def blend(self, xemb, mask, emb_noise, kind="noise"):
        """xemb where mask [N] is 1, the unconditional embedding where it is 0."""
        mask = mask[:, None]
        return mask * xemb + (1 - mask) * self.unconditional(emb_noise, kind)

    def loss(self, z, t, eps, xemb):
        """Diffusion loss of every sample at the given times and noises."""
        return diffusion_loss(self.p, z, t, eps, xemb, self.cfg)

    def sample(self, zT, xemb, **options):
        """z ~ q(z given xemb) from the starting point zT."""
        return ancestral_sample(self.p, zT, xemb, self.cfg, **options)


def log_snr(t, cfg):
    """logsnr(t) = -2 log tan(a t + b), falling from logsnr_max to logsnr_min."""
    b = math.atan(math.exp(-0.5 * cfg.logsnr_max))
    a = math.atan(math.exp(-0.5 * cfg.logsnr_min)) - b
    return -2 * torch.log(torch.tan(a * t + b))


def diffusion_loss(denoiser, z, t, eps, xemb, cfg):
    """0.5 |eps - eps_hat|^2 summed over nz, for every sample: [N]."""
    logsnr = log_snr(t, cfg)
    z_t = z * torch.sigmoid(logsnr).sqrt()[:, None] + eps * torch.sigmoid(-logsnr).sqrt()[:, None]
    return 0.5 * ((eps - denoiser(z_t, logsnr, xemb)) ** 2).sum(1)


def reverse_step(z_t, z_hat, logsnr_t, logsnr_s, gamma=1.0):
    """Mean and variance of z_s given z_t and the prediction z_hat of z.

    With gamma = 1 the variance is the large one, with 0 the posterior's; between them their
    logarithms are interpolated.
    """
    one_minus_r = -torch.expm1(logsnr_t - logsnr_s)
    scale = torch.sqrt((1 + torch.exp(-logsnr_t)) / (1 + torch.exp(-logsnr_s)))
    mean = (torch.exp(logsnr_t - logsnr_s) * scale * z_t
            + one_minus_r * torch.sigmoid(logsnr_s).sqrt() * z_hat)
    log_variance = (torch.log(one_minus_r) + gamma * F.logsigmoid(-logsnr_t)
                    + (1 - gamma) * F.logsigmoid(-logsnr_s))
    return mean, torch.exp(log_variance)


@torch.no_grad()
def ancestral_sample(denoiser, z, xemb, cfg, noise=True, gamma=1.0, guidance=0.0,
                     xemb_uncond=None):
    """The reverse chain from z = zT to a sample; noise=False leaves out every noise term."""
    index = torch.arange(cfg.steps, dtype=z.dtype, device=z.device)
    logsnr = log_snr(index / (cfg.steps - 1), cfg)
    for i in range(cfg.steps - 1, -1, -1):
        logsnr_t, logsnr_s = logsnr[i], logsnr[max(i - 1, 0)]
        eps_hat = denoiser(z, logsnr_t.expand(len(z)), xemb)
        if guidance:
            uncond = denoiser(z, logsnr_t.expand(len(z)), xemb_uncond)
            eps_hat = (1 + guidance) * eps_hat - guidance * uncond
        z_hat = (torch.sqrt(1 + torch.exp(-logsnr_t))
                 * (z - eps_hat * torch.rsqrt(1 + torch.exp(logsnr_t))))
        if i == 0:
            return z_hat
        mean, variance = reverse_step(z, z_hat, logsnr_t, logsnr_s, gamma)
        z = mean + variance.sqrt() * torch.randn_like(z) if noise else mean


def langevin(z, energy, steps, step_size, noise=True):
    """z <- z - s^2/2 dU/dz + s w, `steps` times; energy(z) is U summed over the batch."""
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gz,) = torch.autograd.grad(energy(z), z)
        z = z.detach() - 0.5 * step_size**2 * gz
        if noise:
            z = z + step_size * torch.randn_like(z)
    return z.detach()


def prior_chain(z, E, steps, step_size, noise=True):
    """Chains on U(z) = E(z) + |z|^2/2."""
    return langevin(z, lambda z: E(z).sum() + 0.5 * (z**2).sum(), steps, step_size, noise)


def posterior_chain(z, x, G, E, steps, step_size, sigma, noise=True):
    """Chains on U(z) = |x - G(z)|^2 / (2 sigma^2) + E(z) + |z|^2/2."""
    def energy(z):
        misfit = ((G(z) - x) ** 2).sum() / (2 * sigma**2)
        return misfit + E(z).sum() + 0.5 * (z**2).sum()
    return langevin(z, energy, steps, step_size, noise)
