"""Ranges that the fields of entities may lie in; enforced where configuration is read."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le, Len

NonNegative = Annotated[float, Ge(0.0)]
Positive = Annotated[float, Gt(0.0)]
Fraction = Annotated[float, Ge(0.0), Le(1.0)]
Percentage = Annotated[float, Gt(0.0), Le(100.0)]
Count = Annotated[int, Ge(0)]
AtLeastOne = Annotated[int, Ge(1)]
Name = Annotated[str, Len(1, 60)]
