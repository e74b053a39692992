"""Accounting out: a simulated run as the canonical jobs table, and that table in other formats."""
