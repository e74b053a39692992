"""What the mechanism cannot reproduce: sizes from residuals, walks, what may be known when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.discrepancy import (
    COLUMNS,
    FILE,
    HALF_YEAR,
    LEAST,
    MOST,
    OWN,
    POINTS,
    SCALE,
    Sizes,
    contrasts,
    estimate,
    load_residuals,
    loads,
    no_residuals,
    posterior,
    walks,
)
from analysis.storing import write_csv
from sim.errors import DataError
from sim.units import RESOURCES

GRID = np.geomspace(LEAST, MOST, POINTS)
BACKCASTS = (("M12", "M13-M18"), ("M12", "M19-M24"), ("M18", "M19-M24"))
BLANK = (np.nan, np.nan, np.nan)


def _rows(residual: dict[tuple[str, str], float], **cells: object) -> pd.DataFrame:
    rows = [
        (
            origin,
            "one",
            period,
            "all",
            "gpu",
            "GPU-h",
            100.0,
            residual[origin, period],
            0.01,
            *BLANK,
        )
        for origin, period in residual
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(**cells)


def _only(size: float) -> Sizes:
    """Return sizes that are known: of the shared walks, none of the sites' own."""
    sure, none = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    return Sizes(np.array([0.0, size]), {**dict.fromkeys(RESOURCES, sure), OWN: none})


def test_loads_are_those_of_a_walk_averaged_over_its_months() -> None:
    """The sizes would be learnt for other walks than those that projections draw."""
    load = loads(*zip(*BACKCASTS, strict=True))
    steps = np.random.Generator(np.random.Philox(1)).standard_normal((4000, 24))
    for row, (origin, period) in zip(load, BACKCASTS, strict=True):
        after = np.arange(1, 25) > int(origin[1:])
        level = np.cumsum(steps * after, axis=1)
        first, last = (int(m[1:]) for m in period.split("-"))
        assert steps @ row == pytest.approx(level[:, first - 1 : last].mean(axis=1))
    one, two = (load @ load.T / HALF_YEAR).diagonal()[:2]
    assert one == pytest.approx(91 / 216)
    assert two == pytest.approx(1 + 91 / 216)


def test_covariance_of_backcasts_is_that_of_shared_steps() -> None:
    """Two backcasts of the same months would count as two witnesses."""
    load = loads(*zip(*BACKCASTS, strict=True))
    shared = load @ load.T / HALF_YEAR
    assert shared[1, 2] == pytest.approx(91 / 216)
    assert shared[0, 2] == 0.0
    assert shared[0, 1] == pytest.approx(21 / 36)


def test_posterior_covers_the_size_it_was_simulated_with() -> None:
    """The stated uncertainty of a size would be too narrow or too wide."""
    random = np.random.Generator(np.random.Philox(7))
    load = loads(*zip(*BACKCASTS, strict=True))
    shape, variance = load @ load.T / HALF_YEAR, np.full(3, 0.02)
    prior = posterior(GRID, np.empty(0), np.empty(0), np.empty((0, 0)))
    ranks = []
    for size in random.choice(GRID, 1500, p=prior):
        covariance = np.diag(variance) + size**2 * shape
        residual = random.multivariate_normal(np.zeros(3), covariance)
        found = posterior(GRID, residual, variance, shape)
        below = np.cumsum(found)[np.searchsorted(GRID, size)]
        ranks.append(below - random.random() * found[np.searchsorted(GRID, size)])
    for level in (0.5, 0.9):
        inside = (np.abs(np.array(ranks) - 0.5) < level / 2).mean()
        assert inside == pytest.approx(level, abs=0.035)


def test_many_residuals_find_the_size() -> None:
    """A size would not be found even where the data say it."""
    random = np.random.Generator(np.random.Philox(3))
    residual = 0.6 * random.standard_normal(400)
    found = posterior(GRID, residual, np.full(400, 1e-6), np.eye(400))
    assert (found * GRID).sum() == pytest.approx(0.6, rel=0.1)


def test_nothing_known_leaves_the_prior() -> None:
    """A federation without residuals would get walks of no size, or of a wild one."""
    sizes = estimate(no_residuals(), 24, {"one": 1.0})
    for name in (*RESOURCES, OWN):
        assert sizes.quantile(name, 0.5) < SCALE
        ratio = sizes.weights[name][1:] / sizes.weights[name][:-1]
        density = GRID / (1 + (GRID / SCALE) ** 2)
        assert ratio == pytest.approx(density[1:] / density[:-1])


