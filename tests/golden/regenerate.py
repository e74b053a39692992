"""Writes the golden results of the tiny federation: `make golden`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sim
from sim.paths import with_value
from sim.runner import RunSpec, run_once
from sim.units import LEDGERS, RESOURCES
from tests import configured

GOLDEN = Path(__file__).with_name("tiny.json")
LAWS = ("saturating", "deployed")


def results() -> dict[str, Any]:
    """Return the monthly totals of one run, by growth law, resource, ledger and site."""
    tiny, policies = configured.federation("tiny"), configured.policies()
    found: dict[str, Any] = {"model_version": sim.MODEL_VERSION}
    for law in LAWS:
        usage = run_once(RunSpec(with_value(tiny, "growth.law", law), policies, seed=0)).usage
        for resource in RESOURCES:
            for ledger in LEDGERS:
                monthly = usage.monthly(resource, ledger).T.tolist()
                for site, quantities in zip(usage.sites, monthly, strict=True):
                    found[f"{law}/{resource}/{ledger}/{site}"] = quantities
    return found


def main() -> None:
    """Write the results of the model as it is now."""
    GOLDEN.write_text(json.dumps(results(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
