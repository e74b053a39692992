"""Storage against volumes and TB-months worked out by hand (January 744 h, February 696 h)."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from sim.engine.storage import storage_log
from sim.entities import Federation, Store, StoreRole
from sim.ledger import Usage, usage_of
from sim.paths import with_value
from tests.worlds_by_hand import START, Ask, application, calls, federation, plan, played

FEBRUARY = date(2024, 2, 1)
Upload = tuple[float, float, float]  # time in h, TB, catch-up in h


def _store(**changes: Any) -> Store:
    values = {"site": "Here", "role": StoreRole.DATA, "volume_tb": 1.0, "step_tb": 0.5}
    return Store(**{**values, "fill_frac": 1.0, "opened": START, **changes})


def _usage(of: Federation, uploads: list[Upload]) -> Usage:
    return usage_of(of, plan(of, uploads=uploads), played(of, uploads=uploads))


def _monthly(of: Federation, uploads: list[Upload], ledger: str) -> list[float]:
    return _usage(of, uploads).monthly("storage", ledger)[:, 0].tolist()


def _intervals(
    of: Federation, uploads: list[Upload], volume: bool
) -> list[tuple[str, float, float, float]]:
    """Return (store, start, end, TB) of volumes or of files."""
    log = storage_log(of, plan(of, uploads=uploads), played(of, uploads=uploads))
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