def test_later_residuals_do_not_change_earlier_sizes() -> None:
    """A backcast would have learnt how wrong it is from the figures it is to predict."""
    small = dict.fromkeys(BACKCASTS, 0.05)
    later = {**small, ("M12", "M19-M24"): 3.0, ("M18", "M19-M24"): -3.0}
    weights = {"one": 1.0}
    one, other = (estimate(_rows(r), 18, weights) for r in (small, later))
    for name in one.weights:
        assert np.array_equal(one.weights[name], other.weights[name])
    at_first = estimate(_rows(later), 12, weights)
    prior = estimate(no_residuals(), 12, weights)
    assert np.array_equal(at_first.weights["gpu"], prior.weights["gpu"])
    assert estimate(_rows(later), 24, weights).quantile("gpu", 0.5) > 3 * one.quantile("gpu", 0.5)


def test_readings_are_mixed_by_their_weights_and_resources_apart() -> None:
    """A reading that misses much would count more than its weight, or a resource for another."""
    little = _rows(dict.fromkeys(BACKCASTS, 0.01))
    much = _rows(dict.fromkeys(BACKCASTS, 1.0), hypothesis="other")
    both = pd.concat([little, much], ignore_index=True)
    mixed, one, other = (
        estimate(both, 24, w) for w in ({"one": 3.0, "other": 1.0}, {"one": 1.0}, {"other": 1.0})
    )
    expected = 0.75 * one.weights["gpu"] + 0.25 * other.weights["gpu"]
    assert mixed.weights["gpu"] == pytest.approx(expected)
    assert np.array_equal(mixed.weights["cpu"], one.weights["cpu"])
    silent = estimate(both, 24, {"third": 1.0})
    assert np.array_equal(silent.weights["gpu"], silent.weights["cpu"])


def test_shares_move_by_own_walks_less_their_weighted_mean() -> None:
    """A site that is nearly the whole total would seem to have no walk of its own."""
    rows = pd.DataFrame(
        {
            "fitted_to": "M12",
            "period": "M13-M18",
            "resource": ["cpu", "cpu", "gpu"],
            "site": ["North", "South", "North"],
            "share": [0.5, 0.3, 1.0],
        }
    )
    found = contrasts(rows)
    north, south, gpu, rest = found.T[:4]
    assert north == pytest.approx([0.5, -0.5, 0.0])
    assert south == pytest.approx([-0.3, 0.7, 0.0])
    assert gpu == pytest.approx([0.0, 0.0, 0.0])
    assert rest == pytest.approx([-0.2, -0.2, 0.0])
    assert found.sum(axis=1) == pytest.approx([0.0, 0.0, 0.0])


def test_size_of_own_walks_is_found_from_shares() -> None:
    """Sites would drift from each other by less, or more, than they were seen to."""
    random = np.random.Generator(np.random.Philox(5))
    load = loads(*zip(*BACKCASTS, strict=True))
    rows, shares = [], np.array([0.6, 0.3, 0.1])
    for k in range(60):
        steps = 0.5 * random.standard_normal((3, load.shape[1])) / np.sqrt(HALF_YEAR)
        own = steps @ load.T
        for b, (origin, period) in enumerate(BACKCASTS):
            for s, share in enumerate(shares):
                apart = own[s, b] - shares @ own[:, b]
                where = (origin, f"world {k}", period, f"S{s}", "cpu", "CPU-h", 1.0)
                rows.append((*where, 0.0, 1.0, share, apart, 1e-4))
    told = pd.DataFrame(rows, columns=list(COLUMNS))
    sizes = estimate(told, 24, {f"world {k}": 1.0 for k in range(60)})
    mean = (sizes.weights[OWN] * sizes.grid).sum()
    assert mean == pytest.approx(0.5, rel=0.2)
    prior = estimate(no_residuals(), 24, {"one": 1.0})
    assert np.allclose(sizes.weights["cpu"], prior.weights["cpu"])


def test_walks_have_the_stated_variance_and_median_in_each_month() -> None:
    """Intervals would widen faster or slower than the residuals say."""
    sizes = Sizes(
        np.array([0.4, 0.3, 0.0]),
        {
            "gpu": np.array([1.0, 0.0, 0.0]),
            "cpu": np.array([0.0, 1.0, 0.0]),
            "storage": np.array([0.0, 0.0, 1.0]),
            OWN: np.array([0.0, 1.0, 0.0]),
        },
    )
    random = np.random.Generator(np.random.Philox(2))
    logs = np.log(walks(sizes, ("North", "South"), 12, 20_000, random))
    assert logs.shape == (20_000, 12, 2, 3)
    months = np.arange(1, 13) / HALF_YEAR
    for r, size in enumerate((0.4, 0.3, 0.0)):
        for site in range(2):
            assert logs[:, :, site, r].var(axis=0) == pytest.approx(
                (size**2 + 0.3**2) * months, rel=0.05
            )
        both = (logs[:, :, 0, r] * logs[:, :, 1, r]).mean(axis=0)
        assert both == pytest.approx(size**2 * months, abs=0.015)
    assert np.abs(np.median(logs, axis=0)).max() < 0.02
    across = np.corrcoef(logs[:, -1, 0, 0], logs[:, -1, 0, 1])[0, 1]
    assert abs(across) < 0.03


