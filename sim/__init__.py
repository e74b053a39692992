"""The model: use cases, sites, ledgers. Knows nothing of scenarios, analysis or files."""
