"""What each Git event does to the data, and the scripts that ask for it."""
