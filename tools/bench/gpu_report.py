#!/usr/bin/env python3
"""What tools/gpu_check.sh needs besides a shell.

    gpu_report.py losses RUN_A RUN_B [DONE]   compares the numbers of two runs, iteration by iteration,
                                              after the DONE iterations that they have in common
    gpu_report.py write WORK OUT GPU          writes OUT.json and OUT.md from the folder of a check

Two devices round differently, and training amplifies that. What is allowed is what rounding alone
does: on one CPU, two kernels of the same BLAS differ over 50 iterations of mnist-quick by up to
3e-7 (loss_g) and 3e-3 (loss_q) in the first ten iterations and by up to 7 % and 3 % later. Networks
that have learned amplify sooner: resumed at iteration 25 by the other kernel, a run differs by less than
1e-6 for two iterations, by 5e-4 and 1e-3 in the sixth, and by up to 3 % from the twelfth on.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from compare import floor

# Largest relative difference, over the first iterations compared (of fresh and of resumed runs) and over all.
FIRST, FIRST_RESUMED = 10, 2
TOLERANCE = {"loss_g": (1e-3, 0.25), "loss_q": (2e-2, 0.25)}
REPORTED = ("loss_g", "loss_q", "grad_norm_g", "grad_norm_q", "z_norm", "chain_displacement")

# What gpu_check.sh times: PRESETS in PRECISIONS by PROGRAMS, and which suites of each.
PRESETS = ("svhn", "cifar10")
PRECISIONS = ("fp32", "tf32", "bf16")
PROGRAMS = {"damc": "damc", "eager": "PyTorch", "compiled": "PyTorch compiled"}
SUITES = {"damc": ("iteration", "sampling"), "eager": ("iteration", "sampling"),
          "compiled": ("iteration",)}
BATCH = {"iteration": 128, "sampling": 64}
# The goals.
FASTER_THAN_EAGER, FASTER_THAN_COMPILED = 3.0, 1.0  # an iteration of svhn, times
SHARE_OF_GEMM = 0.5  # an iteration of cifar10
SAMPLING_SECONDS = {"damc_prior": 0.010, "damc_posterior": 0.020}  # svhn


def stats(run):
    lines = (Path(run) / "stats.jsonl").read_text().splitlines()
    return {row["iteration"]: row for row in map(json.loads, lines)}


def compare_losses(run_a, run_b, done=0):
    """Prints the differences; whether they are within the tolerances."""
    a, b = stats(run_a), stats(run_b)
    shared = sorted(k for k in a.keys() & b.keys() if k > done)
    if not shared or a.keys() != b.keys():
        sys.exit(f"the runs logged different iterations: {len(a)} and {len(b)}, {len(shared)} shared")
    count = FIRST_RESUMED if done else FIRST
    print(f"{'relative difference':20} {f'first {count}':>10} {'median':>10} {'largest':>10}")
    fine = True
    for key in REPORTED:
        all_ = [abs(a[k][key] - b[k][key]) / max(abs(a[k][key]), abs(b[k][key]), 1e-12)
                for k in shared]
        first = max(all_[:count])
        print(f"{key:20} {first:10.1e} {statistics.median(all_):10.1e} {max(all_):10.1e}")
        if key in TOLERANCE:
            fine &= first <= TOLERANCE[key][0] and max(all_) <= TOLERANCE[key][1]
    print("within rounding" if fine else f"beyond rounding: {TOLERANCE} (first {count}, all) are allowed")
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
    """{PROGRAM-PRESET-PRECISION-SUITE or floors-PRECISION: report} of what was measured and counted."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(work.glob("*-*.json"))}


def rows(timed, program, preset, precision):
    """{(suite, part, batch): row} of one program, or of "floors"; empty where it is missing."""
    names = [f"{program}-{preset}-{precision}-{suite}" for suite in SUITES.get(program, ())]
    reports = [timed[name] for name in (*names, f"{program}-{precision}") if name in timed]
    return {(row["suite"], row["part"], row["batch"]): row for report in reports
            for row in report["results"] if row["name"] == preset}


