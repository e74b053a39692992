"""What a user gets: the wheel in a virtual environment of its own, used from an empty directory."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.install, pytest.mark.xdist_group("install")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True, capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Install the wheel beside this interpreter's dependencies, not beside this checkout."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "lib" / version / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages,
         wheel],
        check=True, capture_output=True,
    )
    dependencies = tmp_path_factory.mktemp("dependencies")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "aiaas" not in entry.name and not entry.name.endswith(".pth"):
            (dependencies / entry.name).symlink_to(entry)
    (packages / "dependencies.pth").write_text(f"{dependencies}\n")
    return home


def _aiaas(installed: Path, here: Path, *arguments: str) -> subprocess.CompletedProcess:
    code = "import sys; from analysis.__main__ import main; sys.argv[0] = 'aiaas'; main()"
    return subprocess.run(
        [installed / "bin" / "python", "-c", code, *arguments], cwd=here, text=True,
        capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(here)},
    )


def test_wheel_holds_the_packages_and_their_data(wheel) -> None:
    """The wheel would lack configuration or data, or carry the tests."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {n.split("/")[0] for n in names if not n.startswith("aiaas_sim-")}
    assert tops == {"sim", "scenarios", "conf", "analysis"}
    for wanted in (
        "conf/run.yaml", "conf/policy/admission/gpu_quota.yaml", "conf/__init__.py",
        "scenarios/imagine/observations.csv", "scenarios/imagine/posterior/draws.parquet",
        "scenarios/tiny/posterior/made_from.json", "analysis/starter/templates/federation.yaml",
    ):
        assert wanted in names


def test_the_wheel_is_what_runs(installed, tmp_path) -> None:
    """The test would try the checkout and not the wheel."""
    done = subprocess.run(
        [installed / "bin" / "python", "-c", "import analysis; print(analysis.__file__)"],
        cwd=tmp_path, text=True, capture_output=True, check=True, env={},
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_run_from_an_empty_directory(installed, tmp_path) -> None:
    """An installed package would not find its configuration or its federations."""
    done = _aiaas(installed, tmp_path, "run", "federation=tiny", "jobs=1")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "run").iterdir()
    assert {"usage.parquet", "summary.json", "manifest.json"} <= {p.name for p in folder.iterdir()}


def test_project_from_an_empty_directory(installed, tmp_path) -> None:
    """An installed package would not find its posterior, or fail to draw."""
    done = _aiaas(installed, tmp_path, "project", "federation=tiny", "draws=4", "jobs=1")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "project").iterdir()
    assert {"projection.csv", "projection_draws.parquet", "report.md", "tables.xlsx"} <= {
        p.name for p in folder.iterdir()
    }
    figures = {p.stem for p in (folder / "figures").glob("*.png")}
    # one reading needs no figure of readings, four draws are too few for a tornado
    assert figures == {"cpu", "fit", "gpu", "sites", "storage", "uncertainty"}


def test_bad_input_from_an_empty_directory(installed, tmp_path) -> None:
    """An installed package would answer a mistake with a traceback, or leave files."""
    done = _aiaas(installed, tmp_path, "run", "federation=tiny", "replicats=3")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
