#!/usr/bin/env python3
"""A gRPC service of grpcio with every kind of call; messages are bytes, so that no compiler is needed.

Prints `listening on HOST:PORT` and serves until it is killed.
"""

import signal
from concurrent import futures

import grpc


def echo(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-begin", metadata.get("x-name", "nobody")),))
    context.set_trailing_metadata((("x-end", "of all"), ("x-end-bin", b"\0\1\2")))
    return request[::-1]


def refuse(request, context):
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no: \u00fc%")


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode() * number


def add(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def talk(requests, context):
    for request in requests:
        yield request.upper()


def main():
    raw = {"request_deserializer": None, "response_serializer": None}
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo, **raw),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse, **raw),
        "Count": grpc.unary_stream_rpc_method_handler(count, **raw),
        "Add": grpc.stream_unary_rpc_method_handler(add, **raw),
        "Talk": grpc.stream_stream_rpc_method_handler(talk, **raw),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
