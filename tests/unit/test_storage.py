"""Storage against volumes and TB-months worked out by hand (January 744 h, February 696 h)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from sim.engine.play import play
from sim.engine.storage import Fate, storage_log
from sim.entities import Federation, Store, StoreRole
from sim.errors import EngineError
from sim.ledger import Usage, usage_of
from sim.paths import with_value
from sim.plan.keeping import KeepDraws
from sim.plan.outages import PoolOutage
from sim.plan.uploads import Uploads
from sim.policies.base import FilesView, Kept, StoragePolicy
from sim.policies.keep_files import KeepFiles
from sim.policies.plain import PLAIN
from sim.policies.retire_files import RetireFiles
from sim.policies.storage_quota import StorageQuota
from tests.worlds_by_hand import START, Ask, application, calls, federation, plan, played

FEBRUARY = date(2024, 2, 1)
KEEP = KeepFiles()
TEN_DAYS = RetireFiles(10.0, 0.5, registry=False, shrinks=False, from_day=START)
Upload = tuple[float, float, float]  # time in h, TB, catch-up in h


def _store(**changes: Any) -> Store:
    values = {"site": "Here", "role": StoreRole.DATA, "volume_tb": 1.0, "step_tb": 0.5}
    return Store(**{**values, "fill_frac": 1.0, "opened": START, **changes})


def _images() -> Store:
    return _store(role=StoreRole.REGISTRY)


def _usage(of: Federation, uploads: list[Upload]) -> Usage:
    return usage_of(of, plan(of, uploads=uploads), played(of, uploads=uploads))


def _monthly(of: Federation, uploads: list[Upload], ledger: str) -> list[float]:
    return _usage(of, uploads).monthly("storage", ledger)[:, 0].tolist()


def _needed(uploads: np.ndarray, **others: Any) -> KeepDraws:
    """Return draws for storage policies: those of uploads, and nothing else unless told."""
    nothing = {"images": {"case": np.empty(0)}, "requests": np.empty(0), "answers": {}}
    return KeepDraws(**{"uploads": {"case": uploads}, **nothing, **others})


def _intervals(
    of: Federation,
    uploads: list[Upload],
    volume: bool,
    policy: StoragePolicy = KEEP,
    draws: tuple[float, ...] | None = None,
) -> list[tuple[str, float, float, float]]:
    """Return (store, start, end, TB) of volumes or of files; `draws` are those of the uploads."""
    needed = None if draws is None else _needed(np.array(draws))
    world = plan(of, uploads=uploads, needed=needed)
    log = storage_log(of, world, played(of, uploads=uploads), policy)
    names = list(of.stores)
    return [
        (names[s], a, b, tb)
        for s, a, b, tb, v in zip(
            log.store, log.start_h, log.end_h, log.amount_tb, log.volume, strict=True
        )
        if v == volume
    ]


def test_tb_month_of_an_interval() -> None:
    """A TB kept for half a month would not be half a TB-month, whatever the month's length."""
    of = federation(stores={"data": _store()})
    assert _monthly(of, [(372.0, 0.8, 0.0)], "allocated") == [0.4, 0.8]
    assert _monthly(of, [(744.0 + 174.0, 0.5, 0.0)], "allocated") == [0.0, 0.375]


def test_volume_grows_by_steps_as_it_fills() -> None:
    """A volume would be filled above its limit, grow by less than a step, or shrink."""
    of = federation(stores={"data": _store(fill_frac=0.5)})
    uploads = [(100.0, 0.5, 0.0), (200.0, 0.1, 0.0), (300.0, 0.1, 0.0), (400.0, 0.6, 0.0)]
    assert _intervals(of, uploads, volume=True) == [
        ("data", 0.0, 200.0, 1.0),  # 0.5 TB fill half of it
        ("data", 200.0, 400.0, 1.5),  # 0.6 and 0.7 TB need 1.2 and 1.4
        ("data", 400.0, 1440.0, 3.0),  # 1.3 TB need 2.6
    ]
    assert _monthly(of, uploads, "provisioned")[1] == 3.0


