"""Adversarial games in JAX: a game is its players, one function of their losses, and its turns."""

import os

# XLA reads it once, when JAX is imported: without it every program that is taken from the
# compilation cache comes with a line about the processor's features.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from ganjax import data, losses, play
from ganjax.game import Game, Turn
from ganjax.player import Player

__all__ = ["Game", "Player", "Turn", "data", "losses", "play"]
__version__ = "0.1.0"
