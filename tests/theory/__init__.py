"""The engine as a queue with a known answer."""
