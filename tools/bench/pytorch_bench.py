#!/usr/bin/env python3
"""Times PyTorch on the work of `damc bench` and writes the same JSON.

    pytorch_bench.py [--suite iteration sampling kernels] [--preset svhn ...] [--batch B]
                     [--device cpu|cuda] [--precision fp32|tf32|bf16] [--compile] [--channels-last] [--json F]

The code is what a PyTorch user would write: modules in N,C,H,W, `autograd.grad` with respect to z
in every step of a chain, one optimiser per network. --compile passes the networks through
`torch.compile` in the mode that records CUDA graphs; --channels-last keeps images and convolutions'
weights in N,H,W,C.

suite iteration: the parts of one training iteration. total is their sum on the CPU; on a GPU, where
each part ends with a synchronisation, it is timed in iterations of its own without them.
suite sampling: `damc_latents` the sampler under given embeddings; `damc_prior` q(z), decoded; `lebm_prior` 100 prior steps from N(0, I), decoded;
`damc_posterior` q(z given x) and 10 posterior steps, decoded; `lebm_posterior` 100 posterior steps
from N(0, I), decoded.
suite kernels: every convolution of the presets' G and encoder, forward and both gradients. Square
matrix products are timed in any case; of_gemm refers to the one of 1024, on a GPU of 8192.

The file of --json is written whenever a preset is done, so that what was measured stays when a time
limit ends the run.

Work (gflop) is counted from shapes and is the same for every program, whatever it saves or wastes:
two operations per multiply-add of matrix products and convolutions, nothing else. A convolution
has Hout*Wout*Cin*Cout*k^2 multiply-adds, a transposed one Hin*Win*Cin*Cout*k^2, taps on the padding
included. An input gradient and a weight gradient each cost as much as the forward pass. Chains
count forward and input gradients only; updates leave out the gradients of inputs that need none.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "golden"))
import models  # noqa: E402

POSTERIOR_STEPS, PRIOR_STEPS, Q_UPDATES, P_UNCOND = 30, 60, 6, 0.2
CLIP, RHO, EMA_EVERY = 100.0, 0.005, 10
LEBM_STEPS, TEST_POSTERIOR_STEPS = 100, 10
BOTH_LOSSES = {"mnist-anomaly"}  # conditional and unconditional loss in every update; the prior
# chains of these presets start from the sampler alone, not from noise as well


class Work:
    """Multiply-adds per image of a preset's networks, from shapes."""

    def __init__(self, cfg):
        self.cfg = cfg
        self.generator = [c["macs"] for c in convolutions(cfg) if c["transposed"]]
        self.encoder = [c["macs"] for c in convolutions(cfg) if not c["transposed"]]
        self.energy = [cfg.nz * cfg.ndf, cfg.ndf**2, cfg.ndf]
        self.prior_emb = [cfg.nz * 128, 128 * cfg.nemb]
        self.time = [models.NTEMB**2, models.NTEMB**2]
        self.features = cfg.nz * (cfg.nz // 2)
        a, b = round(128 * cfg.width), round(256 * cfg.width)
        blocks = ((2 * cfg.nz, a), (a, b), (b, b), (b, b), (2 * b, b), (2 * b, a), (2 * a, cfg.nz))
        nctx = models.NTEMB + cfg.nemb
        self.blocks = sum(2 * i * o + nctx * o + 2 * o * o for i, o in blocks)

    @property
    def denoiser(self):
        """One call."""
        return self.blocks + self.features + sum(self.time)

    @staticmethod
    def update(layers):
        """Forward, input and weight gradients of a network whose own input needs no gradient."""
        return 3 * sum(layers) - layers[0]

    @property
    def denoiser_update(self):
        return 3 * self.blocks + 2 * self.features + self.update(self.time)

    def chain_step(self, posterior):
        """Forward and input gradient of the energy, and of the generator for the posterior."""
        return 2 * (sum(self.energy) + (sum(self.generator) if posterior else 0))

    def iteration(self):
        """{part: multiply-adds per image of the batch}."""
        both = self.cfg.name in BOTH_LOSSES
        q_update = (self.update(self.encoder) + self.update(self.prior_emb)
                    + self.denoiser_update * (2 if both else 1))
        parts = {
            "ancestral_sampling": sum(self.encoder) + self.cfg.steps * self.denoiser,
            "posterior_chain": POSTERIOR_STEPS * self.chain_step(True),
            "prior_chain": PRIOR_STEPS * self.chain_step(False) * (1 if both else 2),
            "sampler_updates": Q_UPDATES * q_update,
            "generator_update": self.update(self.generator),
            "energy_update": self.update(self.energy) * (2 if both else 3),
        }
        return {**parts, "total": sum(parts.values())}

    def sampling(self):
        decode = sum(self.generator)
        sampler = self.cfg.steps * self.denoiser
        return {
            "damc_latents": sampler,
            "damc_prior": sum(self.prior_emb) + sampler + decode,
            "lebm_prior": LEBM_STEPS * self.chain_step(False) + decode,
            "damc_posterior": (sum(self.encoder) + sampler + decode
                               + TEST_POSTERIOR_STEPS * self.chain_step(True)),
            "lebm_posterior": LEBM_STEPS * self.chain_step(True) + decode,
        }


def convolutions(cfg):
    """Every convolution of G and the encoder: name, shapes and multiply-adds per image."""
    rows, size, width = [], 1, cfg.nz
    for i, (k, s, p, multiple) in enumerate(cfg.generator):
        out = cfg.channels if multiple is None else multiple * cfg.ngf
        rows.append(dict(name=f"G.gen.{2 * i}", transposed=True, k=k, s=s, p=p, size=size,
                         cin=width, cout=out, macs=size**2 * width * out * k**2))
        size, width = (size - 1) * s - 2 * p + k, out
    size, width = cfg.image, cfg.channels
    layers = [(3 if i == 0 else 4, 1 if i == 0 else 2, 1, m * cfg.nif)
              for i, m in enumerate(cfg.encoder)] + [(cfg.head, 1, 0, cfg.nemb)]
    for i, (k, s, p, out) in enumerate(layers):
        after = (size + 2 * p - k) // s + 1
        rows.append(dict(name=f"Q.encoder.net.{3 * i}", transposed=False, k=k, s=s, p=p, size=size,
                         cin=width, cout=out, macs=after**2 * width * out * k**2))
        size, width = after, out
    return rows


class Trainer:
    """The networks, their optimisers and one training iteration."""

    def __init__(self, cfg, batch, args):
        self.cfg, self.batch, self.device = cfg, batch, args.device
        self.both = cfg.name in BOTH_LOSSES
        self.G = models.Generator(cfg).to(self.device)
        self.E = models.Energy(cfg).to(self.device)
        self.Q = models.Amortizer(cfg).to(self.device)
        self.Q_bar = models.Amortizer(cfg).to(self.device)
        self.Q_bar.load_state_dict(self.Q.state_dict())
        betas = (0.5, 0.999)
        self.optimisers = {
            self.G: torch.optim.Adam(self.G.parameters(), lr=2e-4, betas=betas),
            self.E: torch.optim.Adam(self.E.parameters(), lr=1e-4, betas=betas),
            self.Q: torch.optim.AdamW(self.Q.parameters(), lr=2e-4, betas=betas,
                                      weight_decay=0 if self.both else 1e-4)}
        self.count = 0
        if args.compile:
            for module in (self.G, self.E, self.Q.encoder, self.Q.p, self.Q.prior_emb,
                           self.Q_bar.encoder, self.Q_bar.p):
                module.compile(mode="reduce-overhead", dynamic=False)
        size = (batch, cfg.channels, cfg.image, cfg.image)
        self.x = torch.rand(size, device=self.device) * 2 - 1
        if args.channels_last:
            for module in (self.G, self.Q.encoder, self.Q_bar.encoder):
                module.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)

    def normal(self):
        return torch.randn(self.batch, self.cfg.nz, device=self.device)

    def sample(self, Q, xemb):
        # A recorded graph's output is overwritten by later replays, so the condition is copied.
        return Q.sample(self.normal(), xemb.clone())

    @contextmanager
    def frozen(self):
        """No weight gradients in chains: autograd skips them anyway, compiled graphs do not."""
        for network in (self.G, self.E):
            network.requires_grad_(False)
        yield
        for network in (self.G, self.E):
            network.requires_grad_(True)

    def posterior(self, z, steps):
        with self.frozen():
            return models.posterior_chain(z, self.x, self.G, self.E, steps,
                                          self.cfg.posterior_step_size, self.cfg.sigma)

    def prior(self, z, steps):
        with self.frozen():
            return models.prior_chain(z, self.E, steps, self.cfg.prior_step_size)

    def update(self, network, loss):
        self.optimisers[network].zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        self.optimisers[network].step()
        torch.clear_autocast_cache()  # which holds the old weights, rounded

    def sampler_loss(self, z, mask):
        """The diffusion loss with fresh times and noise; see BOTH_LOSSES for the second form."""
        def loss(xemb):
            t = torch.rand(self.batch, device=self.device)
            return self.Q.loss(z, t, self.normal(), xemb).mean()
        xemb = self.Q.encoder(self.x)
        if self.both:
            return loss(xemb) + loss(self.Q.unconditional(self.normal()))
        return loss(self.Q.blend(xemb, mask, self.normal()))

    def iteration(self, lap):
        """Algorithm 1 once; lap(part) is called when a part is done."""
        x = self.x
        with torch.no_grad():
            z0 = self.sample(self.Q_bar, self.Q_bar.encoder(x))
        lap("ancestral_sampling")
        z_pos = self.posterior(z0, POSTERIOR_STEPS)
        lap("posterior_chain")
        start = z0 if self.both else torch.cat([z0, self.normal()])
        z_neg = self.prior(start, PRIOR_STEPS)
        lap("prior_chain")
        mask = (torch.rand(self.batch, device=self.device) >= P_UNCOND).to(x.dtype)
        for _ in range(Q_UPDATES):
            self.update(self.Q, self.sampler_loss(z_pos, mask))
        lap("sampler_updates")
        self.update(self.G, ((self.G(z_pos) - x) ** 2).sum((1, 2, 3)).mean())
        lap("generator_update")
        self.update(self.E, self.E(z_pos).mean() - self.E(z_neg).mean())
        lap("energy_update")
        self.count += 1
        if self.count % EMA_EVERY == 0:
            with torch.no_grad():
                for target, parameter in zip(self.Q_bar.parameters(), self.Q.parameters()):
                    target.lerp_(parameter, RHO)

    def sampling(self):
        """{part: function that runs it} of the sampling suite."""
        xemb = torch.randn(self.batch, self.cfg.nemb, device=self.device)

        def decoded(draw):
            @torch.no_grad()
            def decode(z):
                return self.G(z)
            return lambda: decode(draw())

        @torch.no_grad()
        def amortised(condition):
            return self.sample(self.Q, condition())

        def from_image():
            return amortised(lambda: self.Q.encoder(self.x))

        return {
            "damc_latents": lambda: amortised(lambda: xemb),
            "damc_prior": decoded(lambda: amortised(lambda: self.Q.unconditional(self.normal()))),
            "lebm_prior": decoded(lambda: self.prior(self.normal(), LEBM_STEPS)),
            "damc_posterior": decoded(lambda: self.posterior(from_image(), TEST_POSTERIOR_STEPS)),
            "lebm_posterior": decoded(lambda: self.posterior(self.normal(), LEBM_STEPS)),
        }


