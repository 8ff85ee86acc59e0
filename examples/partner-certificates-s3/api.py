"""The API of the walk-through: it answers nobody who does not present the edge's certificate, and writes down who came.

    api.py PORT CERTIFICATE KEY TRUSTED LOG
"""

import http.server
import ssl
import sys

port, certificate, key, trusted, log = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(log, "a", encoding="utf-8") as lines:
            print(self.headers["x-consumer"], self.path, file=lines)
        body = f"hello {self.headers['x-consumer']}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.load_verify_locations(trusted)
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
