"""For tests of your own: identities that fit, identities that do not, a running server, and every refusal on demand.

The fixtures come with a pytest plugin that is there once twoway is installed; see docs/testing.md.
"""

from twoway.testing.company import Company
from twoway.testing.failures import FAILURES, Failed, Failure
from twoway.testing.issuer import Issuer
from twoway.testing.served import Served, serving

__all__ = ["FAILURES", "Company", "Failed", "Failure", "Issuer", "Served", "serving"]
