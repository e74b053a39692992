"""Accounting exports in: two canonical tables, and one reader a file for each format."""