def table(timed, preset, precision):
    """Seconds of each part by program, how many times faster damc is, and how near its floor."""
    by = {program: rows(timed, program, preset, precision) for program in (*PROGRAMS, "floors")}
    parts_ = list(dict.fromkeys(key for found in by.values() for key in found))
    titles = ["work", "batch", *(f"{title}, ms" for title in PROGRAMS.values()),
              "faster than PyTorch", "than compiled", "floor, ms", "limit", "share of the floor"]
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * (len(titles) - 1)]
    for key in parts_:
        found = {program: by[program][key] for program in by if key in by[program]}
        seconds = {program: found[program]["seconds"] for program in PROGRAMS if program in found}
        cells = [f"{key[0]} {key[1]}", str(key[2])]
        for program in PROGRAMS:
            gap = "missing" if key[0] in SUITES[program] else "-"
            cells.append(f"{1e3 * seconds[program]:.3f}" if program in seconds else gap)
        for program in ("eager", "compiled"):
            both = "damc" in seconds and program in seconds
            cells.append(f"{seconds[program] / seconds['damc']:.2f}x" if both else "-")
        least, limit = floor(found["floors"]) if "floors" in found else (None, "-")
        cells += [f"{1e3 * least:.3f}" if least else "-", limit]
        cells.append(f"{least / seconds['damc']:.0%}" if least and "damc" in seconds else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return lines if parts_ else ["missing"]


def gemm_gflops(timed, precision):
    """The highest rate of a matrix product that any program measured in a precision, or None."""
    rates = [report["gemm_gflops"] for name, report in timed.items()
             if precision in name.split("-") and "gemm_gflops" in report]
    return max(rates, default=None)


def targets(timed):
    """(goal, precision, what was measured, whether that meets it) of each goal, None twice if missing."""
    found = []

    def add(goal, precision, value, unit, meets):
        measured = None if value is None else f"{value:.2f} {unit}"
        met = None if value is None else meets(value)
        found.append({"goal": goal, "precision": precision, "measured": measured, "met": met})

    def measured_row(program, preset, precision, suite, part):
        return rows(timed, program, preset, precision).get((suite, part, BATCH[suite]))

    for other, least in (("eager", FASTER_THAN_EAGER), ("compiled", FASTER_THAN_COMPILED)):
        for precision in PRECISIONS:
            ours, theirs = (measured_row(p, "svhn", precision, "iteration", "total")
                            for p in ("damc", other))
            times = theirs["seconds"] / ours["seconds"] if ours and theirs else None
            least_text = f"at least {least:g} times as fast as" if least > 1 else "faster than"
            add(f"svhn iteration {least_text} {PROGRAMS[other]}", precision, times, "times",
                lambda x, least=least: x >= least if least > 1 else x > least)
    for precision in ("tf32", "bf16"):
        ours = measured_row("damc", "cifar10", precision, "iteration", "total")
        share = 100 * ours["gflops"] / gemm_gflops(timed, precision) if ours else None
        add(f"cifar10 iteration at {SHARE_OF_GEMM:.0%} of the measured gemm rate", precision, share, "%",
            lambda x: x >= 100 * SHARE_OF_GEMM)
    for part, limit in SAMPLING_SECONDS.items():
        for precision in PRECISIONS:
            ours = measured_row("damc", "svhn", precision, "sampling", part)
            add(f"svhn {part} of {BATCH['sampling']} images under {1e3 * limit:g} ms", precision,
                1e3 * ours["seconds"] if ours else None, "ms", lambda x, limit=limit: x < 1e3 * limit)
    return found


def target_table(found):
    verdicts = {None: "missing", True: "met", False: "not met"}
    return ["| goal | precision | measured | |", "| --- | --- | ---: | --- |"] + [
        f"| {t['goal']} | {t['precision']} | {t['measured'] or '-'} | {verdicts[t['met']]} |"
        for t in found]


def benchmark_lines(timed, goals):
    """What was measured beside its goals, what PyTorch needs and what a GPU cannot be faster than."""
    programs = sorted({report["machine"]["program"] for report in timed.values()})
    lines = ["", "## Goals", "", *target_table(goals), "", "## Benchmarks", "",
             f"Programs: {', '.join(programs) or 'none ran'}. 'missing' did not run, failed or ran out "
             "of time. Floors are the largest of compute, memory and launches by the data sheet "
             "(`damc bench --floors`), launches as nodes of a CUDA graph."]
    for preset in PRESETS:
        for precision in PRECISIONS:
            gemm = gemm_gflops(timed, precision)
            rate = f", gemm at {gemm / 1e3:.1f} TFLOP/s" if gemm else ""
            lines += ["", f"### {preset}, {precision}{rate}", "", *table(timed, preset, precision)]
    return lines


def program_info():
    """What `damc info` prints, or why it does not."""
    try:
        return subprocess.run([os.environ["damc"], "info"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n"


def code(title, body):
    return ["", f"## {title}", "", "```", body.strip(), "```"] if body.strip() else []


def write(work, out, gpu):
    # Of the device tests' log, the figures they state.
    figures = [line.split("MESSAGE:", 1)[1].strip() for line in text(work / "device.txt").splitlines()
               if "MESSAGE:" in line]
    info = program_info()
    checked, timed = parts(work), benchmarks(work)
    goals = targets(timed)
    training = text(work / "training.json").strip()
    report = {"gpu": gpu, "damc_info": info.splitlines(), "parts": checked, "figures": figures,
              "losses": text(work / "losses.txt").splitlines(),
              "resume": text(work / "resume.txt").splitlines(),
              "training": json.loads(training) if training else None, "goals": goals, "benchmarks": timed}
    bad = [p for p in checked if p["status"] not in ("passed", "skipped")]
    verdict = ", ".join(p["name"] + " " + p["status"] for p in bad) or "all passed"
    lines = [f"# GPU check: {gpu}", "", f"{verdict}.", "", "| part | result | seconds |", "| --- | --- | ---: |"]
    lines += [f"| {p['name']} | {p['status']} | {p['seconds']} |" for p in checked]
    lines += code("Self-test", text(work / "self_test.txt"))
    lines += code("Device tests", "\n".join(figures))
    lines += benchmark_lines(timed, goals)
    lines += code("Losses, CPU and GPU", text(work / "losses.txt"))
    lines += code("Resumed on the other device", text(work / "resume.txt"))
    lines += code("Training on MNIST", training + "\n" + text(work / "training.txt"))
    lines += code("This build and machine", info)
    for p in bad:
        lines += code(f"{p['name']}: {p['status']}", "\n".join(p["log"]))
    passed = sum(p["status"] == "passed" for p in checked)
    total = [f"{precision} {1e3 * row['seconds']:.1f}" for precision in PRECISIONS
             for key, row in rows(timed, "damc", "svhn", precision).items() if key[:2] == ("iteration", "total")]
    summary = (f"{gpu}: {passed} of {len(checked)} parts passed"
               + (f", not so: {verdict}" if bad else "")
               + (f"; svhn iteration, ms: {', '.join(total)}" if total else ""))
    lines += ["", summary]
    print(summary)
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
