"""How sure a projection is, where the answer is known because the runs were made by a formula.

GPU hours follow `hold_time`, which the draws leave as wide as its prior, and `request_rate`, which
they know to a third of it; at South, where there are few, `dataset_size`. CPU hours follow
`growth_time`, a parameter of one growth law alone. Storage follows nothing but chance.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.calibrate import LEFT
from analysis.calibration.shipped import Posterior, read_posterior
from analysis.certainty import Certainty, certainty
from analysis.corrections import scaled
from analysis.federations import Case, load_case, packaged
from analysis.projection import Ensemble, Kept, figures_of
from analysis.sensitivity import ALONE, INFORMED
from sim.units import LEDGERS, RESOURCES

LAWS = ("saturating", "deployed")
DRAWS, EACH = 240, 2
HOLD, RATE, GROWTH = 0.5, 1.0, 0.4  # of the logarithm of a quantity, for a step of 1 in z
SD_RATE = 0.3  # of z in the draws
SOUTH = 0.01  # of what North has
CHANCE, WRONG = 0.1, 0.2  # sd of the logarithm: between replicates, by the model's discrepancy
SEED = 4


@pytest.fixture
def case(tiny) -> Case:
    """Return the tiny federation with its figures."""
    return load_case(tiny, packaged()["tiny"])


def _draws(case: Case, count: int) -> pd.DataFrame:
    """Return posterior draws of both growth laws; each has a parameter that the other has not."""
    random, priors = np.random.default_rng(SEED), case.priors.priors
    table = pd.DataFrame({"hypothesis": "stated", "law": np.resize(LAWS, count)})
    for name, prior in priors.items():
        z = np.clip(random.standard_normal(count), -2.4, 2.4)
        z *= SD_RATE if name == "request_rate" else 1.0
        has_it = np.array([name in case.priors.names(law) for law in table["law"]])
        table[name] = np.where(has_it, prior.value(z), np.nan)
    return table


def _runs(case: Case, draws: pd.DataFrame) -> Ensemble:
    """Return runs of the draws, out of order as processes may finish them."""
    random = np.random.default_rng(SEED + 1)
    z = {n: p.z(draws[n].to_numpy(float)) for n, p in case.priors.priors.items()}
    gpu = HOLD * z["hold_time"] + RATE * z["request_rate"]
    cpu = GROWTH * np.nan_to_num(z["growth_time"])
    logs = np.column_stack([gpu, cpu, np.zeros(len(draws))])
    point = random.permutation(np.repeat(np.arange(len(draws)), EACH))
    values = np.exp(logs[point] + CHANCE * random.standard_normal((len(point), 3)))
    both = np.stack([values, SOUTH * values], axis=1)
    both[:, 1, 0] = SOUTH * np.exp(HOLD * z["dataset_size"][point])
    months, none = case.federation.calendar.months, np.ones(len(figures_of(case)))
    shape = (months, *both.shape[1:], len(LEDGERS))
    kept = [Kept(np.broadcast_to(100.0 * v[..., None], shape).copy(), {}, none) for v in both]
    laws = [draws["law"][i] for i in point]
    return Ensemble(kept, ["stated"] * len(point), figures_of(case), point, laws)


def _posterior(case: Case) -> Posterior:
    """Return a posterior that says of itself what the draws are."""
    known = {n: SD_RATE if n == "request_rate" else 1.0 for n in case.priors.priors}
    table = pd.DataFrame(
        {"hypothesis": "stated", "parameter": list(known), "ratio": list(known.values())}
    )
    ways = [("stated", 1, SD_RATE, 0.9, "+1.00 request_rate"), ("stated", 2, 1.0, 0.0, "rest")]
    columns = ["hypothesis", "direction", "ratio", "share", "parameters"]
    shipped = read_posterior(packaged()["tiny"] / "posterior")
    return replace(shipped, parameters=table, directions=pd.DataFrame(ways, columns=columns))


def _found(case: Case, count: int) -> Certainty:
    draws = _draws(case, count)
    before = _runs(case, draws)
    months = case.federation.calendar.months - case.federation.reported_months
    random = np.random.default_rng(SEED + 2)
    wrong = np.exp(WRONG * random.standard_normal(len(before.kept)))
    shape = (len(wrong), months, len(case.federation.sites), len(RESOURCES))
    after = scaled(before, case, np.broadcast_to(wrong[:, None, None, None], shape))
    return certainty(case, _posterior(case), draws, before, after, SEED)


@pytest.fixture
def found(case) -> Certainty:
    """Return how sure the projection is."""
    return _found(case, DRAWS)


def test_the_tornado_finds_what_moves_a_quantity_and_by_how_much(case, found) -> None:
    """A planner would be sent to measure a parameter on which nothing hangs."""
    moved = found.tornado[(found.tornado["way"] == ALONE) & (found.tornado["site"] == "all")]
    z = case.priors.priors["hold_time"].z(_draws(case, DRAWS)["hold_time"].to_numpy(float))
    expected = 100.0 * np.expm1(HOLD * (np.quantile(z, [0.05, 0.95]) - z.mean()))
    gpu = moved[moved["resource"] == "gpu"].set_index("parameter")
    assert list(gpu["swing"].nlargest(2).index) == ["hold_time", "request_rate"]
    shown = gpu.loc["hold_time", ["percent_p05", "percent_p95"]].to_numpy(float)
    assert shown == pytest.approx(expected, rel=0.1)
    assert gpu["swing"].sort_values().iloc[-3] < 0.1 * gpu.loc["hold_time", "swing"]
    assert gpu.loc["request_rate", "sd_ratio"] == pytest.approx(SD_RATE, rel=0.2)
    assert gpu.loc["request_rate", "verdict"] == INFORMED
    south = found.tornado[(found.tornado["way"] == ALONE) & (found.tornado["site"] == "South")]
    south = south[south["resource"] == "gpu"].set_index("parameter")["swing"]
    assert south.idxmax() == "dataset_size"
    cpu = moved[moved["resource"] == "cpu"].set_index("parameter")
    assert cpu["swing"].idxmax() == "growth_time"
    assert cpu.loc["growth_time", "sd_ratio"] == pytest.approx(1.0, abs=0.12)  # half lack it
    assert cpu.loc["growth_time", "verdict"] == LEFT


def test_the_indices_are_the_shares_that_were_put_in(found) -> None:
    """Shares of the variance would be told of other parameters, or of other draws' values."""
    table = found.sobol[(found.sobol["site"] == "all") & (found.sobol["resource"] == "gpu")]
    first = table.set_index("parameter")["first"]
    parts = HOLD**2, (RATE * SD_RATE) ** 2
    assert first["hold_time"] == pytest.approx(parts[0] / sum(parts), abs=0.07)
    assert first["request_rate"] == pytest.approx(parts[1] / sum(parts), abs=0.07)
    assert first.drop(["hold_time", "request_rate"]).max() < 0.03


