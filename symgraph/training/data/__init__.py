"""Data between the user and the training loop."""
