"""Why starts of deployments are not requests: what stands between them, taken away step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis.records.reading import of_run
from analysis.records.recovery import Study
from analysis.records.rhythm import WEIGHTS, rhythm_of
from sim.entities import Federation
from sim.policies.base import Policies
from sim.policies.open_admission import OpenAdmission
from sim.runner import RunSpec, run_once
from sim.timeline import months_of
from sim.units import FloatArray

MORE_NODES = 100.0  # of every pool: nobody waits; assumed
REPLICATES = 8  # runs of each step


def _nobody_waits(federation: Federation) -> Federation:
    pools = {
        name: replace(
            pool, nodes_first=pool.nodes_first + MORE_NODES, nodes_top=pool.nodes_top + MORE_NODES
        )
        for name, pool in federation.pools.items()
    }
    return replace(federation, pools=pools)


def _nobody_is_cut_off(federation: Federation) -> Federation:
    pools = {
        name: replace(pool, outages_per_year=0.0, outages=())
        for name, pool in federation.pools.items()
    }
    return replace(federation, pools=pools)


def _nobody_goes_on(federation: Federation) -> Federation:
    return replace(federation, demand=replace(federation.demand, reuse_frac=0.0))


def _in(country: str) -> Callable[[Federation], Federation]:
    def moved(federation: Federation) -> Federation:
        cases = {
            name: replace(case, countries=(country,))
            for name, case in federation.use_cases.items()
        }
        return replace(federation, use_cases=cases)

    return moved


def rhythm_by_step(federation: Federation, policies: Policies, study: Study) -> pd.DataFrame:
    """Estimate the rhythm of starts while what stands between them and requests goes, one by one.

    Args:
        federation: As configured.
        policies: In force; from the second step on everybody is admitted.
        study: Says which months, in which time zone and country.

    Returns:
        A row for each step: step, its mean estimate of each of `WEIGHTS` over `REPLICATES` runs,
        and waited (share of deployments that did not start when they were asked for).
    """
    steps: list[tuple[str, Callable[[Federation], Federation]]] = [
        ("as configured", lambda f: f),
        ("nobody waits for a GPU", _nobody_waits),
        ("and nobody's work is cut off by an outage", _nobody_is_cut_off),
        ("and nobody goes on in a deployment held", _nobody_goes_on),
        ("and all users live in one country", _in(study.country)),
    ]
    rows = []
    for number, (name, change) in enumerate(steps):
        federation = change(federation)
        if number:
            policies = replace(policies, admission=OpenAdmission())
        tasks = (
            delayed(_once)(RunSpec(federation, policies, study.seed + 99, replicate), study)
            for replicate in range(REPLICATES)
        )
        found = np.mean(Parallel(n_jobs=study.jobs)(tasks), axis=0)
        rows.append((name, *found.tolist()))
    return pd.DataFrame(rows, columns=["step", *WEIGHTS, "waited"])


def _once(spec: RunSpec, study: Study) -> FloatArray:
    """Return the estimated weights of a run and the share of deployments that waited."""
    result, months = run_once(spec), months_of(study.window)
    records = of_run(result, months, study.time_zone)
    table = rhythm_of(records, spec.federation.demand.rhythm, study.country)
    edges = spec.federation.calendar.month_edges_h
    waited = [
        d.started_h > d.requested_h
        for d in result.logs.deployments
        if d.gpus and edges[months.start - 1] <= d.started_h < edges[months.stop - 1]
    ]
    return np.append(table["p50"].to_numpy(np.float64), np.mean(waited))
