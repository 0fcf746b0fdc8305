"""Adversarial games in JAX: players, one function of payoffs, the order of turns."""

__version__ = "0.1.0"
