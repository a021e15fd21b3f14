"""Random requests for an upgrade with an error in them, or behind them."""

import contextlib
import random
import socket
import time

from tests.integration.web.realtime.endings import (
    CLOSE,
)
from tests.servers.raw import frame
from tests.servers.runs import SomeRun
from tests.servers.web import Web, token
from tests.waiting import SECONDS


def handshake(web: Web, run: SomeRun, seed: int) -> None:
    """A request for an upgrade with an error in it, or behind it: an error response, or a socket."""
    rng = random.Random(seed)
    lines = {
        "Host": "x",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    method, version = "GET", "HTTP/1.1"
    path = web.url(rng.choice(["workflows", "analytics", "notifications"]), token=token(run.user_id))
    path = path.partition(str(web.port))[2]
    name = rng.choice(list(lines))
    match rng.randrange(12):
        case 0:
            del lines[name]
        case 1:
            lines[name] = rng.choice(["", "0", "8", "14", "x" * 5_000, "é", "\x00", "a\tb", "dGhl", "13, 8", "🙂"])
        case 2:
            method = rng.choice(["POST", "HEAD", "OPTIONS", "PUT", "get", "G@T", "CONNECT", ""])
        case 3:
            version = rng.choice(["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1.1", ""])
        case 4:
            path = rng.choice(["/api/ws/workflows?token=%ff%00", "/api/ws/workflows?token", "/api/ws/x", "*", "//", ""])
        case 5:
            lines[rng.choice(["Content-Length", "Transfer-Encoding", "Expect"])] = rng.choice(
                ["-1", "5", "99999999", "chunked", "gzip", "100-continue", "nonsense", "1, 2"]
            )
        case 6:
            lines["Sec-WebSocket-Extensions"] = rng.choice(
                ["permessage-deflate; client_max_window_bits=99", "permessage-deflate", ";;;", "x" * 3_000, "a=\x01"]
            )
        case 7:
            lines["Sec-WebSocket-Protocol"] = rng.choice(["", ",", ",,,a", "é", "a b", "x," * 900, "..", "bearer."])
        case 8:
            lines = {f"X-{n}": "x" for n in range(rng.choice([50, 200, 2_000]))} | lines
        case 9:
            lines["Origin"] = rng.choice(["null", "http://[", "http://x:99999999", "", "\x7f", "é" * 100])
        case 10:
            lines["Authorization"] = rng.choice(["Bearer", "Bearer ", "Basic eA==", "\xff", "Bearer " + "x" * 9_000])
        case _:
            pass
    head = f"{method} {path} {version}\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items()) + "\r\n"
    behind = rng.choice(
        [
            b"",
            frame(b'{"type":"ping"}'),
            b"GET /state HTTP/1.1\r\nHost: x\r\n\r\n",
            rng.randbytes(50),
            frame(b'{"type":"ping"}') + frame(b"", opcode=CLOSE),
        ]
    )
    data = head.encode() + behind
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(head))]
    with socket.create_connection(("127.0.0.1", web.port), timeout=SECONDS) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(data)
            if rng.random() < 0.5:
                time.sleep(0.002)
                peer.sendall(frame(b"late") + rng.randbytes(20))
            peer.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionError):
            while received := peer.recv(65536):
                got += received
    status = got.split(b" ", 2)[1] if got.startswith(b"HTTP/") else b""
    assert not got or b"100" <= status < b"500", f"handshake {seed}: {data[:200]!r} {got[:200]!r}"
