"""Being told to stop: Ctrl-C, and SIGTERM as batch systems send it.

KeyboardInterrupt alone can get lost: it is raised in whatever line of Python runs at that moment,
and some C code drops every exception of what it calls. numpy does so when it asks a type for
`__array_ufunc__`: comparing an array with a member of an Enum runs Python code of the enum there.
So the request is remembered, too, and looked at wherever work is counted (`analysis.progress`) and
before each job of a sweep.
"""

from __future__ import annotations

import signal
from types import FrameType

_asked: list[int] = []  # signals that came; a list, because its append cannot be interrupted


def listen() -> None:
    """Stop on Ctrl-C and SIGTERM from now on, unless whoever started us has them ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _told)


def asked() -> bool:
    """Return whether a signal to stop has come."""
    return bool(_asked)


def stop_if_asked() -> None:
    """Do what the signal would have done, in case its exception got lost.

    Raises:
        KeyboardInterrupt: When a signal to stop came earlier.
    """
    if _asked:
        raise KeyboardInterrupt


def _told(number: int, _: FrameType | None) -> None:
    _asked.append(number)
    raise KeyboardInterrupt
