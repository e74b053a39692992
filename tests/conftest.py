"""Fixtures that many tests share."""

from __future__ import annotations

import pytest

from sim.entities import Federation
from sim.policies.base import Policies
from tests import configured


@pytest.fixture(scope="session")
def tiny() -> Federation:
    """Return the tiny federation as configured."""
    return configured.federation("tiny")


@pytest.fixture(scope="session")
def imagine() -> Federation:
    """Return the reference case as configured."""
    return configured.federation("imagine")


@pytest.fixture(scope="session")
def policies() -> Policies:
    """Return the policies as configured: a quota of GPUs, a home pool for each request."""
    return configured.policies()
