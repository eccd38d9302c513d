#!/usr/bin/env python3
"""Calls every method of grpc_service.py at HOST:PORT and prints what came back as JSON."""

import json
import sys

import grpc


def text(metadata):
    return sorted((key, value if isinstance(value, str) else value.hex()) for key, value in metadata)


def main(target):
    said = []
    with grpc.insecure_channel(target, options=[("grpc.enable_retries", 0)]) as channel:
        echo = channel.unary_unary("/test.Service/Echo")
        for size in (0, 5, 70_000):
            answer, call = echo.with_call(b"ab" * size, metadata=(("x-name", "somebody"), ("x-raw-bin", b"\xff\0")))
            said.append([answer.decode(), text(call.initial_metadata()), text(call.trailing_metadata())])
        try:
            channel.unary_unary("/test.Service/Refuse")(b"anything")
        except grpc.RpcError as error:
            said.append([error.code().name, error.details()])
        try:
            channel.unary_unary("/test.Service/Missing")(b"anything")
        except grpc.RpcError as error:
            said.append(error.code().name)
        said.append([piece.decode() for piece in channel.unary_stream("/test.Service/Count")(b"20")])
        said.append(channel.stream_unary("/test.Service/Add")(iter([b"x" * 1000] * 50)).decode())
        talk = channel.stream_stream("/test.Service/Talk")
        said.append([piece.decode() for piece in talk(iter([b"one", b"two", b"three"]))])
        cancelled = channel.unary_stream("/test.Service/Count")(b"5000")
        next(cancelled)
        cancelled.cancel()
        calls = [echo.future(str(number).encode()) for number in range(30)]
        said.append([call.result().decode() for call in calls])
    print(json.dumps(said))


main(sys.argv[1])
