"""The micro benchmarks as a table."""

import json
import os
import subprocess


def table(build):
    done = subprocess.run(
        [os.path.join(build, "tocsin_bench_micro"), "--benchmark_min_time=0.1",
         "--benchmark_format=json"], capture_output=True, text=True, timeout=600, check=False)
    lines = ["| benchmark | ns | M items/s | MB/s |", "|---|---|---|---|"]
    to_ns = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    for row in json.loads(done.stdout)["benchmarks"]:
        items = row.get("items_per_second")
        size = row.get("bytes_per_second")
        lines.append(f"| {row['name']} | {row['real_time'] * to_ns[row['time_unit']]:,.1f} | "
                     f"{'' if items is None else f'{items / 1e6:,.2f}'} | "
                     f"{'' if size is None else f'{size / 1e6:,.0f}'} |")
    return "\n".join(lines)
