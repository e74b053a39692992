"""Exact logs and hand-computed totals."""
