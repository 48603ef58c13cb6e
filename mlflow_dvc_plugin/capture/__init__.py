"""What code and data is this, now or at a commit."""
