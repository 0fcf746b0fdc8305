"""How good a game's players are: measures of arrays, a file for each kind of data or protocol."""
