"""The whole story on one machine, on real sockets."""

from twoway.demo.playing import Played, play
from twoway.demo.telling import Teller

__all__ = ["Played", "Teller", "play"]
