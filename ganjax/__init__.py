"""Adversarial games in JAX: a game is its players, one function of their losses, and its turns."""

from ganjax import data, losses, play
from ganjax.game import Game, Turn
from ganjax.player import Player

__all__ = ["Game", "Player", "Turn", "data", "losses", "play"]
__version__ = "0.1.0"
