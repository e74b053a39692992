"""Configuration: what all verbs share, one file a verb, one folder a kind of policy."""
