"""Runs: their folders, records, checkpoints and training."""
