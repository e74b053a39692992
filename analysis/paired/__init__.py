"""Policies compared in the same worlds: what is played, kept and said of their differences."""
