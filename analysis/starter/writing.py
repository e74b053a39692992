"""Writes the files of a new federation: commented YAML, CSV and a README, from facts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from math import isfinite
from string import Template

from analysis.observations import COLUMNS
from analysis.starter.behaviour import demand_defaults
from analysis.starter.facts import Facts, Number, WorkFacts
from analysis.starter.fitted import priors
from analysis.storing import inert
from analysis.wording import escaped
from sim.units import UNIT_OF

TEMPLATES = ("federation.yaml", "use_cases.yaml", "priors.yaml", "hypotheses.yaml", "data.yaml",
             "policies.yaml", "README.md")  # fmt: skip
PHASES = ("onboarding", "prototyping", "training", "validation", "serving")
SAYS = {
    "batch": "jobs end with their script, so nothing is held idle",
    "platform": "deployments are held until they are released, some are forgotten",
}
INDENT = "  "


def texts(facts: Facts, path: str) -> dict[str, str]:
    """Return the text of each file by name.

    Args:
        facts: What they say.
        path: How the folder is called on the command line.
    """
    values = {**_calendar(facts), **_entities(facts), **_work(facts), **_fitting(facts),
              **_readme(facts, path)}  # fmt: skip
    root = files("analysis.starter") / "templates"
    found = {}
    for name in TEMPLATES:
        if name == "data.yaml" and not facts.data:
            continue
        template = Template((root / name).read_text(encoding="utf-8"))
        found[name] = template.substitute(values)
    found["observations.csv"] = observations(facts)
    return {**found, "residuals.csv": facts.residuals} if facts.residuals else found


def number(value: float) -> str:
    """Return a number as YAML reads it: six significant digits, never as an integer.

    >>> number(12.0), number(0.0000123), number(1234567.0)
    ('12.0', '0.0000123', '1234570.0')
    """
    if not isfinite(value):
        raise ValueError(value)
    text = f"{float(f'{value:.6g}'):.10f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def quoted(text: str) -> str:
    """Return a text as YAML and configuration read it: quoted, never an interpolation."""
    return json.dumps(text.replace("${", "$ {"), ensure_ascii=True)


def said(text: str) -> str:
    """Return a text for a comment: one line, nothing that ends it."""
    return "".join(c if c.isprintable() else " " for c in text)[:120].replace("${", "$ {")


def observations(facts: Facts) -> str:
    """Return the totals as `observations.csv` and what they add up to."""
    names = list(facts.sites)
    rows: list[tuple[str, ...]] = []
    for t in facts.totals:
        period = t.period.lower().replace("-", "_")
        key = f"s{names.index(t.site) + 1}_{t.resource}_{period}"
        rows.append((key, "init", f"{t.site} {t.resource.upper()}", t.site, "usage", t.resource,
                     t.ledger, t.period, _digits(t.quantity), t.unit, t.note))  # fmt: skip
    for resource in dict.fromkeys(t.resource for t in facts.totals):
        rows += _cumulative(facts, resource)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([inert(cell) for cell in row] for row in rows)
    return out.getvalue()


def _digits(quantity: float) -> str:
    """Return a quantity with six decimals, so that sums of what is written add up."""
    return f"{quantity:.6f}"


def _cumulative(facts: Facts, resource: str) -> Iterable[tuple[str, ...]]:
    mine = [t for t in facts.totals if t.resource == resource]
    used = 0.0
    for first in range(1, facts.reported_months + 1, facts.period_months):
        last = first + facts.period_months - 1
        added = [t.quantity for t in mine if t.period == f"M{first}-M{last}"]
        used += sum(float(_digits(q)) for q in added)
        yield (f"cumulative_{resource}_m{last}", "init", "all", "all", "cumulative", resource,
               mine[0].ledger, f"M1-M{last}", _digits(used), UNIT_OF[resource],
               "sum of what the sites told")  # fmt: skip


def _calendar(facts: Facts) -> dict[str, str]:
    month = facts.start.year * 12 + facts.start.month - 1 + facts.reported_months
    source = "whole months that the data cover" if facts.data else "made up"
    return {
        "name": said(facts.name), "quoted_name": quoted(facts.name), "start": str(facts.start),
        "months": str(facts.months), "period_months": str(facts.period_months),
        "reported_months": str(facts.reported_months), "reported_source": source,
        "to_come": f"{month // 12:04d}-{month % 12 + 1:02d}-01",
        "from_": f" from {said(facts.data)}" if facts.data else "",
        "country_source": said(facts.country_source),
    }  # fmt: skip


def _entities(facts: Facts) -> dict[str, str]:
    told = dict.fromkeys((t.site, t.resource) for t in facts.totals)
    installed = [
        f"{quoted(f'{site} {resource.upper()}')}: {{site: {quoted(site)}, resource: {resource}}}"
        for site, resource in told
    ]
    pools = []
    for p in facts.pools:
        pools += [
            f"{quoted(p.name)}:",
            f"  site: {quoted(p.site)}",
            f"  gpu_model: {quoted(said(p.gpu_model))}",
            f"  gpus_per_node: {p.gpus_per_node}  # GPU; assumed",
            f"  cores_per_node: {p.cores_per_node}  # core; assumed, never scarcer than GPUs",
            f"  ram_gb_per_node: {p.ram_gb_per_node}  # GB; assumed likewise",
            f"  nodes_first: {_noted(p.nodes, 'nodes')}",
            f"  nodes_top: {_noted(p.nodes, 'nodes')}",
            f"  joined: {facts.start}",
            "  left: null",
            f"  weight: {_noted(p.weight, 'relative')}",
        ]
    cases = []
    country = next(iter(facts.time_zones))
    for c in facts.use_cases:
        cases += [
            f"{quoted(c.name)}:  # {said(c.says)}",
            f"  joins: {c.joins}",
            f"  users: {int(c.users.value)}  # user; {c.users.source}",
            f"  users_join_months: {_noted(c.users_join_months, 'months')}",
            f"  countries: [{country}]",
            "  pace: 1.0  # factor; phases are alike",
            "  dataset_weight: 0.0  # relative; no stores",
            "  models: 0  # model; not told",
            "  application: null",
        ]
    return {
        "sites": _block(f"{quoted(s)}: {c}" for s, c in facts.sites.items()),
        "time_zones": _block(f"{c}: {quoted(z)}" for c, z in facts.time_zones.items()),
        "installations": _block(installed), "pools": _block(pools), "use_cases": _block(cases),
        "what": "projects, users or all in one, as the data name them" if facts.data else "made up",
    }  # fmt: skip


def _work(facts: Facts) -> dict[str, str]:
    w = facts.work
    frac = number(w.gpu_frac.value)
    alike = "months: 6.0, months_sigma: 0.0, intensity: 1.0, work_scale: 1.0, data_frac: 0.0"
    phases = [
        f"{p}: {{{alike}, gpu_frac: {frac}, models: false}}  # months, -, factor, factor, share, "
        f"probability; assumed, gpu_frac {w.gpu_frac.source}"
        for p in PHASES
    ]
    rhythm = [f"  {k}: {_noted(n, 'relative')}" for k, n in w.rhythm.items()]
    return {
        "phases": _block(phases), "rate": _noted(w.requests_per_user_week, "1/week"),
        "gpus": _weights("gpus", w.gpus), "cores": _weights("cores", w.cores),
        "ram_gb": str(w.ram_gb), "weights_source": w.source_of_weights,
        "work": _block(_lengths(w)), "rhythm": _block(rhythm),
    }  # fmt: skip


def _lengths(work: WorkFacts) -> list[str]:
    units = {"burst_h": "h, median", "burst_sigma": "shape", "gap_h": "h, median",
             "hold_h": "h, median"}  # fmt: skip
    lines = [f"{k}: {_noted(n, units[k])}" for k, n in work.hours.items()]
    if work.template == "batch":
        lines += [
            "bursts_mean: 1.0  # bursts a request; batch: one script, no pauses",
            "forget_frac: 0.0  # probability; batch: a job ends with its script",
            "prompt_delay_h: 0.0  # h; likewise",
            "reuse_frac: 0.0  # probability; likewise",
            "patience_h: 8760.0  # h, mean wait before a job is withdrawn; assumed: jobs wait",
            "restart_delay_h: 0.0  # h; assumed: the queue starts them again",
            "checkpoint_gb: 0.0  # GB; no stores",
        ]
    return lines


def _fitting(facts: Facts) -> dict[str, str]:
    noise = (facts.reporting_error_frac**2 + facts.scatter**2) ** 0.5
    source = f"reporting error {facts.reporting_error_frac:g} (assumed)"
    if facts.scatter:
        source += f" and what totals scatter between periods, {facts.scatter:.2g} (from the data)"
    ledger = {t.resource: t.ledger for t in facts.totals}
    sites = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in facts.site_of.items())
    return {
        "priors": _block(priors(facts)), "noise": number(noise), "noise_source": source,
        "gpu_ledger": ledger.get("gpu", "allocated"), "cpu_ledger": ledger.get("cpu", "allocated"),
        "covers": facts.covers or "null", "gaps": f"[{', '.join(facts.gaps)}]",
        "shortest_min": str(facts.work.shortest_min),
        "fits": "all" if facts.work.jobs_per_request == 1 else "totals", "site_of": f"{{{sites}}}",
    }  # fmt: skip


def _readme(facts: Facts, path: str) -> dict[str, str]:
    shortest = facts.work.shortest_min
    says = f"jobs shorter than {shortest} min are not played one by one" if shortest else (
        "all jobs are played one by one"
    )
    return {
        "path": path, "data": f" data={facts.data}" if facts.data else "",
        "template": facts.work.template, "template_says": SAYS[facts.work.template],
        "notes": "\n".join(f"- {escaped(note)}" for note in facts.notes), "shortest_says": says,
    }  # fmt: skip


def _noted(value: Number, unit: str) -> str:
    return f"{number(value.value)}  # {unit}; {said(value.source)}"


def _weights(name: str, weights: Mapping[int, float]) -> str:
    """Return weights; those that conf/behaviour.yaml has and nobody asks for are 0."""
    weights = dict(sorted({**dict.fromkeys(demand_defaults()[name], 0.0), **weights}.items()))
    return "{" + ", ".join(f"{n}: {number(w)}" for n, w in weights.items()) + "}"


def _block(lines: Iterable[str]) -> str:
    return "\n".join(INDENT + line for line in lines)
