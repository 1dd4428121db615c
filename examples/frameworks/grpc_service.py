"""Orders on gRPC; without generated code, so that it runs as it stands.

Run it: python grpc_service.py 8443
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from twoway.integrations.grpc import MutualTls

mutual = MutualTls(identity="api")


def update(order, context):
    return {"order_id": order["order_id"], "by": mutual.peer(context).describe()}


method = grpc.unary_unary_rpc_method_handler(update, json.loads, lambda answer: json.dumps(answer).encode())
server = grpc.server(ThreadPoolExecutor(4), interceptors=[mutual.allow(cn="orders")])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", {"Update": method}),))
port = server.add_secure_port(f"localhost:{sys.argv[1]}", mutual.credentials())
server.start()
print(f"serving on port {port}", flush=True)
server.wait_for_termination()
