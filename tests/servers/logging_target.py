"""An HTTP/1.1 server that writes down each request, one JSON object a line, and answers as a sentiment model would.

usage: logging_target.py LOG
Prints `listening on ADDRESS` when it is ready.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOG = open(sys.argv[1], "w", encoding="utf-8")
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: a head and a body apart would wait for each other's acknowledgement.
    wbufsize = 65536

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        entry = {
            "method": self.command,
            "target": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode("utf-8"),
        }
        with LOCK:
            LOG.write(json.dumps(entry) + "\n")
            LOG.flush()
        answer = b'{"label":"POSITIVE","score":0.9}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Handler)
print("listening on %s:%d" % server.server_address[:2], flush=True)
server.serve_forever()
