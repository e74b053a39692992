"""What an import of accounting (`aiaas import`) says of a federation: totals and records."""
