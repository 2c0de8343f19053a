#!/usr/bin/env python3
"""Steps of the sampler's solvers against distance and time, as a Markdown table.

    solvers.py RUN CLASSIFIER [--damc build/bin/damc] [--steps 5 10 20 50] [--samples 10000] [--seed S]

RUN is a run of digits that has a sampler, CLASSIFIER one of preset mnist-classifier. Every row is one
`damc eval --metric pca-fd,classifier-fd` of the samples and one `damc sample` on a single thread, whose
processor time stands for the seconds: other work on the machine moves it little. Above the rows of the
solvers stand the run's own sampling, latent vectors of the energy prior's chains, and N(0, I), whose time is
that of decoding alone. The evaluations are kept in RUN/metrics.jsonl, as always.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SOLVERS = [("ancestral", None), ("ddim", 0), ("ddim", 1), ("dpm-solver++", 0), ("dpm-solver++", 1)]


def rows(steps):
    """What the table shows: name, steps, and options of damc."""
    found = [("the run's own", "", []), ("prior chains", "", ["--from", "lebm"]),
             ("N(0, I)", "", ["--from", "gaussian"])]
    for solver, eta in SOLVERS:
        for n in steps:
            options = ["--solver", solver, "--solver-steps", str(n)]
            options += ["--eta", str(eta)] if eta else []
            found.append((f"{solver}, eta {eta}" if eta else solver, str(n), options))
    return found


def damc(program, *words, threads=None):
    """Runs damc; its processor time in seconds."""
    environment = dict(os.environ, OMP_WAIT_POLICY="passive")
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([program, *map(str, words)], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"solvers.py: {program} {' '.join(map(str, words))}: {done.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def distances(args, seed, options):
    """pca-fd and classifier-fd of samples, and what they are over."""
    file = args.run / "metrics.jsonl"
    known = len(file.read_text().splitlines()) if file.exists() else 0
    damc(args.damc, "eval", args.run, "--metric", "pca-fd,classifier-fd", "--classifier", args.classifier,
         "--samples", args.samples, *seed, *options)
    records = [json.loads(line) for line in file.read_text().splitlines()[known:]]
    pixels = next(r for r in records if r["metric"] == "pca-fd" and r["of"] == "samples")
    features = next(r for r in records if r["metric"] == "classifier-fd")
    return pixels, features


def main():
    parser = argparse.ArgumentParser(description="Steps of the sampler's solvers against distance and time.")
    parser.add_argument("run", type=Path)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--damc", default="build/bin/damc")
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    seed = [] if args.seed is None else ["--seed", args.seed]
    print("| z from | steps | pca-fd | classifier-fd | seconds |\n| --- | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as pictures:
        for name, steps, options in rows(args.steps):
            pixels, features = distances(args, seed, options)
            seconds = damc(args.damc, "sample", args.run, "--count", args.samples, "--out", pictures, *seed,
                           *options, threads=1)
            print(f"| {name} | {steps} | {pixels['value']:.2f} | {features['value']:.2f} | {seconds:.2f} |",
                  flush=True)
    print(f"\n{args.samples} samples of {args.run.name} after {pixels['iteration']} iterations, seed "
          f"{pixels['seed']}, against {pixels['reference_images']} (pca-fd) and {features['reference_images']} "
          "(classifier-fd) training images; seconds of one thread for drawing and decoding them.")


if __name__ == "__main__":
    main()
