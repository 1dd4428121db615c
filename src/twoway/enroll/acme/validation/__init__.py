"""Looking for the proof of a name: out to hosts that others chose, so bounded in where, how long and how much."""
