#!/usr/bin/env python3
"""What tools/gpu_check.sh needs besides a shell.

    gpu_report.py losses RUN_A RUN_B [DONE]   compares the numbers of two runs, iteration by iteration,
                                              after the DONE iterations that they have in common
    gpu_report.py write WORK OUT GPU          writes OUT.json and OUT.md from the folder of a check

Two devices round differently, and training amplifies that. What is allowed is what rounding alone
does: on one CPU, two kernels of the same BLAS differ over 50 iterations of mnist-quick by up to
3e-7 (loss_g) and 3e-3 (loss_q) in the first ten iterations and by up to 7 % and 3 % later.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

# Largest relative difference, over the first FIRST iterations compared and over all.
FIRST = 10
TOLERANCE = {"loss_g": (1e-3, 0.25), "loss_q": (2e-2, 0.25)}
REPORTED = ("loss_g", "loss_q", "grad_norm_g", "grad_norm_q", "z_norm", "chain_displacement")


def stats(run):
    lines = (Path(run) / "stats.jsonl").read_text().splitlines()
    return {row["iteration"]: row for row in map(json.loads, lines)}


def compare_losses(run_a, run_b, done=0):
    """Prints the differences; whether they are within the tolerances."""
    a, b = stats(run_a), stats(run_b)
    shared = sorted(k for k in a.keys() & b.keys() if k > done)
    if not shared or a.keys() != b.keys():
        sys.exit(f"the runs logged different iterations: {len(a)} and {len(b)}, {len(shared)} shared")
    print(f"{'relative difference':20} {'first 10':>10} {'median':>10} {'largest':>10}")
    fine = True
    for key in REPORTED:
        all_ = [abs(a[k][key] - b[k][key]) / max(abs(a[k][key]), abs(b[k][key]), 1e-12)
                for k in shared]
        first = max(all_[:FIRST])
        print(f"{key:20} {first:10.1e} {statistics.median(all_):10.1e} {max(all_):10.1e}")
        if key in TOLERANCE:
            fine &= first <= TOLERANCE[key][0] and max(all_) <= TOLERANCE[key][1]
    print("within rounding" if fine else f"beyond rounding: {TOLERANCE} (first {FIRST}, all) are allowed")
    return fine


def text(path):
    return path.read_text(errors="replace") if path.exists() else ""


def parts(work):
    """One entry per part, in order; of one that did not pass, the end of its log."""
    found = []
    for line in text(work / "parts.tsv").splitlines():
        name, status, seconds = line.split("\t")
        log = text(work / f"{name}.log").strip().splitlines()
        found.append({"name": name, "status": status, "seconds": int(seconds),
                      "log": [] if status == "passed" else log[-30:]})
    return found


def benchmarks(work):
    """{program: {suite: report}} of the benchmarks that ran."""
    found = {}
    for file in sorted(work.glob("*-*.json")):
        program, suite = file.stem.rsplit("-", 1)
        found.setdefault(program, {})[suite] = json.loads(file.read_text())
    return found


def benchmark_table(found):
    """Seconds of each part by program, and how many times faster damc is."""
    programs = [p for p in ("bench", "pytorch", "pytorch_compile") if p in found]
    seconds = {}
    for program in programs:
        for report in found[program].values():
            for row in report["results"]:
                key = (row["suite"], row["name"], row["part"], row["batch"])
                seconds.setdefault(key, {})[program] = row["seconds"]
    titles = {"bench": "damc", "pytorch": "PyTorch", "pytorch_compile": "PyTorch compiled"}
    others = programs[1:]
    lines = ["| work | batch | " + " | ".join(titles[p] + ", ms" for p in programs)
             + "".join(f" | damc faster than {titles[p]}" for p in others) + " |",
             "| --- |" + " ---: |" * (1 + len(programs) + len(others))]
    for (suite, _, part, batch), by in seconds.items():
        if suite == "kernels" or "bench" not in by:
            continue
        cells = [f"{1e3 * by[p]:.2f}" if p in by else "" for p in programs]
        cells += [f"{by[p] / by['bench']:.2f}x" if p in by else "" for p in others]
        lines.append(f"| {suite} {part} | {batch} | " + " | ".join(cells) + " |")
    return lines


def code(title, body):
    return ["", f"## {title}", "", "```", body.strip(), "```"] if body.strip() else []


def write(work, out, gpu):
    # Of the device tests' log, the figures they state.
    figures = [line.split("MESSAGE:", 1)[1].strip() for line in text(work / "device.txt").splitlines()
               if "MESSAGE:" in line]
    damc = subprocess.run([os.environ["damc"], "info"], capture_output=True, text=True)
    checked, timed = parts(work), benchmarks(work)
    training = text(work / "training.json").strip()
    report = {"gpu": gpu, "damc_info": damc.stdout.splitlines(), "parts": checked, "figures": figures,
              "losses": text(work / "losses.txt").splitlines(),
              "resume": text(work / "resume.txt").splitlines(),
              "training": json.loads(training) if training else None, "benchmarks": timed}
    bad = [p for p in checked if p["status"] not in ("passed", "skipped")]
    verdict = ", ".join(p["name"] + " " + p["status"] for p in bad) or "all passed"
    lines = [f"# GPU check: {gpu}", "", f"{verdict}.", "", "| part | result | seconds |", "| --- | --- | ---: |"]
    lines += [f"| {p['name']} | {p['status']} | {p['seconds']} |" for p in checked]
    lines += code("Device tests", "\n".join(figures))
    if "bench" in timed:
        lines += ["", "## Benchmarks (SVHN, fp32)", "", *benchmark_table(timed)]
    lines += code("Losses, CPU and GPU", text(work / "losses.txt"))
    lines += code("Resumed on the other device", text(work / "resume.txt"))
    lines += code("Training on MNIST", training + "\n" + text(work / "training.txt"))
    lines += code("This build and machine", damc.stdout)
    for p in bad:
        lines += code(f"{p['name']}: {p['status']}", "\n".join(p["log"]))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(out.name + ".json").write_text(json.dumps(report, indent=1) + "\n")
    out.with_name(out.name + ".md").write_text("\n".join(lines) + "\n")


def main():
    if sys.argv[1:2] == ["losses"] and len(sys.argv) in (4, 5):
        sys.exit(not compare_losses(*sys.argv[2:4], *map(int, sys.argv[4:])))
    if sys.argv[1:2] == ["write"] and len(sys.argv) == 5:
        write(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
        return
    sys.exit(__doc__)


if __name__ == "__main__":
    main()
