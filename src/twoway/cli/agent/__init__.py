"""`twoway agent`: what runs where an identity is used, one file for each thing that it does."""

from twoway.cli.agent._group import agent
from twoway.cli.agent.join import join

for command in (join,):
    agent.add_command(command)

__all__ = ["agent"]
