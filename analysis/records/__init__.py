"""Deployment records: one row a deployment, from an operator's log or from a simulated run."""
