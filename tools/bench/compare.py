#!/usr/bin/env python3
"""Prints two benchmark results side by side: compare.py A.json B.json

The last column is B's time over A's: how many times faster A is. Rows are matched by suite, name,
part and batch, so a CPU's and a GPU's results can be compared too.
"""

import argparse
import json
from pathlib import Path


def load(path):
    """The report and its rows by (suite, name, part, batch)."""
    report = json.loads(Path(path).read_text())
    key = ("suite", "name", "part", "batch")
    return report, {tuple(row[k] for k in key): row for row in report["results"]}


def cell(row):
    """Seconds and rate of one row, or a blank."""
    if row is None:
        return f"{'-':>12} {'-':>9}"
    rate = row.get("gflops")
    return f"{row['seconds']:12.6f} " + (f"{rate:9.1f}" if rate else f"{'-':>9}")


def main():
    parser = argparse.ArgumentParser(description="Prints two benchmark results side by side.")
    parser.add_argument("a", metavar="A.json")
    parser.add_argument("b", metavar="B.json")
    args = parser.parse_args()
    (report_a, a), (report_b, b) = load(args.a), load(args.b)
    for label, report in (("A", report_a), ("B", report_b)):
        words = " ".join(f"{k}={v}" for k, v in report["machine"].items())
        print(f"{label}: {words} gemm_gflops={report['gemm_gflops']:.1f}")
    width = max((len(f"{k[1]} {k[2]}") for k in {**a, **b}), default=0)
    print(f"\n{'suite':10} {'name part':{width}} {'batch':>5} {'A s':>12} {'GFLOP/s':>9} "
          f"{'B s':>12} {'GFLOP/s':>9} {'B/A':>8}")
    for key in {**a, **b}:
        suite, name, part, batch = key
        both = key in a and key in b
        ratio = f"{b[key]['seconds'] / a[key]['seconds']:8.2f}" if both else f"{'-':>8}"
        print(f"{suite:10} {name + ' ' + part:{width}} {batch:5} {cell(a.get(key))} "
              f"{cell(b.get(key))} {ratio}")


if __name__ == "__main__":
    main()
