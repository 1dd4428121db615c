"""`twoway gateway …`: one file for what runs, one for what looks."""

from twoway.cli.gateway._group import gateway as gateway
