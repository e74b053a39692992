"""Writes the table of priors into docs/methods.md: `python -m analysis.methods_page`.

The table comes from the reference case's priors.yaml, so that the page and the calibration cannot
say different things. `--check` only checks that the page is current.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.calibration.priors import Priors, quantile_to_z
from analysis.federations import packaged, read_yaml
from analysis.pages import write_or_check
from analysis.report import markdown_table
from sim.config import build

PAGE = Path("docs") / "methods.md"
FEDERATION = "imagine"
ENDS = (0.05, 0.95)  # of the range that is shown


def shortened(paths: Sequence[str]) -> str:
    """Write paths as one where they differ in one step only.

    >>> shortened(["pools.a.nodes_top", "pools.b.nodes_top"])
    'pools.{a, b}.nodes_top'
    >>> shortened(["growth.headroom"])
    'growth.headroom'
    """
    steps = [path.split(".") for path in paths]
    if len({len(s) for s in steps}) > 1:
        return ", ".join(paths)
    names = [list(dict.fromkeys(at)) for at in zip(*steps, strict=True)]
    if sum(len(at) > 1 for at in names) > 1:
        return ", ".join(paths)
    return ".".join(at[0] if len(at) == 1 else f"{{{', '.join(at)}}}" for at in names)


def two_digits(value: float) -> str:
    """Write a number with two digits that count, without an exponent.

    >>> two_digits(154.2), two_digits(9.84), two_digits(0.0176)
    ('150', '9.8', '0.018')
    """
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10.0 else f"{rounded:g}"


def priors_table(priors: Priors) -> str:
    """Return the priors as Markdown, a row for each parameter; ranges are of the cut-off prior."""
    rows = []
    for name, prior in priors.priors.items():
        low, high = (float(x) for x in prior.value(quantile_to_z(np.array(ENDS))))
        times = "× " if prior.mode == "scale" else ""
        law = f" (law `{prior.law}`)" if prior.law else ""
        rows.append(
            {
                "parameter": f"`{name}`",
                "sets": f"{times}`{shortened(prior.paths)}`{law}",
                "distribution, sigma": f"{prior.distribution}, {prior.sigma:g}",
                "median": f"{prior.median:g}",
                "90 % range": f"{two_digits(low)} to {two_digits(high)}",
                "unit": prior.unit,
                "source": prior.source,
            }
        )
    return markdown_table(pd.DataFrame(rows))


def shipped_priors() -> Priors:
    """Return the priors of the reference case.

    Raises:
        ConfigError, DataError: For the first thing in the file that cannot be used.
    """
    return build(Priors, read_yaml(packaged()[FEDERATION] / "priors.yaml"), "priors.yaml")


def tables() -> dict[str, str]:
    """Return the blocks of the page by their marks."""
    return {"priors": priors_table(shipped_priors())}


def main() -> None:
    """Write the page, or check."""
    write_or_check(PAGE, tables(), "priors.yaml", "analysis.methods_page")


if __name__ == "__main__":
    main()
