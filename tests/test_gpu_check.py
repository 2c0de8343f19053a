#!/usr/bin/env python3
"""tools/gpu_check.sh and its report on a machine where this file plays the GPU, damc and PyTorch.

Called by the name of one of them it does what gpu_check.sh needs of that: writes what training and
benchmarks would write. Called as itself it makes such a machine of links to this file, runs the
script there and checks its exit code and its report.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLAYED = ("bin/nvidia-smi", "bin/ctest", "bin/compute-sanitizer", "build/bin/damc",
          "build/tests/test_device_parity", "tools/bench/pytorch_bench.py")

# Milliseconds of an iteration, and a product's rate in TFLOP/s, by program and precision.
ITERATION = {"damc": {"fp32": 30, "tf32": 20, "bf16": 10}, "eager": dict(fp32=60, tf32=70, bf16=50),
             "compiled": dict(fp32=60, tf32=15, bf16=40)}
GEMM = {"damc": dict(fp32=50, tf32=400, bf16=600), "eager": dict(fp32=50, tf32=300, bf16=900),
        "compiled": dict(fp32=50, tf32=300, bf16=900)}
WORK = 4000.0  # GFLOP of an iteration
SAMPLING = {"damc_prior": 9.0, "damc_posterior": 25.0}  # ms
FLOORS = {"compute": 5e-3, "memory": 1e-3, "launches_graph": 4e-3}


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def train():
    """A run with 50 logged iterations, the last of which the script removes to resume before it."""
    if "--out" not in sys.argv:
        return
    run = Path(option("--out")) / "00000-mnist-quick"
    run.mkdir(parents=True)
    (run / "model-000050.safetensors").touch()
    keys = ("loss_g", "loss_q", "grad_norm_g", "grad_norm_q", "z_norm", "chain_displacement")
    rows = [json.dumps({"iteration": k, **dict.fromkeys(keys, 1.0)}) for k in range(1, 51)]
    (run / "stats.jsonl").write_text("\n".join(rows) + "\n")


def row(preset, suite, part, **more):
    return {"name": preset, "suite": suite, "part": part,
            "batch": int(option("--batch") or 128), **more}


def benchmark(program):
    preset, precision, suite = option("--preset"), option("--precision"), option("--suite")
    report = {"machine": {"program": program}}
    if "--floors" in sys.argv:
        report["results"] = [row(name, "iteration", "total", floors=FLOORS) for name in preset.split(",")]
    else:
        ms = {"total": ITERATION[program][precision]} if suite == "iteration" else SAMPLING
        report["gemm_gflops"] = 1e3 * GEMM[program][precision]
        report["results"] = [row(preset, suite, part, seconds=1e-3 * t, gflops=1e3 * WORK / t)
                             for part, t in ms.items()]
    Path(option("--json")).write_text(json.dumps(report))


def play(name):
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if name == "nvidia-smi":
        print("NVIDIA H200, 580.00, 143771 MiB")
    elif name == "pytorch_bench.py":
        program = "compiled" if "--compile" in sys.argv else "eager"
        if program == "compiled" and option("--precision") == "bf16":
            sys.exit("the compiler failed")
        benchmark(program)
    elif name == "damc" and what == "train":
        train()
    elif name == "damc" and what == "bench":
        benchmark("damc")
    else:  # has nothing to say
        print("played", what)


def check(machine, arguments, code, *patterns, but=()):
    """Runs the script; its exit code, and lines that its report has or has not."""
    shutil.rmtree(machine / "tools/bench/results", ignore_errors=True)
    path = f"{machine}/bin:{os.environ['PATH']}"
    done = subprocess.run([machine / "tools/gpu_check.sh", *arguments], capture_output=True, text=True,
                          env={**os.environ, "PATH": path, "PYTHONPATH": str(machine / "lib")})
    said = done.stdout + done.stderr
    report = next(machine.glob("tools/bench/results/*-nvidia-h200.md"), None)
    text = said + (report.read_text() if report else "")
    wrong = [f"no '{p}'" for p in patterns if not re.search(p, text, re.MULTILINE)]
    wrong += [f"'{p}'" for p in but if re.search(p, text, re.MULTILINE)]
    if done.returncode != code:
        wrong.append(f"exit code {done.returncode} instead of {code}")
    if wrong:
        sys.exit(f"gpu_check {' '.join(arguments)}: {', '.join(wrong)} in:\n{text}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        machine = Path(folder)
        for file in PLAYED:
            (machine / file).parent.mkdir(parents=True, exist_ok=True)
            (machine / file).symlink_to(Path(__file__).resolve())
        (machine / "bin/python3").symlink_to(sys.executable)
        for file in ("gpu_check.sh", "bench/gpu_report.py", "bench/compare.py"):
            shutil.copy(ROOT / "tools" / file, machine / "tools" / file)
        (machine / "lib").mkdir()
        (machine / "lib/torch.py").write_text("class cuda:\n    is_available = staticmethod(lambda: True)\n")
        build = ("--build", "build")
        summary = (r"^NVIDIA H200, 580.00, 143771 MiB: 25 of 27 parts passed, not so: compiled-svhn-bf16 failed, "
                   r"compiled-cifar10-bf16 failed; svhn iteration, ms: fp32 30.0, tf32 20.0, bf16 10.0$")
        # What PyTorch's compiler cannot do is missing, and nobody's failure.
        check(machine, build, 0, summary, r"^compiled-svhn-bf16 failed, compiled-cifar10-bf16 failed\.$",
              r"svhn iteration at least 3 times .* PyTorch \| fp32 \| 2.00 times \| not met \|",
              r"svhn iteration at least 3 times .* PyTorch \| tf32 \| 3.50 times \| met \|",
              r"svhn iteration faster than PyTorch compiled \| tf32 \| 0.75 times \| not met \|",
              r"svhn iteration faster than PyTorch compiled \| bf16 \| - \| missing \|",
              r"cifar10 iteration at 50% .* \| tf32 \| 50.00 % \| met \|",
              r"cifar10 iteration at 50% .* \| bf16 \| 44.44 % \| not met \|",
              r"svhn damc_prior .* under 10 ms \| bf16 \| 9.00 ms \| met \|",
              r"svhn damc_posterior .* under 20 ms \| bf16 \| 25.00 ms \| not met \|",
              r"^### cifar10, bf16, gemm at 900.0 TFLOP/s$",
              r"^\| iteration total \| 128 \| 10.000 \| 50.000 \| missing \| 5.00x \| - \| 5.000 "
              r"\| compute \| 50% \|$",
              r"^\| sampling damc_prior \| 64 \| 9.000 \| 9.000 \| - \| 1.00x \| - \| - \| - \| - \|$")
        # No time at all: a report of what is missing.
        check(machine, (*build, "--seconds", "10"), 1, r"self_test not run", r"^## Goals$",
              r"svhn damc_prior .* \| - \| missing \|", r"Programs: none ran", but=(r"\| met \|",))
        # A program that fails is told from what is merely slow.
        (machine / "build/bin/damc").unlink()
        check(machine, build, 1, r"losses failed", r"damc-svhn-fp32 failed", r"iteration total")
        check(machine, ("--sconds", "10"), 2, r"unknown option --sconds")
        (machine / "bin/nvidia-smi").unlink()
        check(machine, build, 2, r"no GPU that nvidia-smi finds", but=(r"Goals",))
    print("all as expected")


if __name__ == "__main__":
    called = Path(sys.argv[0]).name
    main() if called == Path(__file__).resolve().name else play(called)
