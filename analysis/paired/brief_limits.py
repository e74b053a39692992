"""What the brief does not know, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.paired.brief_words import Comparison, listed, number
from analysis.paired.figures_look import idle_word
from analysis.paired.tables import PRECISION, WORLDS
from analysis.wording import thousands


def caveats(main: Comparison, idleness: Sequence[str]) -> str:
    """Return the section of caveats.

    Args:
        main: The comparison.
        idleness: Sentences on what the reported figures say of idleness.
    """
    lines = [
        *idleness,
        _totals(main),
        "No effect of auto-release measured before and after is published to check this against.",
        _assumed(main),
        "Worlds lack what a projection adds for errors of the model (its discrepancy), which "
        "moves levels: read savings as shares of what is held, too.",
        _known(main),
    ]
    return "## Caveats\n\n" + "\n".join(f"- {line}" for line in lines if line)


def _totals(main: Comparison) -> str:
    """Say how well totals stay the same under the priors of idleness."""
    worlds = main.tables[WORLDS.file]
    parts = []
    for idle in main.idles:
        rows = worlds[(worlds["idle"] == idle) & (worlds["hypothesis"] == main.reading)]
        ends = dict.fromkeys(f"{end:.2f}" for end in (rows["ratio"].min(), rows["ratio"].max()))
        parts.append(f"{' to '.join(ends)} under {idle_word(idle)}")
    return ("Priors of idleness hardly change allocated GPU-h: over those with idleness as "
            f"calibrated they are {listed(parts)} (means, without a policy).")


def _assumed(main: Comparison) -> str:
    """Name what is assumed of the policy, with medians."""
    uncertain: Mapping[str, Mapping[str, Any]] = main.facts["uncertain"]
    if not uncertain:
        return ""
    parts = [f"`{path.rsplit('.', 1)[-1]}` {thousands(float(of['median']), 3)} {of['unit']}"
             for path, of in uncertain.items()]
    return ("Drawn from priors that the scenario states and mostly assumes; medians: "
            f"{listed(parts)}.")


def _known(main: Comparison) -> str:
    """Say how well means are known."""
    rows = main.tables[PRECISION.file]
    worst = number(100.0 * float(rows["half_width"].max()))
    return (f"Mean differences in allocated GPU-h are known to ±{worst} % of the baseline's mean "
            "or better (90 % confidence).")


def provenance(main: Comparison, others: Mapping[str, Comparison]) -> str:
    """Return the section that says what was run."""
    lines = [_run(name, c) for name, c in {main.facts["scenario"]: main, **others}.items()]
    return "## Provenance\n\n" + "\n".join(f"- {line}" for line in lines)


def _run(name: str, comparison: Comparison) -> str:
    facts = comparison.facts
    changed = " (with changes that are not committed)" if facts["dirty"] else ""
    commit = f"commit {facts['commit'][:12]}{changed}" if facts["commit"] else "commit unknown"
    return (
        f"`aiaas compare federation={facts['federation']} scenario={name} draws={facts['draws']} "
        f"seed={facts['seed']}`: config hash {facts['config_hash']}, "
        f"{thousands(facts['worlds'])} worlds for each prior of {len(comparison.variants) + 1} "
        f"variants, model version {facts['model_version']}, {commit}."
    )
