"""The authority: issue, renew, revoke, and remember all of it in a store with an audit log."""

from twoway.authority.audit import Head as AuditHead
from twoway.authority.audit import Row as AuditRow
from twoway.authority.auditing import AuditReport
from twoway.authority.authority import Authority
from twoway.authority.constraints import Constraints
from twoway.authority.profiles import Profile
from twoway.authority.records import Record

__all__ = ["AuditHead", "AuditReport", "AuditRow", "Authority", "Constraints", "Profile", "Record"]
