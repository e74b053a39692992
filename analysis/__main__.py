"""Where `aiaas` begins: ready for Ctrl-C before the imports, which take seconds."""

from __future__ import annotations

import sys

from analysis.stopping import asked, listen


def main() -> None:
    """Run the verb named on the command line and exit with its code."""
    listen()
    try:
        from analysis.cli import run
    except BaseException:
        if not asked():
            raise
        sys.stderr.write("aiaas: interrupted before anything began\n")
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
