#!/usr/bin/env python3
"""Prints what compare_peers.sh has measured as a table of Markdown: peers_table.py DIR

Rows for each preset and batch, of damc and of PyTorch at each of its settings: seconds of an
iteration and of its two longest parts, the median of the rounds and for the whole their range; how
many times damc's time in the same precision the whole takes.
"""

import json
import re
import statistics
import sys
from pathlib import Path

PARTS = ("total", "posterior_chain", "sampler_updates")


def rounds(folder):
    """{(preset, batch): {setting: [report of a round]}}."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        match = re.fullmatch(r"(.+)-(\d+)-((?:damc,)?(?:fp32|bf16)[a-z,-]*)-(\d+)", path.stem)
        if match:
            preset, batch, setting, _ = match.groups()
            settings = found.setdefault((preset, int(batch)), {})
            settings.setdefault(setting, []).append(json.loads(path.read_text()))
    return found


def seconds(reports, part):
    return [row["seconds"] for report in reports for row in report["results"] if row["part"] == part]


def main():
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("peers_table.py: error: name the folder that compare_peers.sh wrote")
    found = rounds(Path(sys.argv[1]))
    if not found:
        sys.exit(f"peers_table.py: error: no measurements in {sys.argv[1]}")
    any_report = next(iter(next(iter(found.values())).values()))[0]
    print(f"{any_report['machine']['name']}, {any_report['machine']['threads']} threads; seconds\n")
    print("| preset, batch | program | iteration | range | posterior chain | sampler updates | of damc's time in this precision |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    for (preset, batch), settings in found.items():
        own = {setting[-4:]: statistics.median(seconds(reports, "total"))
               for setting, reports in settings.items() if setting.startswith("damc,")}
        for setting in sorted(settings, key=lambda s: (not s.startswith("damc,"), s)):
            reports = settings[setting]
            total, chain, updates = (seconds(reports, part) for part in PARTS)
            words = setting.removeprefix("damc,")
            program = f"{reports[0]['machine']['program']} {words.replace(',', ', ')}"
            ratio = f"{statistics.median(total) / own[words[:4]]:.2f}" if words[:4] in own else ""
            print(f"| {preset}, {batch} | {program} | {statistics.median(total):.3f} | {min(total):.3f} to {max(total):.3f} | "
                  f"{statistics.median(chain):.3f} | {statistics.median(updates):.3f} | {ratio} |")


if __name__ == "__main__":
    main()
