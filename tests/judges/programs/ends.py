"""Python's own ssl with its default contexts, as client and server, driven by lines on standard input.

Runs on any interpreter and imports nothing of the project; see ../speaking.py.
"""

import hashlib
import queue
import socket
import ssl
import sys
import threading

REQUEST = b"GET /whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
failures = queue.Queue()


def told(error):
    return " ".join(f"{type(error).__name__}: {error}".split())


def with_rules(context, version, identity):
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    if identity != "-":
        context.load_cert_chain(f"{identity}/cert.pem", f"{identity}/key.pem")
    return context


def everything(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def call(port, version, identity, trust, _manner):
    context = with_rules(ssl.create_default_context(cafile=trust), version, identity)
    plain = socket.create_connection(("127.0.0.1", int(port)), 10)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as sock:
        sock.sendall(REQUEST)
        _, found, body = everything(sock).partition(b"\r\n\r\n")
        spoke = sock.version()
    return f"answered\t{spoke}\t{body.decode()}" if found else "failed\tended without an answer"


def answer(plain, context):
    try:
        with plain, context.wrap_socket(plain, server_side=True) as sock:
            head = b""
            while b"\r\n\r\n" not in head:
                part = sock.recv(65536)
                if not part:
                    raise OSError("ended without a request")
                head += part
            client = hashlib.sha256(sock.getpeercert(binary_form=True)).hexdigest()
            body = f'{{"client": "{client}", "version": "{sock.version()}"}}'
            sock.sendall(
                f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            sock.unwrap()
    except OSError as error:
        failures.put(told(error))


def serve(version, identity, trust):
    context = with_rules(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trust), version, identity)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            plain, _ = listener.accept()
            plain.settimeout(10)
            threading.Thread(target=answer, args=(plain, context), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    return f"serving\t{listener.getsockname()[1]}"


def failure():
    try:
        return f"failure\t{failures.get(timeout=10)}"
    except queue.Empty:
        return "failed\tnothing has failed"


COMMANDS = {"call": call, "serve": serve, "failure": failure}

for line in sys.stdin:
    verb, *words = line.rstrip("\n").split("\t")
    try:
        reply = COMMANDS[verb](*words)
    except OSError as error:
        reply = f"failed\t{told(error)}"
    print(reply, flush=True)
