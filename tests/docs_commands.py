"""Runs the commands of Markdown pages: `python -m tests.docs_commands README.md docs/*.md`.

Fenced `bash` blocks are run line by line (a trailing backslash continues a line), the blocks of a
page in one fresh directory. A block under `<!-- not run: reason -->` is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BLOCK = re.compile(r"(?:<!-- not run:(?P<reason>[^>]*)-->\s*)?```bash\n(?P<body>.*?)```", re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the commands of a page that are to be run.

    Raises:
        ValueError: When a block is left out without a reason.
    """
    found = []
    for block in BLOCK.finditer(text):
        if block["reason"] is not None:
            if not block["reason"].strip():
                raise ValueError("a block is left out without a reason")
            continue
        joined = block["body"].replace("\\\n", " ")
        found += [c.strip() for c in joined.splitlines() if c.strip() and not c.startswith("#")]
    return found


def run_page(page: Path) -> bool:
    """Run the commands of one page; True if all succeeded."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(page.read_text(encoding="utf-8")):
            began = time.monotonic()
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            print(f"{page}: {command}  [{time.monotonic() - began:.1f} s]", flush=True)
            if done.returncode:
                tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
                print(f"{page}: exit code {done.returncode}\n{tail}", file=sys.stderr)
                return False
    return True


def main() -> None:
    """Run all pages named on the command line."""
    results = [run_page(Path(name)) for name in sys.argv[1:]]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
