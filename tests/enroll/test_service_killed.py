"""Killed at any moment under load, the service has handed out nothing that the authority does not remember."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from cryptography import x509

import twoway
from tests.authority.conftest import make_csr
from twoway.authority import Authority
from twoway.credential import Credential, certificates_from_pem
from twoway.errors import TwowayError
from twoway.trust import Trust

STORES = ("sqlite", "postgresql")
ROUNDS = int(os.environ.get("TWOWAY_KILL_ROUNDS", "5"))
CALLERS = 4
CSR = make_csr(None)

SERVE = """
import asyncio, io, sys
from twoway.authority import Authority
from twoway.enroll import Address, ServiceOptions
from twoway.enroll.running import running
from twoway.server import Journal
async def story():
    options = ServiceOptions(listen=Address("127.0.0.1", 0), roles=("operator:cn=operator",), access_log=False)
    with Authority.open(sys.argv[1]) as authority:
        async with running(authority, options, Journal("json", io.StringIO())) as found:
            print(found.port, flush=True)
            await asyncio.Event().wait()
asyncio.run(story())
"""


class Told:
    """What callers were told before the line went dead."""

    def __init__(self) -> None:
        self.issued: list[str] = []
        self.revoked: list[str] = []

    def work(self, port: int, root: x509.Certificate, operator: Credential, seed: int, limit: int) -> None:
        """Issue, renew and revoke until the service is gone, or `limit` calls were answered."""
        chance = random.Random(seed)
        with twoway.Client(
            identity=operator, trust=Trust((root,)), base_url=f"https://localhost:{port}"
        ) as client:
            for number in range(limit):
                try:
                    if chance.random() < 0.3 and self.issued:
                        wanted = chance.choice(self.issued)
                        answer = client.post("/revoke", json={"certificate": wanted, "reason": "superseded"})
                        if answer.status_code == 200:
                            self.revoked.append(wanted)
                        assert answer.status_code in (200, 409), answer.text
                        continue
                    path = "/renew" if number % 3 == 0 else "/sign?profile=client"
                    csr = CSR if path == "/renew" else make_csr(f"client-{seed}-{number}")
                    answer = client.post(path, content=csr)
                    assert answer.status_code == 201, answer.text
                    self.issued.append(f"{certificates_from_pem(answer.content)[0].serial_number:x}")
                except (TwowayError, httpx2.HTTPError):
                    return


@pytest.mark.slow
def test_sigkill_of_a_service_under_load_loses_nothing_that_was_told(authority: Authority) -> None:
    """Every certificate that left has its row and audit entry, every revocation that was confirmed stands, serials
    are unique, and the numbers of the lists only rise.
    """
    path, root = authority.directory, authority.root_certificate
    operator = authority.issue_client("operator")
    chance, told, numbers = random.Random(5280), Told(), [0]
    for number in range(ROUNDS):
        process = subprocess.Popen([sys.executable, "-c", SERVE, path], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        port = int(process.stdout.readline())
        enough = threading.Timer(chance.uniform(0.05, 0.8), process.send_signal, (signal.SIGKILL,))
        enough.start()
        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [
                pool.submit(told.work, port, root, operator, number * CALLERS + each, 1000)
                for each in range(CALLERS)
            ]
            for caller in callers:
                caller.result()
        enough.join()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        crl = x509.load_pem_x509_crl(authority.crl_pem())
        numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    known = {record.serial: record.state for record in authority.list()}
    assert len(told.issued) == len(set(told.issued)) > ROUNDS
    assert set(told.issued) <= known.keys()
    assert {known[serial] for serial in told.revoked} <= {"revoked"}
    assert numbers == sorted(numbers)
    assert {f"{entry.serial_number:x}" for entry in crl} >= set(told.revoked)
    assert authority.verify_audit().certificates == len(known)
