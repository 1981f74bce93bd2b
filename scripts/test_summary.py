"""Adds up JUnit files: test_summary.py SECONDS NAME=FILE.xml... Exit 1 where anything failed."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count(path: Path) -> tuple[int, int, int]:
    """Tests passed, failed and not run; a file that is missing counts as one failure."""
    if not path.exists():
        return 0, 1, 0
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main(seconds: str, *suites: str) -> int:
    parts, total_failed = [], 0
    for suite in suites:
        name, path = suite.split("=", 1)
        passed, failed, skipped = count(Path(path))
        # A suite without tests has shown nothing.
        failed += passed + failed == 0
        total_failed += failed
        parts.append(
            f"{name}: {passed} passed, {failed} failed"
            + (f", {skipped} not run" if skipped else "")
        )
    minutes, rest = divmod(int(seconds), 60)
    verdict = "FAILED" if total_failed else "Shown: all tests pass"
    print(f"{verdict}. {'; '.join(parts)} ({minutes} min {rest} s).")
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
