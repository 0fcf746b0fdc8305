"""Figures: arrays -> Matplotlib, without players. Host code; no pyplot, no global state."""
