"""Runs: their folders, records, checkpoints, training and tables."""
