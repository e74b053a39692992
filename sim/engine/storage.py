"""Storage: what is kept where and how large the volumes are, from uploads, checkpoints, outputs.

Storage does not press on the events of a run, so its intervals are computed after it, from the
plan (uploads, images) and the logs (deployments that leave checkpoints, answers that leave files).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sim.engine.logs import Ended, Logs
from sim.entities import Federation, Store, StoreRole
from sim.errors import EngineError
from sim.plan.keeping import KeepDraws
from sim.plan.world import Plan
from sim.policies.base import FilesView, Inert, StoragePolicy
from sim.policies.plain import PLAIN
from sim.timeline import ProjectCalendar
from sim.units import GB_PER_TB, MB_PER_TB, FloatArray, IntArray


class Fate(NamedTuple):
    """What became of all files until the horizon, TB; copies count once.

    Args:
        brought_tb: Brought to stores, data and images.
        refused_tb: Of these, what a policy refused.
        retired_tb: Of these, what a policy deleted after it had been taken.
    """

    brought_tb: float = 0.0
    refused_tb: float = 0.0
    retired_tb: float = 0.0


@dataclass(frozen=True, eq=False)
class StorageLog:
    """Intervals of bytes kept and of volumes; all arrays of one shape each.

    Args:
        store: Index of the store.
        use_case: Index of the use case, -1 for a volume.
        start_h: From when, h.
        end_h: Until when, h.
        amount_tb: How much, in TB.
        volume: Whether the interval is a volume (provisioned) or files (allocated).
        fate: What became of the files.
    """

    store: IntArray
    use_case: IntArray
    start_h: FloatArray
    end_h: FloatArray
    amount_tb: FloatArray
    volume: np.ndarray
    fate: Fate


@dataclass(frozen=True, eq=False)
class _Files:
    """Files brought to one role of store, in order of time.

    `until_h` is when a policy deletes them, `shrinks` whether volumes follow.
    """

    time_h: FloatArray
    use_case: IntArray
    amount_tb: FloatArray
    catch_up_h: FloatArray
    until_h: FloatArray
    shrinks: bool = False


def storage_log(
    federation: Federation, plan: Plan, logs: Logs, policy: StoragePolicy = PLAIN.storage
) -> StorageLog:
    """Compute the storage intervals of a run.

    A policy is asked once for each role of store. What it deletes leaves all stores at once, an old
    copy too, and is not moved later. Room that it makes in a store with a capacity goes to nobody:
    what waits for the larger store waits under every policy, so that no policy adds bytes.
    """
    parts: list[tuple[FloatArray, ...]] = []
    names = list(federation.stores)
    draws = None if isinstance(policy, Inert) else plan.keeping()
    brought = {
        StoreRole.DATA: _data_files(federation, plan, logs, draws),
        StoreRole.REGISTRY: _image_files(plan, draws),
    }
    roles = {s.role for s in federation.stores.values()}
    kept = {
        role: files if drawn is None else _asked(policy, federation.calendar, role, files, drawn)
        for role, (files, drawn) in brought.items()
        if role in roles
    }
    targets = {s.migrates_to for s in federation.stores.values()}
    for name, store in federation.stores.items():
        if name not in targets:
            parts += _chain(federation, names, name, _share(federation, name, kept[store.role]))
    parts.append((np.empty(0),) * 6)  # a federation may have no stores
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return StorageLog(
        columns[0].astype(np.int64),
        columns[1].astype(np.int64),
        columns[2],
        columns[3],
        columns[4],
        columns[5].astype(bool),
        _fate(list(kept.values()), federation.calendar.horizon_h),
    )


def _asked(
    policy: StoragePolicy,
    calendar: ProjectCalendar,
    role: StoreRole,
    files: _Files,
    drawn: FloatArray,
) -> _Files:
    """Return the files with the policy's answer about them."""
    seen = (files.time_h, files.use_case, files.amount_tb)
    for column in seen:
        column.setflags(write=False)
    kept = policy.keep(FilesView(role, *seen, calendar.hours_at, drawn))
    until_h = np.asarray(kept.until_h, dtype=np.float64)
    if until_h.shape != files.time_h.shape or np.isnan(until_h).any():
        raise EngineError(
            "a storage policy's answer cannot be used",
            "policy.storage",
            f"until when each of {len(files.time_h)} files is kept, h",
            f"shape {until_h.shape}, {np.isnan(until_h).sum()} not a number",
        )
    return replace(files, until_h=until_h, shrinks=kept.shrinks)


