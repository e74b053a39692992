"""Laws by which provisioned capacity grows: sites joining, clusters growing, services multiplying.

Which law a federation follows is a hypothesis (`growth.law`); the reports say only how much there
was. Both are assumed forms: saturating growth is what a planned installation looks like, growth
with what is deployed is what operators do who add machines when they run short.
"""

from __future__ import annotations

import math

from sim.entities import Growth, Pool, Service
from sim.units import MONTH_H, to_grid_h

Step = tuple[float, float]  # (time in h, quantity from then on)


def saturating_share(elapsed_h: float, tau_h: float) -> float:
    """Return 1 - exp(-elapsed / tau), the share of all growth reached after `elapsed_h`."""
    return -math.expm1(-max(elapsed_h, 0.0) / tau_h)


def node_joins(pool: Pool, growth: Growth, joined_h: float) -> list[float]:
    """Return when each node beyond the first ones joins under the saturating law, in h.

    Node k joins when the smooth curve from `nodes_first` to `nodes_top` passes k - 1/2.
    """
    first = round(pool.nodes_first)
    span = pool.nodes_top - first
    times = []
    node = first + 1
    while node - 0.5 < pool.nodes_top:
        share = (node - 0.5 - first) / span
        times.append(to_grid_h(joined_h - growth.tau_months * MONTH_H * math.log1p(-share)))
        node += 1
    return times


def nodes_wanted(pool: Pool, growth: Growth, now: int, peak_nodes: float, waiting: bool) -> int:
    """Return the nodes a pool should have after a review under the `deployed` law.

    Args:
        pool: The pool.
        growth: The law's parameters.
        now: Nodes it has.
        peak_nodes: Most nodes' worth in use since the last review.
        waiting: Whether anybody waits for this kind of node; then at least one is added.
    """
    wanted = max(now, math.ceil(peak_nodes * growth.headroom), now + 1 if waiting else 0)
    return max(now, min(wanted, round(pool.nodes_top)))


def service_steps(
    service: Service,
    growth: Growth,
    since_h: float,
    horizon_h: float,
    deployed: tuple[list[float], list[float]],
) -> list[Step]:
    """Return the cores of a service over time, as steps in whole virtual machines.

    Args:
        service: The service.
        growth: The law.
        since_h: When it begins, h.
        horizon_h: End of the simulated time, h.
        deployed: Times (h, ascending) and share of use cases and applications deployed then.

    Returns:
        Steps (time in h, cores from then on), ascending, the first at `since_h`.
    """
    vms = service.cores_growth / service.cores_per_vm
    if growth.law == "saturating":
        tau_h = growth.tau_months * MONTH_H
        marks = [(since_h, 0.0)]
        marks += [
            (since_h - tau_h * math.log1p(-(k + 0.5) / vms), (k + 1.0) / vms)
            for k in range(math.ceil(vms - 0.5))
        ]
    else:
        at_start = max((s for t, s in zip(*deployed, strict=True) if t <= since_h), default=0.0)
        later = [(t, s) for t, s in zip(*deployed, strict=True) if t > since_h]
        marks = [(since_h, at_start), *later]
    return [
        (to_grid_h(t), service.cores_base + round(share * vms) * service.cores_per_vm)
        for t, share in marks
        if t < horizon_h
    ]
