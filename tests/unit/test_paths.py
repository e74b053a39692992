"""Values deep inside entities, by path."""

from __future__ import annotations

from datetime import date

import pytest

from sim.entities import Outage
from sim.errors import ConfigError
from sim.paths import value_at, with_value
from tests.worlds_by_hand import federation, pool

PATH = "pools.pool.outages.1.vms_kept_frac"
DAYS = [(1, 2), (4, 5), (8, 9)]
OF = federation(
    {"pool": pool(outages=tuple(Outage(date(2024, 1, a), date(2024, 1, b)) for a, b in DAYS))}
)


def test_one_outage_of_several_is_changed() -> None:
    """A calibrated share would reach the wrong outage, or change the federation it came from."""
    changed = with_value(OF, PATH, 0.25)
    assert [o.vms_kept_frac for o in changed.pools["pool"].outages] == [0.0, 0.25, 0.0]
    assert [o.start for o in changed.pools["pool"].outages] == [
        o.start for o in OF.pools["pool"].outages
    ]
    assert value_at(changed, PATH) == 0.25
    assert value_at(OF, PATH) == 0.0


@pytest.mark.parametrize("number", ["3", "-1", "first"])
def test_an_outage_that_does_not_exist_is_refused(number: str) -> None:
    """A prior for an outage that is not there would end in a traceback, or hit the last one."""
    with pytest.raises(ConfigError, match=f"no such entry .*got '{number}'"):
        with_value(OF, f"pools.pool.outages.{number}.vms_kept_frac", 0.25)
