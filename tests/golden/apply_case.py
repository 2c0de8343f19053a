#!/usr/bin/env python3
"""Makes an end-to-end case for `damc apply` and checks the program against it.

    apply_case.py DIR [--preset P ...] [--full] [--check DAMC [--set KEY=VALUE ...]]

For every preset DIR/P gets weights.safetensors (float32, the authors' names with the prefixes G,
E, Q, Q_dummy), inputs and expected outputs as .npy, and case.json: the preset, the settings that
`--set` takes, and for each case WHAT, its inputs, steps and expected output. Outputs are computed
in float64. Weights follow the golden formula, with p.B divided by sqrt(nz): with the full B a
hundred sampler steps amplify float32's rounding errors about 1e5 times, and no float32 program
could be checked. With --check the program runs every case; the exit code is 1 if one is off by a
relative error of 1e-5 or more in the L2 norm.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import models
from make_golden import fill, formula_input, to_nchw, to_nhwc, write_safetensors

NARROW = {"ngf": 8, "nif": 8, "nemb": 32}
SMALL = {"nz": 10, "ngf": 4, "nif": 4, "nemb": 16, "ndf": 16, "width": 0.0625}
TOLERANCE = 1e-5
BATCH, STEPS = 2, 5


def outputs(cfg, G, E, Q, given):
    """Every case of the preset: (WHAT, names of its inputs, steps or None, expected output)."""
    z, x, zT = given["z"], to_nchw(given["x"]), given["zT"]
    logsnr, xemb = given["logsnr"], given["xemb"]
    posterior = models.posterior_chain(
        z, x, G, E, STEPS, cfg.posterior_step_size, cfg.sigma, noise=False)
    prior = models.prior_chain(z, E, STEPS, cfg.prior_step_size, noise=False)
    with torch.no_grad():
        return [
            ("generator", ["z"], None, to_nhwc(G(z))),
            ("energy", ["z"], None, E(z)),
            ("encoder", ["x"], None, Q.encoder(x)),
            ("denoiser", ["z", "logsnr", "xemb"], None, Q.p(z, logsnr, xemb)),
            ("sampler", ["x", "zT"], None, Q.sample(zT, Q.encoder(x), noise=False)),
            ("posterior-chain", ["z", "x"], STEPS, posterior),
            ("prior-chain", ["z"], STEPS, prior),
        ]


def write_case(folder, cfg, changes):
    """Writes the case of one preset; `changes` are the settings that differ from it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    G, E = fill(models.Generator(cfg), "G"), fill(models.Energy(cfg), "E")
    Q = fill(models.Amortizer(cfg), "Q")
    Q.p.B.data = (Q.p.B.data / math.sqrt(cfg.nz)).float().double()
    weights = {f"{prefix}.{name}": value.numpy().astype(np.float32)
               for prefix, module in (("G", G), ("E", E), ("Q", Q), ("Q_dummy", Q))
               for name, value in module.state_dict().items()}
    write_safetensors(folder / "weights.safetensors", weights)

    shapes = {"z": (cfg.nz,), "zT": (cfg.nz,), "xemb": (cfg.nemb,),
              "x": (cfg.image, cfg.image, cfg.channels)}
    given = {name: formula_input(name, (BATCH, *shape)) for name, shape in shapes.items()}
    given["logsnr"] = torch.linspace(-4, 7, BATCH, dtype=torch.float64)
    for name, value in given.items():
        np.save(folder / f"{name}.npy", value.numpy().astype(np.float32))

    settings = {**changes, "sigma": cfg.sigma, "posterior_step_size": cfg.posterior_step_size,
                "prior_step_size": cfg.prior_step_size}
    cases = []
    for what, inputs, steps, expected in outputs(cfg, G, E, Q, given):
        np.save(folder / f"expected-{what}.npy", expected.numpy().astype(np.float32))
        cases.append({"what": what, "in": inputs, "steps": steps, "out": f"expected-{what}.npy"})
    case = {"preset": cfg.name, "weights": "weights.safetensors", "set": settings, "cases": cases}
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    print(f"{folder}: {len(cases)} cases, {sum(f.stat().st_size for f in folder.iterdir())} bytes")


def command(binary, folder, case, entry, out, extra):
    """The command line of one case."""
    words = [binary, "apply", entry["what"], "--preset", case["preset"],
             "--weights", folder / case["weights"]]
    settings = [f"{key}={value}" for key, value in case["set"].items()] + extra
    for setting in settings:
        words += ["--set", setting]
    for name in entry["in"]:
        words += ["--in", f"{name}={folder / name}.npy"]
    if entry["steps"] is not None:
        words += ["--steps", entry["steps"]]
    return [str(word) for word in words + ["--out", out]]


def check(folder, binary, extra):
    """Runs every case of the folder; prints a line each and returns the number of failures."""
    case = json.loads((folder / "case.json").read_text())
    failures = 0
    for entry in case["cases"]:
        expected = np.load(folder / entry["out"]).astype(np.float64)
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "out.npy"
            run = subprocess.run(command(binary, folder, case, entry, out, extra),
                                 capture_output=True, text=True)
            ok, remark = compare(out, expected) if run.returncode == 0 else (
                False, f"exit code {run.returncode}: {run.stderr.strip()}")
        print(f"{'ok  ' if ok else 'FAIL'} {case['preset']} {entry['what']}: {remark}")
        failures += not ok
    return failures


def compare(path, expected):
    """(within tolerance, remark) of the array in a file; [N, 1] passes for [N]."""
    got = np.load(path).astype(np.float64)
    if got.size != expected.size:
        return False, f"shape {got.shape}, expected {expected.shape}"
    error = np.linalg.norm(got.ravel() - expected.ravel()) / np.linalg.norm(expected)
    return bool(error < TOLERANCE), f"relative error {error:.2e}"


def main():
    parser = argparse.ArgumentParser(description="Makes and checks cases for `damc apply`.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", nargs="+", choices=models.PRESETS, metavar="P",
                        default=["svhn", "mnist-anomaly"])
    parser.add_argument("--full", action="store_true", help="full widths instead of narrow ones")
    parser.add_argument("--check", metavar="DAMC", help="run this program on every case")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="passed on to the program, for example device=cuda")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = {} if args.full else NARROW
    for name in args.preset:
        write_case(args.folder / name, models.preset(name, **changes), changes)
    if args.check:
        failures = sum(check(args.folder / n, args.check, args.set) for n in args.preset)
        sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