def test_files_wait_for_the_store_to_open() -> None:
    """Files would be kept, or a volume billed, before the store was opened."""
    of = federation(stores={"data": _store(opened=FEBRUARY)})
    assert _monthly(of, [(100.0, 0.3, 0.0)], "allocated") == [0.0, 0.3]
    assert _monthly(of, [(100.0, 0.3, 0.0)], "provisioned") == [0.0, 1.0]


def _migrating(**old: Any) -> Federation:
    stores = {
        "old": _store(migrates_to="new", **old),
        "new": _store(opened=FEBRUARY, volume_tb=2.0, step_tb=1.0),
    }
    return federation(stores=stores)


def test_migration_keeps_the_copy_for_its_days() -> None:
    """The old copy would vanish with the migration, or be kept for ever."""
    of = _migrating(copy_kept_days=10.0)
    uploads = [(100.0, 0.7, 0.0), (800.0, 0.2, 0.0)]
    assert _intervals(of, uploads, volume=False) == [
        ("old", 100.0, 984.0, 0.7),
        ("new", 744.0, 1440.0, 0.7),
        ("new", 800.0, 1440.0, 0.2),
    ]
    assert _intervals(of, uploads, volume=True) == [
        ("old", 0.0, 984.0, 1.0),
        ("new", 744.0, 1440.0, 2.0),
    ]


def test_full_store_makes_files_wait_and_catch_up() -> None:
    """Files would be kept above the capacity, be lost, or all arrive on the day of migration."""
    of = _migrating(capacity_tb=1.0)
    uploads = [(100.0, 0.75, 0.0), (200.0, 0.5, 56.0), (300.0, 0.125, 156.0)]
    assert _intervals(of, uploads, volume=False) == [
        ("old", 100.0, 744.0, 0.75),
        ("new", 744.0, 1440.0, 0.75),
        ("new", 800.0, 1440.0, 0.5),
        ("new", 900.0, 1440.0, 0.125),
    ]


def test_stores_of_one_role_share_the_files() -> None:
    """Two stores of one role would both keep everything."""
    of = federation(stores={"a": _store(), "b": _store()})
    assert _monthly(of, [(0.0, 0.6, 0.0)], "allocated") == [0.6, 0.6]


def test_files_belong_to_their_use_case_and_volumes_to_none() -> None:
    """The table would give a volume to a use case, or files to nobody."""
    usage = _usage(federation(stores={"data": _store()}), [(0.0, 0.6, 0.0)])
    storage = usage.quantity[0, 0, :, 2, :, 0]
    assert storage.tolist() == [[0.0, 0.6, 0.0], [1.0, 0.0, 0.0]]


def test_deployments_with_gpus_leave_checkpoints() -> None:
    """Deployments would leave nothing, leave it too early, or those without GPUs leave some."""
    of = with_value(federation(stores={"data": _store()}), "demand.checkpoint_gb", 250.0)
    asks = [Ask(0.0, bursts=(372.0,)), Ask(1.0, gpus=0, bursts=(2.0,)), Ask(1400.0, bursts=(99.0,))]
    usage = usage_of(of, plan(of, asks), played(of, asks))
    assert usage.monthly("storage", "allocated")[:, 0].tolist() == [0.125, 0.25]


def test_invocations_leave_their_files() -> None:
    """Inputs and outputs of applications would not be kept from the answer on."""
    of = federation(app=application(kept_mb=500.0), stores={"data": _store()})
    invocations = calls([(0.0, 1800.0), (0.0, 1800.0)], cold_s=1800.0)
    usage = usage_of(of, plan(of, invocations=invocations), played(of, invocations=invocations))
    expected = 2 * 500e-6 * np.array([743.0 / 744.0, 1.0])
    np.testing.assert_allclose(usage.monthly("storage", "allocated")[:, 0], expected, rtol=1e-12)


def test_files_are_deleted_when_they_are_too_old() -> None:
    """Files would be deleted too early or late, by when they were stored, or though needed."""
    of = federation(stores={"data": _store()})
    uploads = [(100.0, 0.7, 0.0), (400.0, 0.2, 0.0), (1300.0, 0.1, 0.0)]
    assert _intervals(of, uploads, False, TEN_DAYS, (0.5, 0.49, 0.9)) == [
        ("data", 100.0, 340.0, 0.7),
        ("data", 400.0, 1440.0, 0.2),
        ("data", 1300.0, 1440.0, 0.1),
    ]
    late = with_value(of, "stores.data.opened", date(2024, 1, 11))  # 240 h
    assert _intervals(late, [(0.0, 0.5, 0.0), (50.0, 0.3, 0.0)], False, TEN_DAYS) == [
        ("data", 240.0, 290.0, 0.3)
    ]


