"""The table of policies in the docs: written from conf/policy, checked in CI.

`python -m analysis.policies_page` fills in docs/policies.md, `--check` fails if it is not current.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from analysis.pages import write_or_check

PAGE = Path("docs") / "policies.md"


def packaged() -> dict[str, list[Path]]:
    """Return the files of the policies that ship with the package, by kind."""
    root = Path(str(files("conf"))) / "policy"
    return {kind.name: sorted(kind.glob("*.yaml")) for kind in sorted(root.iterdir())}


def section(kind: str, options: list[Path]) -> str:
    """Return the options of a kind with their parameters, as their files say them."""
    lines = [f"### `policy/{kind}`"]
    for path in options:
        first, _, *parameters = path.read_text(encoding="utf-8").strip().splitlines()
        lines += ["", f"**`{path.stem}`**: {first.removeprefix('# ')}"]
        if parameters:
            lines += ["", "| parameter | default | unit; source |", "|---|---|---|"]
        for line in parameters:
            value, _, comment = line.partition("  # ")
            name, _, default = value.partition(": ")
            lines.append(f"| `{name.strip()}` | {default or '-'} | {comment or '-'} |")
    return "\n".join(lines)


def main() -> None:
    """Write the page, or check."""
    every = "\n\n".join(section(kind, options) for kind, options in packaged().items())
    write_or_check(PAGE, {"policies": every}, "conf/policy", "analysis.policies_page")


if __name__ == "__main__":
    main()
