"""Adversarial games in JAX: a game is its players, one function of their losses, and its turns."""

import os

# XLA reads it once, when JAX is imported: without it every program that is taken from the
# compilation cache comes with a line about the processor's features.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from typing import TYPE_CHECKING, Any

from ganjax import data, losses, play
from ganjax.game import Game, Turn
from ganjax.player import Player

if TYPE_CHECKING:
    from ganjax.runs.loading import load

__all__ = ["Game", "Player", "Turn", "data", "load", "losses", "play"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What needs Matplotlib and Orbax is imported when it is asked for."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ganjax.runs import loading

    return loading.load
