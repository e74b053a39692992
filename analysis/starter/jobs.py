"""What jobs say of a new federation: use cases, nodes, and how much work there is.

All jobs are in memory at once, texts as numbers of their words: about 300 bytes a job at the most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from analysis.accounts.opening import Accounts
from analysis.starter.asked import NODE_GPUS, Asked
from analysis.starter.facts import ASSUMED, FROM_DATA, Number, PoolFacts, UseCaseFacts
from analysis.starter.span import Span
from sim.units import MONTH_H, FloatArray

TEXTS = ("user", "project", "site", "gpu_model", "kind")
COLUMNS = (*TEXTS, "start_utc", "end_utc", "gpus", "cpus")
CORES, RAM_GB = 64, 256  # of a node without GPUs; assumed
SHORTEST_MIN = (0, 1, 2, 5, 10, 20, 30, 60)  # tried in this order
ALL, OTHERS, NOT_TOLD = "all", "others", "not-told"


def jobs_of(accounts: Accounts, names: dict[str, str]) -> pd.DataFrame:
    """Return the jobs that were placed: TEXTS (as categories), start, end, held_h, gpus, cpus.

    Jobs that still run end at the last moment known; `site` is the federation's.
    """
    path = accounts.folder / "jobs.parquet"
    table = pq.read_table(path, columns=list(COLUMNS), read_dictionary=list(TEXTS))
    jobs: pd.DataFrame = table.to_pandas()
    jobs = jobs[jobs["start_utc"].notna()].reset_index(drop=True)
    start = jobs.pop("start_utc").dt.tz_convert(None)
    until = pd.NaT if accounts.until is None else accounts.until.tz_convert(None)
    end = jobs.pop("end_utc").dt.tz_convert(None).fillna(until)
    jobs["start"], jobs["end"] = start, np.maximum(end, start)
    jobs["held_h"] = (jobs["end"] - jobs["start"]) / pd.Timedelta(hours=1)
    jobs["site"] = jobs["site"].astype(str).map(names).astype("category")
    for name in TEXTS:
        jobs[name] = jobs[name].astype("category")
    return jobs


def node_gpus(jobs: pd.DataFrame, asked: Asked) -> int:
    """Return the GPUs of a node."""
    most = float(jobs["gpus"].max()) if len(jobs) else 0.0
    return asked.gpus_per_node or (NODE_GPUS[1] if most > NODE_GPUS[0] else NODE_GPUS[0])


@dataclass(frozen=True)
class Modelled:
    """The jobs that requests are made like.

    Args:
        held_h: Length of each, those over several nodes once a node.
        gpus: GPUs of each.
        without: Jobs without GPUs.
        shortest_min: Shorter ones are not modelled.
        lost_frac: Share of GPU-h in those.
    """

    held_h: FloatArray
    gpus: FloatArray
    without: FloatArray
    shortest_min: int
    lost_frac: float

    @property
    def requests(self) -> int:
        """How many requests they are."""
        return len(self.held_h) + len(self.without)


def modelled(jobs: pd.DataFrame, span: Span, node: int, asked: Asked) -> Modelled:
    """Return the jobs of the reported months that are modelled, and how short they may be."""
    begins, ends = (t.tz_convert(None) for t in (span.begins, span.ends))
    mine = jobs[(jobs["start"] >= begins) & (jobs["start"] < ends) & (jobs["kind"] != "infer")]
    gpus, held = mine["gpus"].to_numpy(np.float64), mine["held_h"].to_numpy(np.float64)
    nodes = np.maximum(np.ceil(gpus / node), 1.0).astype(np.int64)
    total = max(float((gpus * held).sum()), 1e-9)
    longer = span.calendar.months / span.reported
    best = Modelled(held[:0], gpus[:0], held[:0], 0, 0.0)
    fixed = asked.shortest_min
    for shortest in SHORTEST_MIN if fixed is None else (fixed,):
        keep = held >= shortest / 60.0
        lost = 1.0 - float((gpus * held)[keep].sum()) / total if gpus.any() else 0.0
        if fixed is None and shortest and lost > asked.most_lost_frac:
            break
        some = keep & (gpus > 0.0)
        best = Modelled(
            np.repeat(held[some], nodes[some]), np.repeat((gpus / nodes)[some], nodes[some]),
            held[keep & (gpus == 0.0)], shortest, max(lost, 0.0),
        )  # fmt: skip
        if best.requests * longer <= asked.most_requests:
            break
    return best


def pools_of(
    jobs: pd.DataFrame, span: Span, node: int, cores: int, asked: Asked
) -> list[PoolFacts]:
    """Return the nodes that the most GPUs held at once need, and those of jobs without GPUs.

    Args:
        jobs: From `jobs_of`.
        span: The months; later and earlier jobs do not count.
        node: GPUs of a node.
        cores: Most cores of a request.
        asked: Says the headroom.
    """
    found = []
    held = jobs[(jobs["gpus"] > 0.0)]
    share = float((held["gpus"] * held["held_h"]).sum())
    for (site, model), mine in held.groupby(["site", "gpu_model"], observed=True, sort=True):
        peak = most_at_once(mine, mine["gpus"].to_numpy(np.float64), span)
        nodes = max(ceil(peak / node * asked.headroom), 1)
        part = float((mine["gpus"] * mine["held_h"]).sum()) / max(share, 1e-9)
        found.append(PoolFacts(
            "", str(site), str(model) or "GPU", node, max(node * cores, node),
            max(node * RAM_GB // 8, 8), _nodes(nodes, peak, "GPUs", asked),
            Number(max(float(f"{part:.3g}"), 0.001), f"{FROM_DATA}, share of GPU-h"),
        ))  # fmt: skip
    alone = jobs[(jobs["gpus"] == 0.0)]
    for site, mine in alone.groupby("site", observed=True, sort=True):
        peak = most_at_once(mine, np.maximum(mine["cpus"].to_numpy(np.float64), 1.0), span)
        each = max(CORES, cores)
        nodes = max(ceil(peak / each * asked.headroom), 1)
        weight = Number(1000.0, f"{ASSUMED}: work without GPUs is at home here")
        found.append(PoolFacts("", str(site), "", 0, each, max(RAM_GB, 8),
                               _nodes(nodes, peak, "cores", asked), weight))  # fmt: skip
    keys = keys_of(f"{p.site} {p.gpu_model or 'cpu'}" for p in found)
    return [replace(pool, name=key) for key, pool in zip(keys, found, strict=True)]


def _nodes(nodes: int, peak: float, what: str, asked: Asked) -> Number:
    said = f"{FROM_DATA}: at most {peak:,.4g} {what} at once, times {asked.headroom:g} ({ASSUMED})"
    return Number(float(nodes), said)


def most_at_once(jobs: pd.DataFrame, rate: FloatArray, span: Span) -> float:
    """Return the most that jobs held at once in the reported months."""
    begins, ends = (np.datetime64(t.tz_convert(None)) for t in (span.begins, span.ends))
    start = np.maximum(jobs["start"].to_numpy(), begins)
    end = np.minimum(jobs["end"].to_numpy(), ends)
    some = start < end
    at = np.concatenate([end[some], start[some]])  # who leaves at an instant makes room
    change = np.concatenate([-rate[some], rate[some]])
    level = np.cumsum(change[np.argsort(at, kind="stable")])
    return float(level.max()) if len(level) else 0.0


def use_cases_of(jobs: pd.DataFrame, span: Span, asked: Asked) -> list[UseCaseFacts]:
    """Return the use cases, those with the most GPU-h (or hours) first.

    Who is first seen in the first month was there before it (assumed).
    """
    begins, ends = (t.tz_convert(None) for t in (span.begins, span.ends))
    mine = jobs[(jobs["start"] < ends) & (jobs["end"] >= begins)]
    mine = mine if len(mine) else jobs
    key = mine[asked.use_cases].astype(str) if asked.use_cases != "all" else pd.Series(
        ALL, index=mine.index
    )
    weight = mine["held_h"] * np.maximum(mine["gpus"], 1e-6)
    ranked = list(weight.groupby(key).sum().sort_values(ascending=False, kind="stable").index)
    if len(ranked) > asked.most_use_cases:
        rest = set(ranked[asked.most_use_cases - 1 :])
        key = key.where(~key.isin(rest), OTHERS)
        ranked = [*ranked[: asked.most_use_cases - 1], OTHERS]
    first_h = (mine["start"] - begins) / pd.Timedelta(hours=1)
    seen = pd.DataFrame({"key": key, "user": mine["user"].astype(str), "first_h": first_h})
    first = seen.groupby(["key", "user"])["first_h"].min()
    month_h = float(span.calendar.month_edges_h[1])
    first = first.where(first >= month_h, 0.0)
    return [
        _use_case(name, str(k), first[k], span, asked)
        for name, k in zip(keys_of(str(k) or NOT_TOLD for k in ranked), ranked, strict=True)
    ]


def _use_case(
    name: str, key: str, first_h: pd.Series, span: Span, asked: Asked
) -> UseCaseFacts:
    told = first_h[first_h.index != ""]
    joins_h = float(first_h.min())
    months = 0.0 if not len(told) else float(told.max() - joins_h) / MONTH_H
    users = (
        Number(float(len(told)), f"{FROM_DATA}: with jobs")
        if len(told)
        else Number(float(asked.users), f"{ASSUMED}, the data name none")
    )
    word = {"project": "project", "user": "user", "all": "everything"}[asked.use_cases]
    says = f"{word} {key}" if key and asked.use_cases != "all" else "everything without a name"
    return UseCaseFacts(
        name, says, span.calendar.day_at(joins_h), users,
        Number(float(f"{months:.3g}"), f"{FROM_DATA}: from the first to the last user's first job"),
    )  # fmt: skip


def user_weeks(cases: Iterable[UseCaseFacts], span: Span) -> float:
    """Return the weeks that users are there in the reported months, as the model counts them."""
    total = 0.0
    for case in cases:
        weeks = (span.ends.date() - case.joins).days / 7.0
        joining = case.users_join_months.value * MONTH_H / 168.0
        total += case.users.value * max(weeks - joining / 2.0, 1.0 / 7.0)
    return total


def keys_of(names: Iterable[str]) -> list[str]:
    """Return keys for names: small letters, digits and hyphens, each once.

    >>> keys_of(["Vision Lab", "vision-lab", "é"])
    ['vision-lab', 'vision-lab-2', 'x']
    """
    found: list[str] = []
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "x"
        key, number = base, 1
        while key in found:
            number += 1
            key = f"{base}-{number}"
        found.append(key)
    return found
