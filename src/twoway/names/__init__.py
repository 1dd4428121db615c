"""Names that certificates carry: how each kind is written, how they are compared, when one matches another; pure.

Wildcards count only in patterns, never in the names that somebody presents, and a name that can be read in
two ways is compared with nothing.
"""

from twoway.names.comparison import Comparable, comparable, normalised, problem_of
from twoway.names.kinds import (
    MAX_NAME,
    BadName,
    Kind,
    Names,
    guess_kind,
    is_ip,
    matches_hostname,
    parse_dns_name,
    parse_email,
    parse_ip,
    parse_uri,
)
from twoway.names.patterns import Pattern, compile_pattern, matches_pattern
from twoway.names.spiffe import spiffe_id

__all__ = [
    "MAX_NAME",
    "BadName",
    "Comparable",
    "Kind",
    "Names",
    "Pattern",
    "comparable",
    "compile_pattern",
    "guess_kind",
    "is_ip",
    "matches_hostname",
    "matches_pattern",
    "normalised",
    "parse_dns_name",
    "parse_email",
    "parse_ip",
    "parse_uri",
    "problem_of",
    "spiffe_id",
]
