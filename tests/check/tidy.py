"""Runs clang-tidy over the product's sources, two at a time: tidy.py BUILD_FOLDER."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
build = sys.argv[1]
sources = [f for f in sorted((ROOT / "src").rglob("*.cpp"))
           if not f.name.endswith(("_test.cpp", "_fuzz.cpp"))]


def tidy(source):
    done = subprocess.run(["clang-tidy-16", "-p", build, "--quiet", "--warnings-as-errors=*",
                           "--extra-arg=-Wno-unknown-warning-option",
                           "--extra-arg=-Wno-ignored-optimization-argument", str(source)],
                          capture_output=True, text=True, cwd=ROOT)
    return source, done.returncode, done.stdout


failed = 0
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for source, code, output in pool.map(tidy, sources):
        if code != 0:
            failed += 1
            print(f"{source.relative_to(ROOT)}\n{output}")
print(f"dev: clang-tidy: {len(sources)} files, {failed} with findings")
sys.exit(1 if failed else 0)
