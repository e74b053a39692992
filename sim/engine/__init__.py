"""The deterministic engine: plays a plan against capacity and policies, writes interval logs."""
