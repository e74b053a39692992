"""Writes the golden results of the shipped federations: `make golden`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sim
from sim.paths import with_value
from sim.runner import RunSpec, run_once
from sim.units import LEDGERS, RESOURCES
from tests import configured

GOLDEN = Path(__file__).with_name("results.json")
LAWS = ("saturating", "deployed")


def results() -> dict[str, Any]:
    """Return totals of one run each, by federation, growth law, resource, ledger and site.

    Monthly for the tiny federation; half-yearly for the reference case, where users wait, quotas
    bind, pools fail and stores migrate.
    """
    policies = configured.policies()
    found: dict[str, Any] = {"model_version": sim.MODEL_VERSION}
    for name, months in (("tiny", 1), ("imagine", 6)):
        for law in LAWS:
            federation = with_value(configured.federation(name), "growth.law", law)
            usage = run_once(RunSpec(federation, policies, seed=0)).usage
            for resource in RESOURCES:
                for ledger in LEDGERS:
                    monthly = usage.monthly(resource, ledger)
                    totals = monthly.reshape(-1, months, len(usage.sites)).sum(axis=1)
                    for site, quantities in zip(usage.sites, totals.T.tolist(), strict=True):
                        found[f"{name}/{law}/{resource}/{ledger}/{site}"] = quantities
    return found


def main() -> None:
    """Write the results of the model as it is now."""
    GOLDEN.write_text(json.dumps(results(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