class Bench:
    """Times functions on one device and collects the rows of the report."""

    def __init__(self, args):
        self.args, self.results, self.gemm = args, [], None

    def clock(self):
        if self.args.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def precision(self):
        """The context that computes in bf16 when that was asked for."""
        return torch.autocast(self.args.device, torch.bfloat16,
                              enabled=self.args.precision == "bf16")

    def add(self, suite, name, part, batch, times, macs):
        seconds = statistics.median(times)
        gflop = 2e-9 * macs
        row = dict(suite=suite, name=name, part=part, batch=batch, device=self.args.device,
                   seconds=seconds, gflop=gflop, gflops=gflop / seconds)
        self.results.append(row)
        print(f"{suite:10} {name:14} {part:28} batch {batch:4} {seconds:12.6f} s "
              f"{row['gflops']:10.1f} GFLOP/s", flush=True)
        return row

    def times(self, function):
        """Seconds of each repeat. A function much shorter than 20 ms is repeated within one."""
        seconds, loops = [], 1
        with self.precision():
            for _ in range(self.args.warmup):
                start = self.clock()
                function()
                loops = max(1, min(1000, int(0.02 / (self.clock() - start))))
            for _ in range(self.args.repeat):
                start = self.clock()
                for _ in range(loops):
                    function()
                seconds.append((self.clock() - start) / loops)
        return seconds

    def gemms(self):
        """Square products; in bf16 of operands that are bf16 already."""
        dtype = torch.bfloat16 if self.args.precision == "bf16" else torch.float32
        cuda = self.args.device == "cuda"
        for n in (256, 512, 1024, 2048) + (8192,) * cuda:
            a, b = torch.randn(2, n, n, device=self.args.device).to(dtype)
            row = self.add("kernels", "gemm", f"{n}x{n}x{n}", 1, self.times(lambda: a @ b), n**3)
            if n == (8192 if cuda else 1024):
                self.gemm = row["gflops"]

    def iteration(self, cfg):
        trainer, work = Trainer(cfg, self.args.batch, self.args), Work(cfg).iteration()
        parts = {part: [] for part in work}
        last = 0.0

        def lap(part):
            nonlocal last
            now = self.clock()
            parts[part].append(now - last)
            last = now

        with self.precision():
            for _ in range(self.args.warmup):
                trainer.iteration(lambda part: None)
            for _ in range(self.args.repeat):
                start = last = self.clock()
                trainer.iteration(lap)
                if self.args.device == "cuda":
                    start = self.clock()
                    trainer.iteration(lambda part: None)
                parts["total"].append(self.clock() - start)
        for part, seconds in parts.items():
            self.add("iteration", cfg.name, part, self.args.batch, seconds,
                     work[part] * self.args.batch)

    def sampling(self, cfg):
        trainer, work = Trainer(cfg, self.args.batch, self.args), Work(cfg).sampling()
        for part, run in trainer.sampling().items():
            self.add("sampling", cfg.name, part, self.args.batch, self.times(run),
                     work[part] * self.args.batch)

    def kernels(self, cfg):
        for c in convolutions(cfg):
            x = torch.randn(self.args.batch, c["cin"], c["size"], c["size"],
                            device=self.args.device, requires_grad=True)
            shape = (c["cin"], c["cout"]) if c["transposed"] else (c["cout"], c["cin"])
            w = torch.randn(*shape, c["k"], c["k"], device=self.args.device, requires_grad=True)
            op = F.conv_transpose2d if c["transposed"] else F.conv2d
            y = op(x, w, stride=c["s"], padding=c["p"])
            gy = torch.randn_like(y)
            rules = {"forward": lambda: op(x.detach(), w.detach(), stride=c["s"], padding=c["p"])}
            for part, flags in (("grad_x", (True, False)), ("grad_w", (False, True))):
                rules[part] = lambda flags=flags: torch.ops.aten.convolution_backward(
                    gy, x, w, None, [c["s"]] * 2, [c["p"]] * 2, [1, 1], c["transposed"], [0, 0], 1,
                    [*flags, False])
            for part, rule in rules.items():
                self.add("kernels", f"{cfg.name}.{c['name']}", part, self.args.batch,
                         self.times(rule), c["macs"] * self.args.batch)

    def report(self):
        args = self.args
        machine = {
            "program": f"PyTorch {torch.__version__}", "device": args.device,
            "name": (torch.cuda.get_device_name() if args.device == "cuda" else cpu_name()),
            "threads": torch.get_num_threads(), "precision": args.precision,
            "compile": args.compile, "channels_last": args.channels_last, "repeat": args.repeat}
        for row in self.results:
            row["of_gemm"] = row["gflops"] / self.gemm
        return {"machine": machine, "gemm_gflops": self.gemm, "results": self.results}

    def write(self, path):
        """Writes the report whole or not at all."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(self.report(), indent=1) + "\n")
        part.replace(path)


def cpu_name():
    """The processor's model name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description="Times PyTorch on the work of `damc bench`.")
    parser.add_argument("--suite", nargs="+", choices=("iteration", "sampling", "kernels"),
                        default=["iteration"])
    parser.add_argument("--preset", nargs="+", choices=models.PRESETS, default=["svhn"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--repeat", type=int, default=5, help="the median is reported")
    parser.add_argument("--warmup", type=int, default=1, help="runs before timing (compiled: 3)")
    parser.add_argument("--json", type=Path, metavar="F")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("pytorch_bench.py: error: this PyTorch finds no CUDA device")
    if args.compile and not hasattr(torch.nn.Module, "compile"):
        sys.exit("pytorch_bench.py: error: --compile needs PyTorch 2.2 or later")
    if args.compile:
        args.warmup = max(args.warmup, 3)
    torch.set_num_threads(args.threads)
    # In bf16 too: what autocast leaves in f32, damc multiplies in tf32.
    torch.backends.cuda.matmul.allow_tf32 = args.precision != "fp32"
    torch.backends.cudnn.allow_tf32 = args.precision != "fp32"
    torch.backends.cudnn.benchmark = True
    bench = Bench(args)
    bench.gemms()
    for suite in args.suite:
        for name in args.preset:
            getattr(bench, suite)(models.preset(name))
            if args.json:
                bench.write(args.json)


if __name__ == "__main__":
    main()
