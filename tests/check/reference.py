"""Fails when config/reference.md is not what the program prints: reference.py TOCSIN."""
import pathlib
import subprocess
import sys

path = pathlib.Path(__file__).resolve().parents[2] / "config" / "reference.md"
printed = subprocess.run([sys.argv[1], "check", "--reference"], check=True, capture_output=True,
                         text=True).stdout
if path.read_text() != printed:
    sys.exit(f"{path} is stale: tocsin check --reference > config/reference.md")
