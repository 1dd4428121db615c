"""Sealing, opening, signing and verifying 1 GB: `twoway` beside `openssl cms`, with the memory that each takes."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twoway.authority import Authority

SIZE = int(os.environ.get("TWOWAY_BENCH_BYTES", 1 << 30))
ROUNDS = 3
_TWOWAY = str(Path(sys.executable).parent / "twoway")


def content(path: Path) -> None:
    """A file of random bytes that repeat after a mebibyte: nothing here compresses."""
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(block)


def run(command: list[str], place: Path) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of CPU, and the largest resident memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    memory = 0.0
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        memory = max(memory, _resident(process.pid))
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:3]}: {said[-500:]}")
    return seconds, usage.ru_utime + usage.ru_stime, memory


def _resident(pid: int) -> float:
    """The largest resident memory so far, in MiB; what wait4 tells begins with the memory of this process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) / 1024 if found else 0.0


def measure(name: str, command: list[str], place: Path, after: Callable[[], None] = lambda: None) -> float:
    """The median of the rounds, printed; returns MB a second."""
    runs = []
    for _ in range(ROUNDS):
        runs.append(run(command, place))
        after()
    seconds, cpu = (statistics.median(each[n] for each in runs) for n in (0, 1))
    memory = max(each[2] for each in runs)
    rate = SIZE / 1e6 / seconds
    print(f"  {name:34}{rate:7.0f} MB/s {seconds:6.2f} s  CPU {cpu:5.2f} s  {memory:7.0f} MiB", flush=True)
    return rate


def main() -> None:
    openssl = shutil.which("openssl")
    with tempfile.TemporaryDirectory(prefix="twoway-bench-") as directory:
        place = Path(directory)
        if shutil.disk_usage(place).free < 5 * SIZE:
            print(f"skipped: {place} has no room for five files of {SIZE} bytes")
            return
        authority = Authority.create(place / "pki", name="Bench", no_passphrase=True)
        authority.issue_client("me").save(place / "me")
        content(place / "content")
        _sealing(place, openssl)
        _signing(place, openssl)


def _sealing(place: Path, openssl: str | None) -> None:
    rates = {}
    for form in ("cms", "hpke"):
        sealed = f"sealed.{form}"
        seal = [_TWOWAY, "seal", "content", "--to", "me", "--ca", "me/ca.pem", "--format", form, "-o", sealed]
        rates[f"seal {form}"] = measure(f"twoway seal --format {form}", seal, place)
        opening = [_TWOWAY, "open", sealed, "--identity", "me", "-o", "opened"]
        rates[f"open {form}"] = measure(f"twoway open ({form})", opening, place)
        _same(place / "opened", place / "content")
        (place / "opened").unlink()
        if form == "hpke":
            (place / sealed).unlink()
    if openssl is None:
        return
    command = [openssl, "cms", "-encrypt", "-binary", "-stream", "-in", "content", "-outform", "DER"]
    theirs = measure(
        "openssl cms -encrypt -stream",
        [*command, "-aes-256-gcm", "-out", "theirs", "-recip", "me/cert.pem"],
        place,
    )
    (place / "theirs").unlink()
    print(
        f"    twoway/openssl, sealing: {rates['seal cms'] / theirs:.2f} (cms), {rates['seal hpke'] / theirs:.2f} (hpke)"
    )
    command = [openssl, "cms", "-decrypt", "-inform", "DER", "-in", "sealed.cms", "-binary", "-out", "opened"]
    theirs = measure(
        "openssl cms -decrypt", [*command, "-recip", "me/cert.pem", "-inkey", "me/key.pem"], place
    )
    (place / "opened").unlink()
    (place / "sealed.cms").unlink()
    print(
        f"    twoway/openssl, opening: {rates['open cms'] / theirs:.2f} (cms), {rates['open hpke'] / theirs:.2f} (hpke)"
    )


def _signing(place: Path, openssl: str | None) -> None:
    sign = [_TWOWAY, "sign", "content", "--identity", "me", "--format", "cms", "--detached", "-o", "sig"]
    ours = measure("twoway sign --detached", sign, place)
    verify = [_TWOWAY, "verify", "sig", "--content", "content", "--ca", "me/ca.pem"]
    checked = measure("twoway verify", verify, place)
    if openssl is None:
        return
    command = [openssl, "cms", "-sign", "-binary", "-in", "content", "-outform", "DER", "-out", "theirs"]
    command += ["-signer", "me/cert.pem", "-inkey", "me/key.pem"]
    theirs = measure("openssl cms -sign", command, place)
    print(f"    twoway/openssl, signing: {ours / theirs:.2f}")
    command = [openssl, "cms", "-verify", "-inform", "DER", "-in", "sig", "-content", "content", "-binary"]
    command += ["-CAfile", "me/ca.pem", "-purpose", "any", "-out", os.devnull]
    theirs = measure("openssl cms -verify", command, place)
    print(f"    twoway/openssl, verifying: {checked / theirs:.2f}")


def _same(one: Path, other: Path) -> None:
    done = subprocess.run(["cmp", "--silent", one, other], check=False)
    if done.returncode:
        raise RuntimeError(f"{one} is not {other}")


if __name__ == "__main__":
    main()
