"""Includes point only downwards (src/README.md), and stages never include each other."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVEL = {"base": 0, "io": 1, "protocol": 1, "store": 1, "flow": 2, "stages": 3, "control": 4, "app": 5, "cli": 6}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def room(path):
    parts = path.split("/")
    if parts[0] == "stages":
        return "stages", parts[1]
    return parts[0], None


def is_test(name):
    file = name.split("/")[-1]
    return (file.endswith(("_test.cpp", "_test.hpp", "_fuzz.cpp")) or file.startswith(("test_", "fake_"))
            or "_test_" in file)


def violations():
    for file in sorted((ROOT / "src").rglob("*.?pp")):
        name = str(file.relative_to(ROOT / "src"))
        test = is_test(name)
        here, stage = room(name)
        for included in INCLUDE.findall(file.read_text()):
            there, other_stage = room(included)
            if is_test(included) and not test:
                yield f"src/{name}: product code includes the test header \"{included}\""
            if there not in LEVEL:
                if not (test and included.startswith("tests/")):
                    yield f"src/{name}: \"{included}\" is not below src/"
            elif LEVEL[there] > LEVEL[here] or (LEVEL[there] == LEVEL[here] and there != here):
                # A unit test may use the simulated I/O and what its room is made of, nothing above.
                yield f"src/{name}: includes \"{included}\", which is not below {here}/"
            elif here == there == "stages" and stage != other_stage and not test:
                yield f"src/{name}: stage {stage} includes stage {other_stage}"
    for file in sorted((ROOT / "include").rglob("*.hpp")):
        for included in INCLUDE.findall(file.read_text()):
            yield f"{file.relative_to(ROOT)}: public header includes \"{included}\""


found = list(violations())
print("\n".join(found) if found else "dev: includes point downwards")
sys.exit(1 if found else 0)
