"""Summary statistics of deployment records: what a calibration compares of them.

They are chosen for what they say of the model's parameters (`docs/records.md` shows how much):

- How many start says how often users ask; the two halves of the window tell eras apart.
- Durations are the work of a request, the pauses in it and the time until the release. Short ones
  are little work released promptly, the longest are forgotten; but long pauses and a long hold look
  alike as long as nothing is known of what happened inside.
- With the utilisation, pauses and tails come apart. A deployment that computed long was paused
  often: how long it was idle for each hour of computing, if nobody forgot it (lower quartile), says
  how long pauses are. One that computed briefly had few pauses: if it was idle for hours all the
  same it was forgotten, and the shares that were idle for more than 8, 24 and 72 h say how many are
  forgotten, and for how long.

Every statistic is above zero and finite, so that it has a logarithm. Durations of deployments that
still ran when the window ended are taken as longer than what was seen of them (Kaplan-Meier);
statistics of computing and idle time are of those that ended.

Source: synthetic likelihood of summary statistics, S. Wood, Nature 466 (2010) 1102; E. Kaplan and
P. Meier, Journal of the American Statistical Association 53 (1958) 457.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.fingerprint import file_sha256
from analysis.records.reading import SHORTEST_H, Deployments
from sim.units import FloatArray

DURATIONS = (0.05, 0.25, 0.5, 0.9, 0.98)  # quantiles
LATE_H = (8.0, 24.0, 72.0)  # h idle in a deployment that computed briefly
BRIEF = 1.0 / 3.0  # share of deployments, those that computed the least
KNOWN = 0.9  # least share of ended deployments whose utilisation has to be known; assumed
LEAST_RATIO = 1e-4  # of idle time to computing time; assumed
HALF = 0.5  # pseudo-count of shares and numbers (Jeffreys)


@dataclass(frozen=True)
class Statistic:
    """A summary statistic.

    Args:
        name: Its name.
        unit: Its unit.
        says: What it is.
        inside: Whether it needs the utilisation.
    """

    name: str
    unit: str
    says: str
    inside: bool = False


def _declared() -> tuple[Statistic, ...]:
    quantiles = (
        Statistic(f"duration_p{100 * q:02.0f}", "h", f"{100 * q:.0f} % quantile of durations")
        for q in DURATIONS
    )
    late = (
        Statistic(
            f"brief_idle_over_{hours:.0f}h",
            "share",
            f"of the third that computed the least, how many were idle for more than {hours:.0f} h",
            True,
        )
        for hours in LATE_H
    )
    return (
        Statistic("starts_first_half", "deployments", "started in the first half of the window"),
        Statistic("starts_second_half", "deployments", "started in the second half"),
        *quantiles,
        Statistic("starts_on_weekends", "share", "how many starts fall on weekends, local"),
        Statistic("starts_at_night", "share", "how many fall between 23 and 7 h, local"),
        Statistic("active_share", "share", "active over held GPU-h", True),
        Statistic("active_mean", "h", "mean computing time of a deployment", True),
        Statistic("idle_p95", "h", "95 % quantile of idle time", True),
        Statistic("idle_per_active_p75", "h/h", "upper quartile of idle over computing time", True),
        Statistic(
            "long_idle_per_active_p25",
            "h/h",
            "lower quartile of it in the half that computed the longest",
            True,
        ),
        *late,
    )


STATISTICS = _declared()
NAMES = tuple(s.name for s in STATISTICS)
OUTSIDE = tuple(s.name for s in STATISTICS if not s.inside)  # known without utilisation


def made_by() -> tuple[str, ...]:
    """Return hashes of the code that makes statistics, for the names of runs that are kept."""
    here = Path(__file__)
    return tuple(file_sha256(here.with_name(name)) for name in ("reading.py", here.name))


def statistics(deployments: Deployments) -> dict[str, float]:
    """Reduce records to their summary statistics.

    Args:
        deployments: The records of a window.

    Returns:
        Value by name in the order of `STATISTICS`, in their units, all above zero. Those that need
        the utilisation are left out when it is known for less than `KNOWN` of what ended.
    """
    d, count = deployments, len(deployments)
    late_half = int((d.start_h >= d.window.hours / 2.0).sum())
    found = {
        "starts_first_half": count - late_half + HALF,
        "starts_second_half": late_half + HALF,
        "starts_on_weekends": _share(d.weekday >= 5),
        "starts_at_night": _share((d.hour >= 23) | (d.hour < 7)),
    }
    durations = survival_quantiles(d.held_h, d.ended, DURATIONS)
    found |= {f"duration_p{100 * q:02.0f}": x for q, x in zip(DURATIONS, durations, strict=True)}
    if knows_inside(d):
        found |= _inside(d)
    return {name: float(found[name]) for name in NAMES if name in found}


def knows_inside(deployments: Deployments) -> bool:
    """Return whether the utilisation is known for enough of the deployments that ended."""
    ended = int(deployments.ended.sum())
    return bool(np.isfinite(deployments.utilisation).sum() >= max(1.0, KNOWN * ended))


def _inside(deployments: Deployments) -> dict[str, float]:
    """Return the statistics that need the utilisation."""
    known = np.isfinite(deployments.utilisation)
    held = deployments.held_h[known]
    gpus = deployments.gpus[known]
    active = deployments.utilisation[known] * held
    idle = np.maximum(held - active, 0.0)
    share = (active * gpus).sum() / (held * gpus).sum()
    active, idle = np.maximum(active, SHORTEST_H), np.maximum(idle, SHORTEST_H)
    ratio = np.maximum(idle / active, LEAST_RATIO)
    brief = idle[active <= np.quantile(active, BRIEF)]
    long = ratio[active >= np.median(active)]
    found = {
        "active_share": max(share, LEAST_RATIO),
        "active_mean": active.mean(),
        "idle_p95": np.quantile(idle, 0.95),
        "idle_per_active_p75": np.quantile(ratio, 0.75),
        "long_idle_per_active_p25": np.quantile(long, 0.25),
    }
    return found | {f"brief_idle_over_{hours:.0f}h": _share(brief > hours) for hours in LATE_H}


def _share(which: np.ndarray) -> float:
    return (int(which.sum()) + HALF) / (len(which) + 2.0 * HALF)


def survival_quantiles(
    held_h: FloatArray, ended: np.ndarray, at: tuple[float, ...]
) -> FloatArray:
    """Return quantiles of durations of which some are known only to be longer.

    Args:
        held_h: Durations, or what was seen of them, h, shape (deployments,).
        ended: Whether each is the whole duration.
        at: Probabilities.

    Returns:
        The shortest duration that so many do not exceed, h; the longest seen where that is not
        reached; `SHORTEST_H` when there are none.

    >>> survival_quantiles(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True]),
    ...                    (0.25, 0.5, 0.9))
    array([1., 3., 4.])
    """
    if not len(held_h):
        return np.full(len(at), SHORTEST_H)
    order = np.lexsort((~ended, held_h))  # at one duration, ends come before what is cut off
    held, whole = held_h[order], ended[order]
    left = np.arange(len(held), 0, -1)
    gone = 1.0 - np.cumprod(1.0 - whole / left)
    place = np.searchsorted(gone, np.array(at) - 1e-12, side="left")
    return np.asarray(held[np.minimum(place, len(held) - 1)])
