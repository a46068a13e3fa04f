"""Runs every fuzz target for a while on a copy of its corpus: run.py BUILD_FOLDER SECONDS."""
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
build, seconds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
targets = sorted(f.stem for folder in ("src", "tests/fuzz")
                 for f in (ROOT / folder).rglob("*_fuzz.cpp"))


def fuzz(target):
    seeds = ROOT / "tests" / "fuzz" / "corpus" / target
    with tempfile.TemporaryDirectory() as work:
        # A copy: a run may grow its corpus, never the tree's.
        corpus = pathlib.Path(work) / "corpus"
        if seeds.is_dir():
            shutil.copytree(seeds, corpus)
        else:
            corpus.mkdir()
        found = subprocess.run(
            [build / target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
             "-print_final_stats=1", f"-artifact_prefix={build}/{target}-", corpus],
            capture_output=True, text=True, errors="replace", cwd=work)
    runs = re.search(r"number_of_executed_units: (\d+)", found.stderr)
    return target, found.returncode, int(runs.group(1)) if runs else 0, found.stderr


failed = 0
if not targets:
    sys.exit("no fuzz targets")
missing = [target for target in targets if not (build / target).exists()]
if missing:
    sys.exit(f"not built: {', '.join(missing)}")
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for target, code, runs, log in pool.map(fuzz, targets):
        print(f"dev: {target}: {runs} executions, {'ok' if code == 0 and runs else 'FAILED'}", flush=True)
        if code != 0 or runs == 0:
            failed += 1
            print(log[-4000:])
print(f"{len(targets) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
