#!/usr/bin/env python3
"""How the cost of an iteration grows: with the batch, the channels, the steps of chains, the threads.

    growth.py [--damc build/bin/damc] [--preset svhn] [--precision fp32] [--python PYTHON]

Markdown tables of `damc bench --suite iteration`, one process a row: seconds of an iteration (the
median of two), what it takes for each unit of what grows, beside that of the row before ("1.00":
linear), rate by operations of the direct form, and the most memory that the process had. Then images
a second of `--suite sampling` for small batches, seconds from the start of a process to its end, and with
--python, one that has PyTorch, the memory of its iteration.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent


def run(words):
    """Runs a program; its seconds and the most memory it had, in MiB."""
    start = time.monotonic()
    process = subprocess.Popen([str(w) for w in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"growth.py: error: {' '.join(map(str, words))}: {errors.decode().strip()}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def bench(words):
    """{(suite, part): row} of a benchmark, and its peak memory in MiB."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        _, peak = run([*words, "--json", file.name])
        rows = json.loads(Path(file.name).read_text())["results"]
    return {(row["suite"], row["part"]): row for row in rows}, peak


def grow(args, title, values, options, work=lambda value: value):
    """A table over what grows; `work`: the units of which time is expected to be a multiple."""
    print(f"\n| {title} | seconds | of linear | chain, of linear | updates, of linear | GFLOP/s | MiB |\n"
          "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    before = {}
    for value in values:
        rows, peak = bench([args.damc, "bench", "--suite", "iteration", "--preset", args.preset, "--precision",
                            args.precision, "--repeat", 2, *options(value)])
        cells = []
        for part in ("total", "posterior_chain", "sampler_updates"):
            row = rows["iteration", part]
            each = row["seconds"] / work(value)
            ratio = f"{each / before[part]:.2f}" if part in before else ""
            cells += [f"{row['seconds']:.3f}", ratio] if part == "total" else [ratio]
            before[part] = each
        print(f"| {value} | {' | '.join(cells)} | {rows['iteration', 'total']['gflops']:.0f} | {peak:.0f} |", flush=True)


def small_batches(args):
    print("\n| images at a time | sampler, images/s | with 2 threads of 1 | posterior, images/s |\n| ---: | ---: | ---: | ---: |")
    for batch in (1, 2, 4, 8, 16, 64):
        seconds = {}
        for threads in (1, 2):
            rows, _ = bench([args.damc, "bench", "--suite", "sampling", "--preset", args.preset, "--precision",
                             args.precision, "--batch", batch, "--threads", threads, "--repeat", 3])
            seconds[threads] = rows
        latents, posterior = (seconds[2]["sampling", part]["seconds"] for part in ("damc_prior", "damc_posterior"))
        faster = seconds[1]["sampling", "damc_prior"]["seconds"] / latents
        print(f"| {batch} | {batch / latents:.1f} | {faster:.2f} | {batch / posterior:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damc", default="build/bin/damc")
    parser.add_argument("--preset", default="svhn")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--python", help="one that has PyTorch, whose memory is measured as well")
    args = parser.parse_args()

    print(f"{args.preset}, {args.precision}")
    grow(args, "images", [4, 8, 16, 32, 64, 128, 256], lambda n: ["--batch", n])
    grow(args, "ngf, nif", [16, 32, 64, 128], lambda n: ["--batch", 16, "--set", f"ngf={n}", "--set", f"nif={n}"],
         lambda n: n * n)
    grow(args, "steps of the posterior chain", [5, 10, 20, 40, 80],
         lambda n: ["--batch", 16, "--set", f"posterior_steps={n}"])
    grow(args, "threads", [1, 2], lambda n: ["--batch", 32, "--threads", n], lambda n: 1 / n)
    small_batches(args)
    starts = [run([args.damc, "info"])[0] for _ in range(9)]
    print(f"\n`damc info`, start to end: {statistics.median(starts):.3f} s")
    if args.python:
        _, peak = run([args.python, BENCH / "pytorch_bench.py", "--suite", "iteration", "--preset", args.preset,
                       "--precision", args.precision, "--batch", 32, "--repeat", 2])
        print(f"PyTorch, 32 images: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
