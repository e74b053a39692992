"""Rules the operators can change: narrow protocols in `base`, one file a policy."""
