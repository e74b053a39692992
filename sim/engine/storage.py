"""Storage: what is kept where and how large the volumes are, from uploads, checkpoints, outputs.

Storage does not press on the events of a run, so its intervals are computed after it, from the
plan (uploads, images) and the logs (deployments that leave checkpoints, answers that leave files).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.engine.logs import Ended, Logs
from sim.entities import Federation, Store, StoreRole
from sim.plan.world import Plan
from sim.units import GB_PER_TB, MB_PER_TB, FloatArray, IntArray


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
    """

    store: IntArray
    use_case: IntArray
    start_h: FloatArray
    end_h: FloatArray
    amount_tb: FloatArray
    volume: np.ndarray


@dataclass(frozen=True, eq=False)
class _Files:
    """Files brought to one role of store, in order of time."""

    time_h: FloatArray
    use_case: IntArray
    amount_tb: FloatArray
    catch_up_h: FloatArray


def storage_log(federation: Federation, plan: Plan, logs: Logs) -> StorageLog:
    """Compute the storage intervals of a run."""
    parts: list[tuple[FloatArray, ...]] = []
    names = list(federation.stores)
    brought = {
        StoreRole.DATA: _data_files(federation, plan, logs),
        StoreRole.REGISTRY: _image_files(plan),
    }
    targets = {s.migrates_to for s in federation.stores.values()}
    for name, store in federation.stores.items():
        if name not in targets:
            parts += _chain(federation, names, name, _share(federation, name, brought[store.role]))
    parts.append((np.empty(0),) * 6)  # a federation may have no stores
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return StorageLog(
        columns[0].astype(np.int64),
        columns[1].astype(np.int64),
        columns[2],
        columns[3],
        columns[4],
        columns[5].astype(bool),
    )


def _data_files(federation: Federation, plan: Plan, logs: Logs) -> _Files:
    """Collect data sets, checkpoints and files of end users."""
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
    return _in_order(times, cases, amounts, late)


def _image_files(plan: Plan) -> _Files:
    """Collect the images pushed to registries."""
    images = plan.images.values()
    return _in_order(
        [u.time_h for u in images],
        [np.full(len(u.time_h), i) for i, u in enumerate(images)],
        [u.amount_tb for u in images],
        [u.catch_up_h for u in images],
    )


def _in_order(
    times: list[FloatArray],
    cases: list[IntArray],
    amounts: list[FloatArray],
    late: list[FloatArray],
) -> _Files:
    time = np.concatenate(times)
    order = np.argsort(time, kind="stable")
    return _Files(
        time[order],
        np.concatenate(cases)[order],
        np.concatenate(amounts)[order],
        np.concatenate(late)[order],
    )


def _share(federation: Federation, name: str, files: _Files) -> _Files:
    """Give each first store of a role an equal share of the files' bytes."""
    role = federation.stores[name].role
    targets = {s.migrates_to for s in federation.stores.values()}
    firsts = [n for n, s in federation.stores.items() if s.role is role and n not in targets]
    return _Files(files.time_h, files.use_case, files.amount_tb / len(firsts), files.catch_up_h)


def _chain(
    federation: Federation, names: list[str], name: str, files: _Files
) -> list[tuple[FloatArray, ...]]:
    """Fill a store and, from the migration on, the one that follows it."""
    store, calendar = federation.stores[name], federation.calendar
    horizon = calendar.horizon_h
    opened = max(calendar.hours_at(store.opened), 0.0)
    start = np.maximum(files.time_h, opened)
    if store.migrates_to is None:
        stays = np.ones(len(start), dtype=bool)
        return _intervals(names.index(name), store, files, stays, start, opened, horizon)
    following = federation.stores[store.migrates_to]
    moved_h = calendar.hours_at(following.opened)
    closed_h = min(moved_h + store.copy_kept_days * 24.0, horizon)
    before = start < moved_h
    room = np.inf if store.capacity_tb is None else store.capacity_tb
    fits = before & (np.cumsum(np.where(before, files.amount_tb, 0.0)) <= room)
    here = _intervals(names.index(name), store, files, fits, start, opened, closed_h)
    again = np.where(before, moved_h + np.where(fits, 0.0, files.catch_up_h), start)
    order = np.argsort(again, kind="stable")
    later = _Files(
        again[order], files.use_case[order], files.amount_tb[order], files.catch_up_h[order]
    )
    return here + _chain(federation, names, store.migrates_to, later)


def _intervals(
    index: int,
    store: Store,
    files: _Files,
    stays: np.ndarray,
    start: FloatArray,
    opened: float,
    until: float,
) -> list[tuple[FloatArray, ...]]:
    """Return the intervals of files and volumes of one store until it closes."""
    inside = stays & (start < until)
    time, amount, case = start[inside], files.amount_tb[inside], files.use_case[inside]
    level = np.cumsum(amount)
    needed = np.ceil(level / store.fill_frac / store.step_tb - 1e-9) * store.step_tb
    volume = np.maximum.accumulate(np.maximum(needed, store.volume_tb))
    changes = np.flatnonzero(np.diff(np.concatenate([[store.volume_tb], volume])) > 0)
    begins = np.concatenate([[opened], time[changes]])
    ends = np.append(begins[1:], until)
    sizes = np.concatenate([[store.volume_tb], volume[changes]])
    real = (ends > begins) & (sizes > 0) & (begins < until)
    count, volumes = len(time), int(real.sum())
    return [
        (
            np.full(count, float(index)),
            case.astype(np.float64),
            time,
            np.full(count, until),
            amount,
            np.zeros(count),
        ),
        (
            np.full(volumes, float(index)),
            np.full(volumes, -1.0),
            begins[real],
            ends[real],
            sizes[real],
            np.ones(volumes),
        ),
    ]
