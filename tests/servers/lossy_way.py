"""A way to a server, `lossy_way.py PORT NAME`, that loses the answer to the first PUT of a name; says its own port."""

import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
PORT, NAME = int(sys.argv[1]), sys.argv[2]
lost: list[str] = []


class Way(BaseHTTPRequestHandler):
    """Passes a request on, and the answer back."""

    def pass_on(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(HOST, PORT)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        said = answer.read()
        if self.command == "PUT" and self.path.endswith(NAME) and not lost:
            lost.append(self.path)
            print("lost", flush=True)  # noqa: T201 - whoever started this reads it
            return
        self.send_response_only(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in {"connection", "transfer-encoding"}:
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on  # noqa: N815 - as the library asks for them

    def log_message(self, *_: object) -> None:
        """Says nothing."""


server = ThreadingHTTPServer((HOST, 0), Way)
print(server.server_address[1], flush=True)  # noqa: T201
server.serve_forever()
