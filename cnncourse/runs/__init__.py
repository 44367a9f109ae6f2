"""Training runs: what is recorded of them, and where it is kept."""
