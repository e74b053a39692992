"""The model: use cases, sites, ledgers. Knows nothing of scenarios, analysis or files."""

MODEL_VERSION = "3"  # raised whenever the same specification gives other results (golden test)