def test_what_is_too_old_on_the_first_day_goes_that_day() -> None:
    """A dated policy would act on the past, or spare what was there before it."""
    of = federation(stores={"data": _store()})
    policy = replace(TEN_DAYS, from_day=FEBRUARY)
    assert _intervals(of, [(100.0, 0.7, 0.0), (600.0, 0.2, 0.0)], False, policy) == [
        ("data", 100.0, 744.0, 0.7),
        ("data", 600.0, 840.0, 0.2),
    ]


def test_volumes_stay_or_are_cut_at_the_beginning_of_a_month() -> None:
    """A volume would shrink within a month, below its first size or below what is in it."""
    of = federation(stores={"data": _store()})
    uploads = [(100.0, 2.2, 0.0), (700.0, 1.2, 0.0), (800.0, 0.4, 0.0), (1000.0, 0.3, 0.0)]
    grown = [("data", 0.0, 100.0, 1.0), ("data", 100.0, 1440.0, 2.5)]
    assert _intervals(of, uploads, True, TEN_DAYS) == grown
    assert _intervals(of, uploads, True, replace(TEN_DAYS, shrinks=True)) == [
        ("data", 0.0, 100.0, 1.0),
        ("data", 100.0, 744.0, 2.5),  # 2.2 TB are gone at 340
        ("data", 744.0, 800.0, 1.5),  # 1.2 TB are there
        ("data", 800.0, 1440.0, 2.0),  # 1.6 TB, from 940 on 0.4 and 0.7
    ]
    emptied = [(100.0, 1.2, 0.0)]
    assert _intervals(of, emptied, True, replace(TEN_DAYS, shrinks=True)) == [
        ("data", 0.0, 100.0, 1.0),
        ("data", 100.0, 744.0, 1.5),
        ("data", 744.0, 1440.0, 1.0),
    ]


def test_room_is_freed_before_it_is_filled() -> None:
    """A file that comes in the instant in which another goes would need a larger volume."""
    of = federation(stores={"data": _store()})
    assert _intervals(of, [(100.0, 0.9, 0.0), (340.0, 0.9, 0.0)], True, TEN_DAYS) == [
        ("data", 0.0, 1440.0, 1.0)
    ]


def test_what_is_deleted_before_the_move_is_not_moved() -> None:
    """A deleted file would come back by the migration, or live on in the old copy."""
    of = _migrating(copy_kept_days=10.0)
    uploads = [(100.0, 0.3, 0.0), (600.0, 0.2, 0.0), (800.0, 0.1, 0.0)]
    assert _intervals(of, uploads, False, TEN_DAYS) == [
        ("old", 100.0, 340.0, 0.3),
        ("old", 600.0, 840.0, 0.2),  # the copy would have stayed until 984
        ("new", 744.0, 840.0, 0.2),
        ("new", 800.0, 1040.0, 0.1),
    ]


def test_room_made_by_deletion_goes_to_nobody() -> None:
    """A policy would store what without it had to wait, and so add bytes."""
    of = _migrating(capacity_tb=1.0)
    uploads = [(100.0, 0.75, 0.0), (400.0, 0.5, 56.0), (500.0, 0.1, 56.0)]
    assert _intervals(of, uploads, False, TEN_DAYS, (0.5, 0.0, 0.5)) == [
        ("old", 100.0, 340.0, 0.75),
        ("new", 800.0, 1440.0, 0.5),  # 0.1 TB that waited, too, were too old at 740
    ]


