"""HTTP/1 by Python's standard library: `serve` echoes, `call ADDRESS` checks one kept connection through whatever
stands between."""

import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = int(self.headers.get("x-status", 200))
        self.send_response(status)
        self.send_header("x-method", self.command)
        if status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status not in (204, 304) and self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, *arguments):
        pass


def serve():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


def call(address):
    connection = HTTPConnection(address, timeout=20)
    connection.connect()
    socket = connection.sock

    def ask(method, body=None, headers=(), **keywords):
        connection.request(method, "/path?query", body, dict(headers), **keywords)
        response = connection.getresponse()
        return response, response.read()

    large = bytes(range(256)) * 20_000
    assert ask("GET")[1] == b""
    assert ask("POST", b"hello")[1] == b"hello"
    assert ask("PUT", large)[1] == large
    assert ask("POST", iter([b"some", b" chunks", large]), encode_chunked=True)[1] == b"some chunks" + large
    head, body = ask("HEAD")
    assert (head.status, head.getheader("x-method"), body) == (200, "HEAD", b"")
    for status in (204, 304):
        response, body = ask("GET", headers={"x-status": str(status)})
        assert (response.status, body) == (status, b"")
    assert ask("OPTIONS")[0].status == 200
    assert ask("GET", headers={"x-status": "503"})[0].status == 503
    assert connection.sock is socket, "the connection was not kept"


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
