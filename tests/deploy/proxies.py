"""nginx and Caddy with the examples of `deploy/`, on free ports of loopback, with a certificate of the tests."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

from pixelbloom.local.postgrest import free_port
from tests.deploy import DEPLOY
from tests.programs import debian_program
from tests.waiting import SECONDS, until

NGINX_MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
{user}
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/pixelbloom.conf;
}}
"""


def changed(text: str, changes: dict[str, str]) -> str:
    """Return the text with each of these replaced. All must be in it."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the example any more"
        text = text.replace(old, new)
    return text


class Proxy:
    """A proxy before a web tier and a PostgREST. `folder` has its logs, standard error among them."""

    def __init__(self, folder: Path, certificate: Path, web: int, rest: int) -> None:
        self.folder = folder
        self.certificate = certificate
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._web = web
        self._rest = rest
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> list[str]:
        """Write its files. Returns the command that starts it."""
        raise NotImplementedError

    def verdict(self) -> str:
        """Return what the program says of the example. Fails if it rejects it."""
        raise NotImplementedError

    @property
    def logs(self) -> str:
        """Return everything that it logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    @property
    def upstream_connections(self) -> int:
        """Return the number of its connections to the web tier."""
        assert self._process is not None
        processes = [psutil.Process(self._process.pid)]
        processes += processes[0].children(recursive=True)
        found = [one for process in processes for one in process.net_connections("tcp")]
        return sum(1 for one in found if one.raddr and one.raddr.port == self._web)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=self._env, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        return said

    @property
    def _env(self) -> dict[str, str]:
        """Return the environment: what it stores goes into its folder."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.logs
        connections = psutil.Process(self._process.pid).net_connections("tcp")
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == self.port for one in connections)

    def __enter__(self) -> Self:
        command = self.prepare()
        with (self.folder / "stderr.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._env)
        try:
            until(self._listens, saw=lambda: self.logs)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(SECONDS)


class Nginx(Proxy):
    """nginx with deploy/nginx/pixelbloom.conf."""

    def prepare(self) -> list[str]:
        """Write its files. Returns the command that starts it."""
        certificates = "/etc/letsencrypt/live/api.example.com"
        own = {
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
            "    listen [::]:80;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
            f"{certificates}/fullchain.pem": str(self.certificate),
            f"{certificates}/privkey.pem": str(self.certificate),
            "127.0.0.1:8000": f"127.0.0.1:{self._web}",
            "127.0.0.1:3000": f"127.0.0.1:{self._rest}",
            "/var/log/nginx/": f"{self.folder}/",
        }
        example = (DEPLOY / "nginx/pixelbloom.conf").read_text()
        (self.folder / "pixelbloom.conf").write_text(changed(example, own))
        user = "user root;" if os.geteuid() == 0 else ""  # the folder of the tests is its owner's alone
        self._main = self.folder / "nginx.conf"
        self._main.write_text(NGINX_MAIN.format(folder=self.folder, user=user))
        return [debian_program("nginx", "nginx"), "-e", "stderr", "-p", str(self.folder), "-c", str(self._main)]

    def verdict(self) -> str:
        """Return what `nginx -t` says."""
        return self._run(*self.prepare(), "-t")


class Caddy(Proxy):
    """Caddy with deploy/caddy/Caddyfile."""

    def prepare(self) -> list[str]:
        """Write its files. Returns the command that starts it."""
        own = {
            "\tgrace_period 15s\n": "\tgrace_period 15s\n\tadmin off\n\tauto_https disable_redirects\n",
            "api.example.com {": f"{self.url} {{\n\ttls {self.certificate} {self.certificate}",
            "127.0.0.1:8000": f"127.0.0.1:{self._web}",
            "127.0.0.1:3000": f"127.0.0.1:{self._rest}",
            "/var/log/caddy/": f"{self.folder}/",
        }
        file = self.folder / "Caddyfile"
        file.write_text(changed((DEPLOY / "caddy/Caddyfile").read_text(), own))
        return [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(file), "--adapter", "caddyfile"]

    def verdict(self) -> str:
        """Return what `caddy validate` says."""
        example = self.folder / "Caddyfile"  # with another folder of logs, because it opens them
        own = {"/var/log/caddy/": f"{self.folder}/"}
        example.write_text(changed((DEPLOY / "caddy/Caddyfile").read_text(), own))
        program = str(Path(sys.executable).with_name("caddy"))
        return self._run(program, "validate", "--config", str(example), "--adapter", "caddyfile")
