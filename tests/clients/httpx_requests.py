#!/usr/bin/env python3
"""Makes requests with httpx and prints status, fields and body of each answer as JSON.

    httpx_requests.py fastapi HOST:PORT     to fastapi_service.py, over HTTP/1.1
    httpx_requests.py h2c HOST:PORT         any paths, over HTTP/2 by prior knowledge
"""

import hashlib
import json
import sys

import httpx


def pieces():
    for number in range(40):
        yield bytes([number]) * (number * 50 + 1)


def fastapi(client):
    yield client.post("/predict", json={"text": "an honest camera"})
    yield client.post("/predict", json={"nothing": 1})
    yield client.post("/upload", content=b"y" * 3_000_000)
    yield client.post("/upload", content=pieces())
    yield client.post("/upload", content=b"")
    yield client.get("/events")
    yield client.get("/chunks")
    yield client.get("/nothing")
    yield client.get("/fails")
    yield client.head("/sized")
    yield client.get("/sized", headers={"x-long": "z" * 8000})
    yield client.request("DELETE", "/missing")
    yield client.options("/predict")
    yield client.post("/close", content=b"small")
    yield client.get("/nothing")


def h2c(client):
    for number in range(20):
        yield client.get(f"/{number}", headers={"x-number": str(number), "x-same": "always"})
    yield client.post("/", content=b"y" * 20_000)
    yield client.post("/", content=pieces())
    yield client.head("/")
    yield client.get("/empty")
    yield client.get("/missing")


def main(what, address):
    http1 = what == "fastapi"
    said = []
    with httpx.Client(base_url=f"http://{address}", http1=http1, http2=not http1, timeout=30) as client:
        for response in {"fastapi": fastapi, "h2c": h2c}[what](client):
            fields = [pair for pair in response.headers.multi_items() if pair[0] != "date"]
            digest = hashlib.sha256(response.content).hexdigest()
            said.append([response.http_version, response.status_code, fields, len(response.content), digest])
    print(json.dumps(said))


main(*sys.argv[1:])
