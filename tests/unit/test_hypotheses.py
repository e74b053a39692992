"""Readings of the report: what is fitted under each, and that nothing counts twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.federations import packaged, read_yaml
from analysis.hypotheses import consumption, load_hypotheses, targets
from analysis.observations import load_observations
from sim.errors import ConfigError

FOLDER = packaged()["imagine"]


@pytest.fixture(scope="module")
def observations():
    """Return the reference figures."""
    return load_observations(FOLDER / "observations.csv")


@pytest.fixture(scope="module")
def hypotheses(observations):
    """Return the reference readings."""
    return load_hypotheses(read_yaml(FOLDER / "hypotheses.yaml"), observations)


@pytest.mark.parametrize("name", ["site", "provisioned", "unreported"])
def test_no_figure_counts_twice(name, observations, hypotheses) -> None:
    """A site's figure and the increment of the cumulative table would both enter a fit."""
    chosen = targets(observations, hypotheses.hypotheses[name])
    usage = [(t.resource, t.period, t.ledger, t.site) for t in chosen if t.metric == "usage"]
    assert len(set(usage)) == len(usage)
    for resource, period, ledger, site in usage:
        both = [u for u in usage if u[:3] == (resource, period, ledger)]
        assert site != "all" or len(both) == 1


def test_each_reading_fits_its_own_gpu_figure_of_m13_to_m18(observations, hypotheses) -> None:
    """A hypothesis would be fitted to the figure that it says is something else."""
    found = {
        name: {
            (t.id, t.ledger, t.value)
            for t in targets(observations, h)
            if t.resource == "gpu" and t.period == "M13-M18"
        }
        for name, h in hypotheses.hypotheses.items()
    }
    site_figure = ("ifca_gpu_m13_m18", "allocated", 14808.0)
    assert found["site"] == {site_figure}
    assert found["provisioned"] == {site_figure, ("increment_gpu_m13_m18", "provisioned", 90398.0)}
    assert found["unreported"] == {("increment_gpu_m13_m18", "allocated", 90398.0)}


def test_what_cannot_be_complete_is_not_fitted(observations, hypotheses) -> None:
    """Training cycles without the unreported GPU-h would be held against all of them."""
    by_name = hypotheses.hypotheses
    cycles = {n: {t.id for t in targets(observations, h)} for n, h in by_name.items()}
    assert "t41_training_m13_m18" in cycles["site"] & cycles["provisioned"]
    assert "t41_training_m13_m18" not in cycles["unreported"]
    assert "t41_training_m19_m24" in cycles["unreported"]


def test_blank_and_zero_are_not_fitted(observations, hypotheses) -> None:
    """A blank cell or a structural zero would be fitted as a measurement."""
    for hypothesis in hypotheses.hypotheses.values():
        chosen = targets(observations, hypothesis)
        assert all(t.value > 0.0 for t in chosen)
        assert not {"trfc1_gpu_m13_m18", "incd_gpu_m13_m18"} & {t.id for t in chosen}


def test_consumption_follows_the_reading(observations, hypotheses) -> None:
    """Cumulative consumption to M24 would not be what the hypothesis reads."""
    table = consumption(observations, hypotheses)
    gpu = table[table["resource"] == "gpu"].groupby("hypothesis")["quantity"].sum()
    assert gpu["site"] == 14400 + 14808 + 78464
    assert gpu["provisioned"] == gpu["unreported"] == 183262


def test_unknown_figure_is_refused(observations) -> None:
    """A misspelt figure in a hypothesis would silently not be fitted."""
    data = read_yaml(Path(FOLDER) / "hypotheses.yaml")
    data["hypotheses"]["site"]["reads"]["ifca_gpu_m13_m19"] = "allocated"
    with pytest.raises(ConfigError, match="did you mean 'ifca_gpu_m13_m18'"):
        load_hypotheses(data, observations)


def test_unknown_figure_to_leave_out_is_refused(observations) -> None:
    """A misspelt figure to leave out would silently be fitted."""
    data = read_yaml(Path(FOLDER) / "hypotheses.yaml")
    data["hypotheses"]["unreported"]["leaves_out"] = ["t41_training_m13_m19"]
    with pytest.raises(ConfigError, match=r"leaves_out.*did you mean 't41_training_m13_m18'"):
        load_hypotheses(data, observations)