def test_intervals_widen_with_the_horizon() -> None:
    """A projection would be as sure of the second half-year as of the first."""
    random = np.random.Generator(np.random.Philox(4))
    factors = walks(_only(0.3), ("North",), 12, 10_000, random)[:, :, 0, 0]
    one, two = np.log(factors[:, :6].mean(axis=1)), np.log(factors[:, 6:].mean(axis=1))
    assert one.std() == pytest.approx(0.3 * np.sqrt(91 / 216), rel=0.05)
    assert two.std() == pytest.approx(0.3 * np.sqrt(1 + 91 / 216), rel=0.05)
    monthly = np.quantile(factors, 0.95, axis=0) / np.quantile(factors, 0.05, axis=0)
    assert (np.diff(monthly) > 0.0).all()


def test_walks_are_the_same_for_the_same_generator() -> None:
    """A projection would change each time it is made."""
    sizes = estimate(no_residuals(), 24, {"one": 1.0})
    one, two = (
        walks(sizes, ("North",), 3, 5, np.random.Generator(np.random.Philox(9))) for _ in range(2)
    )
    assert np.array_equal(one, two)
    assert (one > 0.0).all()


def test_draws_of_sizes_follow_their_probabilities() -> None:
    """Walks would have other sizes than the table of sizes says."""
    sizes = Sizes(np.array([0.1, 0.2, 0.4]), {"gpu": np.array([0.2, 0.5, 0.3])})
    drawn = sizes.draw("gpu", 20_000, np.random.Generator(np.random.Philox(6)))
    assert [(drawn == v).mean() for v in sizes.grid] == pytest.approx([0.2, 0.5, 0.3], abs=0.02)
    assert sizes.quantile("gpu", 0.5) == 0.2
    assert sizes.summary()["p95"].tolist() == [0.4]


def test_residuals_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A projection would carry other walks than the backcast published."""
    rows = pd.concat(
        [
            _rows(dict.fromkeys(BACKCASTS, 0.25)),
            _rows(dict.fromkeys(BACKCASTS, 0.5), site="North", share=0.5, share_residual=0.1,
                  share_variance=0.01),
        ],
        ignore_index=True,
    )  # fmt: skip
    write_csv(rows, tmp_path / FILE)
    pd.testing.assert_frame_equal(load_residuals(tmp_path), rows)
    (tmp_path / FILE).unlink()
    assert load_residuals(tmp_path).empty
    write_csv(rows.iloc[:0], tmp_path / FILE)
    assert load_residuals(tmp_path).empty
    assert list(load_residuals(tmp_path).columns) == list(COLUMNS)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.drop(columns="variance"), "column missing"),
        (lambda f: f.assign(sigma=1.0), "unknown column"),
        (lambda f: f.assign(variance=0.0), "column variance"),
        (lambda f: f.assign(log_residual=np.nan), "column log_residual"),
        (lambda f: f.assign(log_residual="much"), "column log_residual"),
        (lambda f: f.assign(reported=-1.0), "column reported"),
        (lambda f: f.assign(resource="disk"), "column resource"),
        (lambda f: f.assign(period="M7-M12"), "column period"),
        (lambda f: f.assign(period="soon"), "column period"),
        (lambda f: f.assign(fitted_to="then"), "column period"),
        (lambda f: f.assign(share_residual=0.1), "column share"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, spoil, said) -> None:
    """A projection would go on with walks from a table that is none of residuals."""
    write_csv(spoil(_rows(dict.fromkeys(BACKCASTS, 0.25))), tmp_path / FILE)
    with pytest.raises(DataError, match=said):
        load_residuals(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A broken file would end in a traceback."""
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        load_residuals(tmp_path)


def test_a_single_site_has_no_walk_beside_that_of_the_total() -> None:
    """A federation with one site would be as unsure as its total and a site's own walk together."""
    weights = np.zeros(POINTS)
    weights[-1] = 1.0
    none = np.zeros(POINTS)
    none[0] = 1.0
    sizes = Sizes(GRID, {**dict.fromkeys(RESOURCES, none), OWN: weights})
    one = walks(sizes, ["a"], HALF_YEAR, 400, np.random.default_rng(0))
    two = walks(sizes, ["a", "b"], HALF_YEAR, 400, np.random.default_rng(0))
    assert np.log(one[:, -1]).std() == pytest.approx(LEAST, rel=0.2)
    assert np.log(two[:, -1]).std() == pytest.approx(MOST, rel=0.2)