def test_quota_refuses_what_would_take_a_use_case_above_it() -> None:
    """A quota would act before its day, delete, or refuse what still fits."""
    of = federation(stores={"data": _store()})
    uploads = [(100.0, 0.75, 0.0), (800.0, 0.5, 0.0), (900.0, 0.25, 0.0), (950.0, 0.01, 0.0)]
    kept = [("data", h, 1440.0, tb) for h, tb, _ in uploads]
    assert _intervals(of, uploads, False, StorageQuota(1.0, FEBRUARY)) == [kept[0], kept[2]]
    assert _intervals(of, uploads, False, StorageQuota(0.5, FEBRUARY)) == [kept[0]]
    two = federation(stores={"a": _store(), "b": _store()})
    halves = _intervals(two, uploads, False, StorageQuota(1.0, FEBRUARY))
    assert [(s, tb) for s, _, _, tb in halves] == [
        ("a", 0.375), ("a", 0.125), ("b", 0.375), ("b", 0.125)
    ]  # fmt: skip


def test_fate_counts_each_file_once() -> None:
    """Copies would count twice, or what was never taken would count as deleted."""
    of = _migrating(copy_kept_days=10.0)
    uploads = [(100.0, 0.5, 0.0), (600.0, 0.25, 0.0), (1300.0, 0.125, 0.0)]
    world, logs = plan(of, uploads=uploads), played(of, uploads=uploads)
    fates = [
        storage_log(of, world, logs, policy).fate
        for policy in (KEEP, TEN_DAYS, StorageQuota(0.75, FEBRUARY))
    ]
    assert fates == [Fate(0.875), Fate(0.875, 0.0, 0.75), Fate(0.875, 0.125, 0.0)]


def test_draws_go_with_their_files() -> None:
    """A file would be kept or deleted by the draw of another."""
    of = federation(
        app=application(kept_mb=500.0), stores={"data": _store(), "images": _images()}
    )
    of = with_value(of, "demand.checkpoint_gb", 250.0)
    asks = [Ask(0.0, bursts=(20.0,)), Ask(30.0, bursts=(20.0,), restart_h=2.0)]
    invocations = calls([(7200.0, 1800.0), (10800.0, 1800.0)], cold_s=1800.0)
    hours = np.full(1441, 0.9)
    hours[3] = 0.1  # 1800 s cold, 1800 s computing: the first is answered at 3 h, the other at 4 h
    world = replace(
        plan(
            of, asks, {"pool": [PoolOutage(40.0, 41.0, 0.0)]}, invocations,
            uploads=[(1.0, 0.5, 0.0), (2.0, 0.125, 0.0)],
            needed=_needed(
                np.array([0.9, 0.1]), requests=np.array([0.9, 0.1]), answers={"case/app": hours},
                images={"case": np.array([0.1, 0.9])},
            ),
        ),
        images={"case": Uploads(np.array([5.0, 6.0]), np.array([0.02, 0.04]), np.zeros(2))},
    )  # fmt: skip
    logs = play(of, world, PLAIN)

    def kept(policy: StoragePolicy) -> list[tuple[float, float]]:
        log = storage_log(of, world, logs, policy)
        stays = ~log.volume & (log.end_h == 1440.0)
        return sorted(zip(log.start_h[stays], log.amount_tb[stays], strict=True))

    images = [(5.0, 0.02), (6.0, 0.04)]
    needed = [(2.0, 0.125), (3.0, 500e-6), (40.0, 0.25), (62.0, 0.25)]  # both parts of one work
    assert kept(TEN_DAYS) == sorted(needed + images)
    assert kept(replace(TEN_DAYS, registry=True)) == sorted(needed + images[:1])
    assert len(kept(KEEP)) == 9


@dataclass(frozen=True)
class Says:
    """Says the same whatever it sees."""

    until_h: tuple[float, ...]

    def keep(self, files: FilesView) -> Kept:
        """Return what it was told."""
        return Kept(np.array(self.until_h))


@pytest.mark.parametrize("until_h", [(), (inf, inf), (nan,)], ids=["short", "long", "nan"])
def test_answers_that_cannot_be_used_are_refused(until_h: tuple[float, ...]) -> None:
    """A wrong policy would end in an error deep inside, or delete by chance."""
    of = federation(stores={"data": _store()})
    with pytest.raises(EngineError, match=r"policy\.storage"):
        _intervals(of, [(100.0, 0.7, 0.0)], False, Says(until_h))
