"""Debian's RabbitMQ in a temporary folder, with a node name, a cookie and a port mapper (epmd) of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

import amqp
import psutil

from pixelbloom.local.postgrest import free_port
from tests.programs import debian_program
from tests.servers import freezing
from tests.waiting import SECONDS, until

#: The script behind Debian's wrapper, which insists on the system's user and folders.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, PASSWORD = "pixelbloom", "a pass/word"
#: It is an Erlang system that starts on a loaded machine.
START_SECONDS = 180.0


class RabbitMQ:
    """A node on loopback. With `certificate`, a file with a certificate and its key, it also speaks TLS."""

    def __init__(self, certificate: Path | None = None) -> None:
        debian_program("rabbitmq-server", "rabbitmq-server")
        self._epmd_program = debian_program("epmd", "rabbitmq-server")
        self._folder = Path(tempfile.mkdtemp(prefix="pbq"))
        self.port, self._epmd_port = free_port(), free_port()
        self.tls_port = free_port() if certificate is not None else None
        self.url = f"amqp://{USER}:a%20pass%2Fword@127.0.0.1:{self.port}"
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {PASSWORD}",
            "loopback_users.guest = true",
            "log.console = true",
            "log.file = false",
            "vm_memory_high_watermark.absolute = 1GB",
            "disk_free_limit.absolute = 1MB",
        ]
        if certificate is not None:
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                f"listeners.ssl.2 = 127.0.0.2:{self.tls_port}",  # which the certificate is not for
                *(f"ssl_options.{name} = {certificate}" for name in ("cacertfile", "certfile", "keyfile")),
                "ssl_options.verify = verify_none",
            ]
        (self._folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))
        for name in ("env.conf", "plugins"):
            (self._folder / name).write_text("" if name == "env.conf" else "[].\n")
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it accepts a login."""
        folder = str(self._folder)
        dist_port = free_port()
        env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": folder,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"pb{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/env.conf",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +A 8 -kernel inet_dist_use_interface {127,0,0,1}",
        }
        if self._epmd is None:
            arguments = ("-port", str(self._epmd_port), "-address", "127.0.0.1")
            self._epmd = subprocess.Popen([self._epmd_program, *arguments], env=env)
            until(lambda: _listens(self._epmd_port))
        with (self._folder / "output").open("ab") as output:
            # In a process group of its own, which the Erlang machine and its helpers share.
            self._server = subprocess.Popen(
                [str(SERVER)], env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        try:
            until(self._accepts, START_SECONDS, pause=0.2, saw=self._output)
        except BaseException:
            self.kill()
            raise

    def kill(self, *, wipe: bool = False) -> None:
        """kill -9; with `wipe` its data goes too."""
        assert self._server is not None
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait(SECONDS)
        if wipe:
            shutil.rmtree(self._folder / "data", ignore_errors=True)

    def freeze(self) -> None:
        """Accept connections without responding."""
        freezing.freeze(self._processes())

    def thaw(self) -> None:
        freezing.thaw(self._processes())

    def _processes(self) -> list[psutil.Process]:
        """The server, and the programs that it runs."""
        assert self._server is not None
        server = psutil.Process(self._server.pid)
        return [server, *server.children(recursive=True)]

    def _accepts(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, f"rabbitmq-server ended at its start: {self._output()}"
        try:
            with amqp.Connection(
                f"127.0.0.1:{self.port}", USER, PASSWORD, login_method="PLAIN", connect_timeout=5
            ) as connection:
                return bool(connection.connected)
        except (OSError, amqp.AMQPError):
            return False

    def _output(self) -> str:
        return (self._folder / "output").read_text(errors="replace")[-2000:]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None and self._server.poll() is None:
            self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
