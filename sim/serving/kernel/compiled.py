"""How kernels are compiled: by numba, with a cache that no stale code can come out of.

numba looks only at the file of the function it compiles when it decides whether its cache is
fresh, not at the files of what that function calls. The cache therefore lies in a folder named by
a hash of all files of this package.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function when it is first called; exact on integers, no relaxed arithmetic.

    It becomes part of whoever calls it, because handing a cluster over costs more than most kernels
    do. Kernels make no arrays, so nobody has to count references to them: without `_nrt` the
    counting takes nine tenths of the time (measured). numba does not promise the option; where it
    is gone, kernels are only slower.
    """
    return _compiled(function, "always")


def compiled_apart(function: F) -> F:
    """Compile a function that is seldom called: it stays apart, which halves the compile time."""
    return _compiled(function, "never")


def _compiled(function: F, inline: str) -> F:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    options: dict[str, Any] = {"cache": True, "fastmath": False, "inline": inline}
    try:
        try:
            return numba.njit(_nrt=False, **options)(function)  # type: ignore[no-any-return]
        except (KeyError, TypeError):
            return numba.njit(**options)(function)  # type: ignore[no-any-return]
    finally:
        numba.config.CACHE_DIR = before


def cache_folder() -> Path:
    """Return the folder of compiled code: beside this file, in the user's cache, or temporary."""
    here = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    folder = here / "__pycache__"
    if not os.access(folder if folder.exists() else here, os.W_OK):
        home = Path.home()
        root = home / ".cache" if os.access(home, os.W_OK) else Path(gettempdir())
        folder = root / "aiaas-sim"
    return folder / f"kernels-{sha256(sources).hexdigest()[:16]}"