def _fate(kept: list[_Files], horizon_h: float) -> Fate:
    fate = np.zeros(3)
    for files in kept:
        refused = files.until_h <= files.time_h
        retired = (files.until_h < horizon_h) & ~refused
        brought = np.where(files.time_h < horizon_h, files.amount_tb, 0.0)
        fate += (brought.sum(), brought[refused].sum(), brought[retired].sum())
    return Fate(*fate.tolist())


def _data_files(
    federation: Federation, plan: Plan, logs: Logs, draws: KeepDraws | None
) -> tuple[_Files, FloatArray | None]:
    """Collect data sets, checkpoints and files of end users; with their draws, if there are any."""
    index = {name: i for i, name in enumerate(plan.lives)}
    of_user = np.array([index[u.use_case] for u in plan.users])
    ended = [d for d in logs.deployments if d.gpus and d.ended is not Ended.HORIZON]
    checkpoints = np.array([d.released_h for d in ended], dtype=np.float64)
    owners = of_user[[d.user for d in ended]] if ended else np.empty(0, dtype=np.int64)
    times = [u.time_h for u in plan.uploads.values()] + [checkpoints]
    cases = [np.full(len(u.time_h), index[n]) for n, u in plan.uploads.items()] + [owners]
    amounts = [u.amount_tb for u in plan.uploads.values()]
    amounts.append(np.full(len(ended), federation.demand.checkpoint_gb / GB_PER_TB))
    late = [u.catch_up_h for u in plan.uploads.values()] + [np.zeros(len(ended))]
    for answers in logs.answers:  # kept from the end of the hour in which they were given
        hosted = plan.hosted[answers.hosted]
        kept_tb = federation.applications[hosted.application].kept_mb / MB_PER_TB
        times.append(np.array(answers.hour, dtype=np.float64))
        cases.append(np.full(len(answers.hour), index[hosted.use_case]))
        amounts.append(kept_tb * np.array(answers.count))
        late.append(np.zeros(len(answers.hour)))
    drawn = None
    if draws is not None:
        started_for = np.array([d.segments[0].request for d in ended], dtype=np.int64)
        drawn = [*(draws.uploads[n] for n in plan.uploads), draws.requests[started_for]]
        drawn += [draws.answers[a.hosted][np.array(a.hour, dtype=np.int64)] for a in logs.answers]
    return _in_order(times, cases, amounts, late, drawn)


def _image_files(plan: Plan, draws: KeepDraws | None) -> tuple[_Files, FloatArray | None]:
    """Collect the images pushed to registries; with their draws, if there are any."""
    images = plan.images.values()
    return _in_order(
        [u.time_h for u in images],
        [np.full(len(u.time_h), i) for i, u in enumerate(images)],
        [u.amount_tb for u in images],
        [u.catch_up_h for u in images],
        None if draws is None else [draws.images[n] for n in plan.images],
    )


def _in_order(
    times: list[FloatArray],
    cases: list[IntArray],
    amounts: list[FloatArray],
    late: list[FloatArray],
    drawn: list[FloatArray] | None,
) -> tuple[_Files, FloatArray | None]:
    time = np.concatenate(times)
    order = np.argsort(time, kind="stable")
    files = _Files(
        time[order],
        np.concatenate(cases)[order],
        np.concatenate(amounts)[order],
        np.concatenate(late)[order],
        np.full(len(time), np.inf),
    )
    return files, None if drawn is None else np.concatenate(drawn)[order]


def _share(federation: Federation, name: str, files: _Files) -> _Files:
    """Give each first store of a role an equal share of the files' bytes."""
    role = federation.stores[name].role
    targets = {s.migrates_to for s in federation.stores.values()}
    firsts = [n for n, s in federation.stores.items() if s.role is role and n not in targets]
    return replace(files, amount_tb=files.amount_tb / len(firsts))


