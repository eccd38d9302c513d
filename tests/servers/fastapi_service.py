#!/usr/bin/env python3
"""A FastAPI application on uvicorn: bodies of every framing that HTTP/1.1 has, both ways.

Prints `listening on HOST:PORT` and serves until it is killed.
"""

import asyncio
import hashlib
import socket

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Ask(BaseModel):
    text: str


@app.post("/predict")
async def predict(ask: Ask):
    return {"label": "POSITIVE", "score": 0.9998, "length": len(ask.text)}


@app.post("/upload")
async def upload(request: Request):
    digest, length = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        length += len(piece)
    return {"length": length, "sha256": digest.hexdigest()}


@app.post("/close")
async def close(request: Request):
    """Answers and hangs up."""
    await request.body()
    return Response("too much", status_code=413, headers={"connection": "close"})


@app.get("/events")
async def events():
    async def all_of_them():
        for number in range(5):
            yield f"id: {number}\ndata: piece {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(all_of_them(), media_type="text/event-stream")


@app.get("/chunks")
async def chunks():
    async def all_of_them():
        for number in range(64):
            yield bytes([number]) * (number * 97)

    return StreamingResponse(all_of_them(), media_type="application/octet-stream")


@app.get("/nothing")
async def nothing():
    return Response(status_code=204)


@app.get("/fails")
async def fails():
    return Response("{}", status_code=500, media_type="application/json")


@app.api_route("/sized", methods=["GET", "HEAD"])
async def sized():
    return Response(b"x" * 100_000, media_type="application/octet-stream", headers={"etag": '"one"'})


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    config = uvicorn.Config(app, log_level="warning", http="h11", timeout_keep_alive=60)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