def test_what_is_chance_alone_has_no_movers(found) -> None:
    """A quantity that no parameter explains would be given movers all the same."""
    r2 = found.explained.set_index("quantity")["r2"]
    assert r2["all GPU-h"] > 0.95
    assert r2["all TB-month"] < 0.2
    assert set(found.tornado["resource"]) == {"gpu", "cpu"} == set(found.sobol["resource"])


def test_the_words_name_the_mover_and_what_is_known(found) -> None:
    """The last lines of `aiaas project` would praise what is assumed, or name a wrong mover."""
    known, prior, changes = (list(part) for part in found.words.sections().values())
    assert known[0].startswith("Under `stated` the figures inform 1 of 2 independent directions")
    assert known[1].endswith("`request_rate` (0.30).")
    (left,) = (line for line in prior if "left at their prior" in line)
    assert "`hold_time`" in left
    assert "request_rate" not in left
    (gpu,) = (line for line in changes if line.startswith("GPU") and "hangs most on" in line)
    low, high = map(int, re.findall(r"`hold_time` \((-\d+) % to \+(\d+) %\)", gpu)[0])
    assert low == pytest.approx(100 * np.expm1(-HOLD * 1.645), abs=6)
    assert high == pytest.approx(100 * np.expm1(HOLD * 1.645), abs=20)
    assert "request_rate" not in gpu  # moves it, but is known
    (cpu,) = (line for line in changes if line.startswith("CPU") and "hangs most on" in line)
    assert cpu.split("hangs most on ")[1].startswith("`growth_time` (")
    assert not [x for x in changes if "hangs most on" in x and x not in (gpu, cpu)]


def test_the_words_split_the_variance_as_it_was_put_together(found) -> None:
    """A planner would read that chance decides where it is parameters, or the other way round."""
    parts = {
        "parameters": HOLD**2 + (RATE * SD_RATE) ** 2,
        "replicates": CHANCE**2,
        "discrepancy": WRONG**2,
    }
    (line,) = (x for x in found.words.changes if x.startswith("GPU") and "of the variance" in x)
    told = {name: int(share) for name, share in re.findall(r"(\w+) (\d+) %", line)}
    assert list(told)[:2] == ["parameters", "discrepancy"]
    for name, part in parts.items():
        assert told[name] == pytest.approx(100.0 * part / sum(parts.values()), abs=6)
    assert line.endswith("hypotheses under 1 %.")


def test_too_few_draws_name_no_mover_but_still_split_the_variance(case) -> None:
    """A projection with few draws would end in an error, or name movers that are noise."""
    found = _found(case, 4 * len(case.priors.priors) - 1)
    assert found.tornado.empty
    assert found.sobol.empty
    assert found.explained.empty
    assert len(found.shares)
    assert not [x for x in found.words.changes if "hangs most on" in x]
    assert [x for x in found.words.changes if "of the variance" in x]
