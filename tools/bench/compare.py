#!/usr/bin/env python3
"""Prints two benchmark results side by side: compare.py A.json B.json

The last column is B's time over A's: how many times faster A is. Rows are matched by suite, name,
part and batch, so a CPU's and a GPU's results can be compared too.

What `damc bench --floors --json` wrote holds floors: in the place of a time stands the largest of
compute, memory and launches (as nodes of a CUDA graph), in the place of a rate its name. With the
floors as B, the last column is how much of what is possible A reaches.
"""

import argparse
import json
import sys
from pathlib import Path


def load(path):
    """The report and its rows by (suite, name, part, batch)."""
    key = ("suite", "name", "part", "batch")
    try:
        report = json.loads(Path(path).read_text())
        return report, {tuple(row[k] for k in key): row for row in report["results"]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.exit(f"compare.py: error: {path} holds no benchmark results: {error}")


def floor(row):
    """The seconds that a row's work takes at least, and what sets them."""
    floors = row["floors"]
    limits = {"compute": floors["compute"], "memory": floors["memory"],
              "launches": floors["launches_graph"]}
    limit = max(limits, key=limits.get)
    return limits[limit], limit


def timing(row):
    """Seconds of one row, and its rate or limit as text."""
    if "floors" in row:
        return floor(row)
    rate = row.get("gflops")
    return row["seconds"], f"{rate:.1f}" if rate else "-"


def cell(row):
    """A row's timing, or a blank."""
    if row is None:
        return f"{'-':>12} {'-':>9}"
    seconds, beside = timing(row)
    return f"{seconds:12.6f} {beside:>9}"


def main():
    parser = argparse.ArgumentParser(description="Prints two benchmark results side by side.")
    parser.add_argument("a", metavar="A.json")
    parser.add_argument("b", metavar="B.json")
    args = parser.parse_args()
    (report_a, a), (report_b, b) = load(args.a), load(args.b)
    for label, report in (("A", report_a), ("B", report_b)):
        words = [f"{k}={v}" for k, v in report["machine"].items()]
        if "gemm_gflops" in report:
            words.append(f"gemm_gflops={report['gemm_gflops']:.1f}")
        print(f"{label}: {' '.join(words)}")
    width = max((len(f"{k[1]} {k[2]}") for k in {**a, **b}), default=0)
    print(f"\n{'suite':10} {'name part':{width}} {'batch':>5} {'A s':>12} {'GFLOP/s':>9} "
          f"{'B s':>12} {'GFLOP/s':>9} {'B/A':>8}")
    for key in {**a, **b}:
        suite, name, part, batch = key
        both = key in a and key in b
        ratio = f"{timing(b[key])[0] / timing(a[key])[0]:8.2f}" if both else f"{'-':>8}"
        print(f"{suite:10} {name + ' ' + part:{width}} {batch:5} {cell(a.get(key))} "
              f"{cell(b.get(key))} {ratio}")


if __name__ == "__main__":
    main()
