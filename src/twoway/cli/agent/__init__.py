"""`twoway agent`: what runs where an identity is used, one file for each thing that it does."""

from twoway.cli.agent._group import agent
from twoway.cli.agent.join import join
from twoway.cli.agent.keep import run, status

for command in (join, run, status):
    agent.add_command(command)

__all__ = ["agent"]
