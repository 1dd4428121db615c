"""`twoway ca`: an authority on the command line, one file for each thing that people do with it."""

from twoway.cli.ca._group import ca
from twoway.cli.ca.account import audit
from twoway.cli.ca.begin import init
from twoway.cli.ca.eab import eab
from twoway.cli.ca.est_account import est_account
from twoway.cli.ca.issue import issue, sign
from twoway.cli.ca.look import list_certificates, show
from twoway.cli.ca.publish import crl, export
from twoway.cli.ca.renew import renew
from twoway.cli.ca.revoke import revoke
from twoway.cli.ca.rotate import rotate
from twoway.cli.ca.serve import serve
from twoway.cli.ca.token import token

for command in (
    init,
    issue,
    sign,
    renew,
    revoke,
    list_certificates,
    show,
    crl,
    audit,
    export,
    token,
    est_account,
    eab,
    rotate,
    serve,
):
    ca.add_command(command)

__all__ = ["ca"]
