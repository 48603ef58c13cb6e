"""What the plugin costs beside what a user would do without it: `python -m benchmarks`."""
