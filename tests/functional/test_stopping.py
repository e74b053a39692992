"""A signal to stop whose exception gets lost on the way up, as numpy loses it now and then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import pytest

from analysis import projection, stopping
from analysis.cli import run
from analysis.verbs import run as run_verb

BOTH = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Iterator[Path]:
    """Work in an empty directory, listening as `aiaas` does; the tests' own handlers come back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stopping, "_asked", [])
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    stopping.listen()
    yield tmp_path
    for number, handler in before.items():
        signal.signal(number, handler)


class Deaf:
    """A method that, when it has been called often enough, gets a signal and loses its exception.

    Args:
        method: What it does else.
        how: The signal.
        at: Number of the call.
    """

    def __init__(self, method: Callable[..., Any], how: signal.Signals, at: int) -> None:
        """Count from none."""
        self.method, self.how, self.at, self.calls, self.lost = method, how, at, 0, 0

    def __get__(self, instance: object, _: type) -> Callable[..., Any]:
        """Bind as a function would."""
        return lambda *given: self(instance, *given)

    def __call__(self, *given: Any) -> Any:
        """Do it; the exception of the signal ends here."""
        self.calls += 1
        if self.calls == self.at:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(self.how)
                for _ in range(1000):  # Python looks for signals when it jumps back
                    pass
                pytest.fail("the signal raised nothing")
            self.lost += 1
        return self.method(*given)


@BOTH
def test_a_run_stops_though_the_exception_got_lost(how, here, monkeypatch, capsys) -> None:
    """Ctrl-C at an unlucky moment would do nothing, and all replicates be played to the end."""
    deaf = Deaf(run_verb.Kept.__call__, how, 3)
    monkeypatch.setattr(run_verb.Kept, "__call__", deaf)
    asked = ("run", "federation=tiny", "parameters=configured", "jobs=1", "replicates=6")
    assert run(asked) == 130
    assert deaf.lost == 1
    assert "goes on from there" in capsys.readouterr().err
    (folder,) = (here / "outputs" / "run").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert manifest["replicates_finished"] == deaf.calls == 3
    (kept,) = (here / "outputs" / "kept").glob("run-*.joblib")
    assert len(joblib.load(kept)) == 3


def test_a_chunk_stops_though_the_exception_got_lost(here, monkeypatch) -> None:
    """A long projection or calibration could not be stopped, or lose the runs of its chunk."""
    deaf = Deaf(projection.Keep.__call__, signal.SIGINT, 4)
    monkeypatch.setattr(projection.Keep, "__call__", deaf)
    assert run(["project", "federation=tiny", "draws=4", "jobs=1"]) == 130
    assert deaf.lost == 1
    assert deaf.calls == 4
    (part,) = (here / "outputs" / "kept").rglob("*.part")
    assert len(joblib.load(part)) == 4
    (folder,) = (here / "outputs" / "project").iterdir()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "interrupted"


def test_no_job_of_a_sweep_begins_after_a_signal_that_got_lost(here, monkeypatch) -> None:
    """One job would end all the same, because it was nearly done, and the next one be begun."""
    deaf = Deaf(run_verb.write_csv, signal.SIGINT, 1)
    monkeypatch.setattr(run_verb, "write_csv", deaf.__call__)
    asked = ("run", "-m", "federation=tiny", "parameters=configured", "jobs=1", "seed=1,2")
    assert run(asked) == 130
    assert deaf.lost == 1
    (folder,) = (here / "outputs" / "run").iterdir()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "finished"


def test_signals_that_are_to_be_ignored_stay_ignored(here) -> None:
    """A job in the background of a shell would be stopped by a Ctrl-C that is meant for another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping.listen()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.raise_signal(signal.SIGINT)
    stopping.stop_if_asked()


def test_nothing_stops_that_was_not_asked_to(here) -> None:
    """Work would end by itself, or a request to stop not be remembered."""
    stopping.stop_if_asked()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        stopping.stop_if_asked()


STOPPED_WHILE_IMPORTING = """
import signal, sys

class Unlucky:
    def find_spec(self, name, path, target=None):
        if name == "analysis.cli":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("as numpy reports it") from None

sys.meta_path.insert(0, Unlucky())
from analysis.__main__ import main
main()
"""


def test_a_signal_while_everything_is_imported_is_one_line(here) -> None:
    """Ctrl-C in the first seconds would end in a traceback."""
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_WHILE_IMPORTING, "validate"],
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr == "aiaas: interrupted before anything began\n"
