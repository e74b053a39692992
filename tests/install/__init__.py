"""The built wheel, used from an empty directory."""
