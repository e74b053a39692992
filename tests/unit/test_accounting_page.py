"""The how-to of every format: complete, current, and made from what the readers say."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

from analysis.accounting import formats
from analysis.accounting_page import said, section

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_current() -> None:
    """A new format or option would not be in the docs."""
    command = [sys.executable, "-m", "analysis.accounting_page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_option_and_sentence_of_a_reader_is_in_its_section(monkeypatch) -> None:
    """A trap that a reader knows would be left out of its how-to."""
    monkeypatch.chdir(ROOT)
    for name in formats.names():
        text = section(name)
        reader = formats.reader_of(name)
        assert reader.SAYS in text
        for option in reader.OPTIONS:
            assert f"| `{option.name}` |" in text
            assert not option.required or f"{option.name}=…" in text
    text = section("sacct")
    assert "job steps, which are part of their job" in text  # a constant
    assert "Times are local to … (time_zone)" in text  # with a value of run time
    assert "- State: unknown state (expected a state of man sacct)" in text


def test_texts_are_found_once_and_in_order(tmp_path, monkeypatch) -> None:
    """A sentence would be listed for each place it is said at, or a variable's name instead."""
    source = (
        "WHY = 'kept elsewhere'\n"
        "def read(reading):\n"
        "    reading.note('b', 1)\n    reading.note('a')\n    reading.note('b', 2)\n"
        "    reading.merge('p', [1], WHY)\n    reading.note(unknown)\n"
    )
    (tmp_path / "made_up_reader.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import made_up_reader

    assert isinstance(made_up_reader, types.ModuleType)
    assert said(made_up_reader)["note"] == ["b", "a"]
