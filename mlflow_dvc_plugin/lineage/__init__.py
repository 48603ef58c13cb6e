"""From commits and data to runs, and from a run back to its code and data."""
