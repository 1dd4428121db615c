"""Keeps identities fresh: renews them in time, writes them whole, tells whoever uses them, and is loud when it cannot."""

from twoway.enroll.agent.managed import Managed
from twoway.enroll.agent.running import Agent, run
from twoway.enroll.agent.settings import AgentOptions, IdentityOptions
from twoway.enroll.agent.state import State, read_state

__all__ = ["Agent", "AgentOptions", "IdentityOptions", "Managed", "State", "read_state", "run"]
