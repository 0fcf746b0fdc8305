"""Metrics: arrays -> numbers, without players and without training."""