def _chain(
    federation: Federation, names: list[str], name: str, files: _Files
) -> list[tuple[FloatArray, ...]]:
    """Fill a store and, from the migration on, the one that follows it."""
    store, calendar = federation.stores[name], federation.calendar
    opened = max(calendar.hours_at(store.opened), 0.0)
    start = np.maximum(files.time_h, opened)
    if store.migrates_to is None:
        stays = np.ones(len(start), dtype=bool)
        span = (opened, calendar.horizon_h)
        return _intervals(names.index(name), store, files, stays, start, span, calendar)
    following = federation.stores[store.migrates_to]
    moved_h = calendar.hours_at(following.opened)
    closed_h = min(moved_h + store.copy_kept_days * 24.0, calendar.horizon_h)
    before = start < moved_h
    room = np.inf if store.capacity_tb is None else store.capacity_tb
    fits = before & (np.cumsum(np.where(before, files.amount_tb, 0.0)) <= room)
    span = (opened, closed_h)
    here = _intervals(names.index(name), store, files, fits, start, span, calendar)
    again = np.where(before, moved_h + np.where(fits, 0.0, files.catch_up_h), start)
    order = np.argsort(again, kind="stable")
    later = _Files(
        again[order],
        files.use_case[order],
        files.amount_tb[order],
        files.catch_up_h[order],
        files.until_h[order],
        files.shrinks,
    )
    return here + _chain(federation, names, store.migrates_to, later)


def _intervals(
    index: int,
    store: Store,
    files: _Files,
    stays: np.ndarray,
    start: FloatArray,
    span: tuple[float, float],
    calendar: ProjectCalendar,
) -> list[tuple[FloatArray, ...]]:
    """Return the intervals of files and volumes of one store from when it opens to its end."""
    end = np.minimum(files.until_h, span[1])
    inside = stays & (start < end)
    time, gone, amount = start[inside], end[inside], files.amount_tb[inside]
    months_h = calendar.month_edges_h if files.shrinks else np.empty(0)
    begins, ends, sizes = _volumes(store, time, gone, amount, span, months_h)
    count, volumes = len(time), len(sizes)
    return [
        (
            np.full(count, float(index)),
            files.use_case[inside].astype(np.float64),
            time,
            gone,
            amount,
            np.zeros(count),
        ),
        (
            np.full(volumes, float(index)),
            np.full(volumes, -1.0),
            begins,
            ends,
            sizes,
            np.ones(volumes),
        ),
    ]


def _volumes(
    store: Store,
    time: FloatArray,
    gone: FloatArray,
    amount: FloatArray,
    span: tuple[float, float],
    months_h: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return begin, end (h) and size (TB) of a store's volume, which grows as files come.

    Args:
        store: The store.
        time: When files come, ascending, h.
        gone: When they go, h.
        amount: Their size, TB.
        span: From when to when the store is there, h.
        months_h: When a volume that nobody fills is cut, h; empty if never.
    """
    opened, until = span
    leaves = gone < until
    cuts_h = months_h[(months_h > opened) & (months_h < until)]
    at = np.concatenate([gone[leaves], cuts_h, time])  # at one instant in this order
    order = np.argsort(at, kind="stable")
    change = np.concatenate([-amount[leaves], np.zeros(len(cuts_h)), amount])
    level = np.cumsum(change[order])
    needed = np.ceil(level / store.fill_frac / store.step_tb - 1e-9) * store.step_tb
    needed = np.maximum(needed, store.volume_tb)
    cut = np.repeat([False, True, False], [leaves.sum(), len(cuts_h), len(time)])
    months = np.split(needed, np.flatnonzero(cut[order]))
    volume = np.concatenate([np.maximum.accumulate(month) for month in months])
    changes = np.flatnonzero(np.diff(np.concatenate([[store.volume_tb], volume])))
    begins = np.concatenate([[opened], at[order][changes]])
    ends = np.append(begins[1:], until)
    sizes = np.concatenate([[store.volume_tb], volume[changes]])
    real = (ends > begins) & (sizes > 0) & (begins < until)
    return begins[real], ends[real], sizes[real]
