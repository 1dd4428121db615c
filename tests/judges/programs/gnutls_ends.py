"""A GnuTLS server on loopback, driven by lines on standard input; see ../speaking.py.

`gnutls-serv` listens on every interface and cannot be told otherwise, so the library is called directly.
"""

import ctypes
import ctypes.util
import hashlib
import queue
import socket
import sys
import threading

SERVER, CRD_CERTIFICATE, PEM, CERT_REQUIRE, SHUT_WR = 1, 1, 1, 2, 1
FATAL_ALERT_RECEIVED, NO_CERTIFICATE_FOUND = -12, -49
VERSIONS = {4: "TLSv1.2", 5: "TLSv1.3"}
failures = queue.Queue()

library = ctypes.CDLL(ctypes.util.find_library("gnutls") or "libgnutls.so.30")
library.gnutls_strerror.restype = ctypes.c_char_p
library.gnutls_alert_get_name.restype = ctypes.c_char_p
library.gnutls_record_recv.restype = library.gnutls_record_send.restype = ctypes.c_ssize_t


class Datum(ctypes.Structure):
    _fields_ = (("data", ctypes.POINTER(ctypes.c_ubyte)), ("size", ctypes.c_uint))


library.gnutls_certificate_get_peers.restype = ctypes.POINTER(Datum)


class Refused(Exception):
    pass


def checked(code, session=None):
    if code >= 0:
        return code
    sentence = library.gnutls_strerror(code).decode()
    number = library.gnutls_alert_get(session) if session is not None else 0
    # Where GnuTLS waits for a certificate and gets an alert, it says that there was no certificate.
    if number and code in (FATAL_ALERT_RECEIVED, NO_CERTIFICATE_FOUND):
        sentence += f" Received alert [{number}]: {library.gnutls_alert_get_name(number).decode()}"
    raise Refused(sentence)


def answer(plain, credentials, priorities):
    session = ctypes.c_void_p()
    checked(library.gnutls_init(ctypes.byref(session), SERVER))
    try:
        checked(library.gnutls_priority_set_direct(session, priorities, None))
        checked(library.gnutls_credentials_set(session, CRD_CERTIFICATE, credentials))
        library.gnutls_certificate_server_set_request(session, CERT_REQUIRE)
        library.gnutls_session_set_verify_cert(session, None, 0)  # judge the client inside the handshake
        library.gnutls_transport_set_int2(session, plain.fileno(), plain.fileno())
        library.gnutls_handshake_set_timeout(session, 10_000)
        code = library.gnutls_handshake(session)
        while code < 0 and not library.gnutls_error_is_fatal(code):
            code = library.gnutls_handshake(session)
        if code < 0:
            if code != FATAL_ALERT_RECEIVED:
                library.gnutls_alert_send_appropriate(session, code)
            checked(code, session)
        speak(session)
    except Refused as error:
        failures.put(str(error))
    finally:
        library.gnutls_deinit(session)
        plain.close()


def speak(session):
    buffer, head = ctypes.create_string_buffer(65536), b""
    while b"\r\n\r\n" not in head:
        count = checked(library.gnutls_record_recv(session, buffer, len(buffer)), session)
        if not count:
            raise Refused("ended without a request")
        head += buffer.raw[:count]
    peers = library.gnutls_certificate_get_peers(session, ctypes.byref(ctypes.c_uint()))
    client = hashlib.sha256(bytes(peers[0].data[: peers[0].size])).hexdigest()
    version = VERSIONS.get(library.gnutls_protocol_get_version(session))
    body = f'{{"client": "{client}", "version": "{version}"}}'
    text = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    checked(library.gnutls_record_send(session, text, len(text)), session)
    library.gnutls_bye(session, SHUT_WR)


def serve(version, identity, trust):
    credentials = ctypes.c_void_p()
    checked(library.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)))
    checked(library.gnutls_certificate_set_x509_trust_file(credentials, trust.encode(), PEM))
    checked(
        library.gnutls_certificate_set_x509_key_file(
            credentials, f"{identity}/cert.pem".encode(), f"{identity}/key.pem".encode(), PEM
        )
    )
    priorities = f"NORMAL:-VERS-ALL:+VERS-TLS{version.removeprefix('TLSv')}".encode()
    listener = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=answer, args=(plain, credentials, priorities), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    return f"serving\t{listener.getsockname()[1]}"


def failure():
    try:
        return f"failure\t{failures.get(timeout=10)}"
    except queue.Empty:
        return "failed\tnothing has failed"


COMMANDS = {"serve": serve, "failure": failure}

for line in sys.stdin:
    verb, *words = line.rstrip("\n").split("\t")
    try:
        reply = COMMANDS[verb](*words)
    except Refused as error:
        reply = f"failed\t{error}"
    print(reply, flush=True)
