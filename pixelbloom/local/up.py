"""The whole stack in the foreground: what `pixelbloom up` and `make run` do."""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.config import DEVELOPMENT_USER, Settings, load
from pixelbloom.database import migrations
from pixelbloom.errors import StackError
from pixelbloom.local import envfile, leftovers, lock, secrets
from pixelbloom.local import model as local_model
from pixelbloom.local.child import Child
from pixelbloom.local.home import Home
from pixelbloom.local.output import Output
from pixelbloom.local.preconditions import check_given, check_ports, given
from pixelbloom.local.probes import Beat, flower_knows, pongs, responds
from pixelbloom.local.roles import EARLY, ROLES, command, metrics_port
from pixelbloom.local.servers import Servers
from pixelbloom.local.stripe import launch as local_stripe
from pixelbloom.local.supabase import demo
from pixelbloom.local.supervisor import Stopped, StopRequest, Supervisor, stop_together
from pixelbloom.local.wait import until
from pixelbloom.processes import WORKERS

READY_SECONDS = 90.0
#: Flower waits a second for workers; on a loaded machine they need longer.
FLOWER_SECONDS = 120.0
FLOWER_PAUSE_SECONDS = 0.5
TOKEN_SECONDS = 24 * 3600
#: Settings that only the environment of `up` may have, for the commands that print or check them (`env`, `doctor`).
GIVEN = (
    *("API_URL", "OLLAMA_HOST", "OLLAMA_MODEL", "HUGGINGFACE_API_KEY", "HUGGINGFACE_BASE_URL", "HUGGINGFACE_MODEL"),
    *("REDIS_URL", "BROKER_URL", "SUPABASE_URL", "SUPABASE_ANON_KEY"),
)
#: Of the local Supabase. SUPABASE_JWT_SECRET may have been given, and the keys follow from it.
PROJECT_KEYS = ["API_JWT_SECRET", "SUPABASE_JWT_SECRET", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"]
EXAMPLE = '{"agent_type": "lead_agent", "input": {"query": "Find top prospects in SaaS"}}'


def up(settings: Settings) -> None:
    """Start everything, supervise it, and stop it all on Ctrl-C or SIGTERM.

    `settings` are those of the environment and `.env` alone, without the files in the home. Raises
    ConfigurationError or StackError, with a message that names the variable or the failed part.
    """
    check_given(settings)
    stop = StopRequest()
    stop.listen()
    home = Home.at(settings.pixelbloom_home)
    output = Output(home.logs, sys.stdout)
    with contextlib.closing(output), lock.hold(home.lock) as held:
        for name in leftovers.end_recorded(home.records):
            output.say(f"ended {name}, which an earlier stack left running")
        check_ports(settings)
        stack = Running(settings, home, output, stop)
        try:
            stack.start()
            output.plain(stack.banner())
            output.follow()
            stack.watch()
        except Stopped:
            output.say("stopping")
        finally:
            held.stopping()
            stack.stop()
            home.remove_sockets()
        output.say("stopped")


class Running:
    """The stack's parts, from their start to their stop."""

    def __init__(self, settings: Settings, home: Home, output: Output, stop: StopRequest) -> None:
        self._settings = settings
        self._home = home
        self._output = output
        self._stop = stop
        self._servers = Servers(home, output, stop.pause)
        self._roles: list[Child] = []
        self._began = time.monotonic()
        self._env: dict[str, str] = {}
        self._logins: Sequence[demo.Login] = ()

    def start(self) -> None:
        """Start the servers that were not given and PixelBloom's processes, and wait until all are ready."""
        keys = self._keys()
        own_redis, own_database = self._settings.redis_url is None, self._settings.supabase_url is None
        parts = [
            *(["Redis"] if own_redis else []),
            *(["Postgres", "PostgREST", "Supabase gateway"] if own_database else []),
        ]
        self._output.say(f"starting {', '.join([*parts, *ROLES])}")
        self._servers.launch(keys if own_database else None, redis=own_redis)
        pretty = self._settings.log_format == "auto" and sys.stdout.isatty()
        self._env = {
            **keys,
            **self._servers.env,
            "PIXELBLOOM_HOME": str(self._home.root),
            "PORT": str(self._settings.port),
            "FLOWER_PORT": str(self._settings.flower_port),
            **({"LOG_FORMAT": "pretty"} if pretty else {}),
            **({"PIXELBLOOM_DEMO_ACCOUNTS": str(self._home.accounts_file)} if own_database else {}),
        }
        if self._settings.pixelbloom_stripe == "local":
            self._start_shop()
        if local_model.wanted(self._settings):
            self._start_model()
        self._start_roles(EARLY)
        if own_database:
            self._servers.finish()
            self._logins = demo.ensure(self._home, self._env["DATABASE_URL"])
        else:
            self._migrate_given()
        self._start_roles([role for role in ROLES if role not in EARLY])
        envfile.write(self._home.stack_file, {**self._stack_env(), "SUPERVISOR_PID": str(os.getpid())})
        for child in self._roles:
            until(self._ready(child.name), child, seconds=READY_SECONDS, pause=self._stop.pause)
        threading.Thread(target=self._refresh_flower, name="flower-refresh", daemon=True).start()

    def _start_shop(self) -> None:
        """Start the stand-in for Stripe, and return the settings that lead to it."""
        shop = local_stripe.command(self._settings, self._home, self._env)
        self._env |= local_stripe.settings(self._settings, shop)
        child = Child(shop, self._home.records, self._output)
        self._roles.append(child)
        child.start()

    def _start_model(self) -> None:
        """Start the demonstration model, and return the settings that lead to it."""
        server = local_model.command(self._settings)
        self._env |= {"PIXELBLOOM_MODEL": "local", **local_model.settings(self._settings, server)}
        child = Child(server, self._home.records, self._output)
        self._roles.append(child)
        child.start()

    def _start_roles(self, roles: Sequence[str]) -> None:
        for role in roles:
            of_role = command(
                role,
                {**self._env, "METRICS_PORT": metrics_port(role, self._settings.metrics_port)},
                flower_port=self._settings.flower_port,
            )
            child = Child(of_role, self._home.records, self._output)
            self._roles.append(child)
            child.start()

    def _refresh_flower(self) -> None:
        """Have Flower refresh until it knows all workers: its own first refresh may have been before their start.

        More than once: Flower merges a request with one that still waits for replies.
        """
        wanted = {f"{name}@{socket.gethostname()}" for name in WORKERS}
        deadline = time.monotonic() + FLOWER_SECONDS
        while not self._stop.made and time.monotonic() < deadline:
            if wanted <= flower_knows(self._settings.flower_port, self._login()):
                return
            time.sleep(FLOWER_PAUSE_SECONDS)

    def watch(self) -> None:
        """Restart processes that die. Raises Stopped when a stop is requested."""
        Supervisor([*self._servers.children, *self._roles], self._output).watch(self._stop)

    def stop(self) -> None:
        """Stop PixelBloom's processes together, then the servers."""
        self._home.stack_file.unlink(missing_ok=True)
        stop_together([child for child in self._roles if child.started])
        self._servers.stop()

    def banner(self) -> str:
        """Print the addresses, a token, and a line to paste."""
        mine = self._settings_of_processes()
        api, flower = f"http://127.0.0.1:{mine.port}", f"http://127.0.0.1:{mine.flower_port}"
        user, _, password = self._login().partition(":")
        rows = [
            *([("Console", f"{api}/  <- open this in a browser")] if mine.pixelbloom_console == "on" else []),
            ("API", api),
            ("API docs", f"{api}/api/docs"),
            ("WebSockets", f"ws://127.0.0.1:{mine.port}/api/ws/workflows (also analytics, notifications)"),
            ("Flower", f"{flower} (user {user}, password {password})"),
            *([("Stripe", f"a stand-in at {mine.stripe_api_base}")] if mine.pixelbloom_stripe == "local" else []),
            ("Models", local_model.banner(mine, running="HUGGINGFACE_MODEL" in self._env)),
            *([("Supabase", f"{mine.supabase_url} (for supabase-js)")] if self._settings.supabase_url is None else []),
            *(("Sign in", str(login)) for login in self._logins),
            ("PostgREST", mine.supabase_rest_url or f"{mine.supabase_url}/rest/v1"),
            ("Postgres", self._env.get("DATABASE_URL", "(yours, behind SUPABASE_URL)")),
            ("Redis", self._env.get("REDIS_URL", "(yours, from REDIS_URL)")),
            ("Logs", str(self._home.logs)),
        ]
        table = "\n".join(f"  {name:<11}{where}" for name, where in rows)
        if mine.supabase_jwt_secret is not None:
            kind, token = "of a user", mint_user(mine, DEVELOPMENT_USER, expires_in=TOKEN_SECONDS)
        else:
            kind, token = "of a service", mint_service(mine, expires_in=TOKEN_SECONDS)
        return (
            f"\nPixelBloom is ready after {time.monotonic() - self._began:.1f} s. Ctrl-C stops it.\n\n{table}\n\n"
            f"A development token {kind}, for a day (`pixelbloom token` makes others):\n\n{token}\n\n"
            f"Try it:\n\ncurl -s {api}/api/agents/invoke -H 'Content-Type: application/json' \\\n"
            f"  -H 'Authorization: Bearer {token}' \\\n  -d '{EXAMPLE}'\n"
        )

    def _login(self) -> str:
        """Return the first user:password of Flower."""
        return self._env["FLOWER_BASIC_AUTH"].partition(",")[0]

    def _keys(self) -> dict[str, str]:
        """Return the secrets of the stack's processes: the given ones, otherwise the home's."""
        stored = secrets.ensure(self._home.secrets_file)
        supplied = {name: value for name in stored if (value := given(self._settings, name))}
        if self._settings.supabase_url is not None:
            return {name: stored[name] for name in ("API_JWT_SECRET", "FLOWER_BASIC_AUTH")} | supplied
        if "SUPABASE_JWT_SECRET" in supplied:
            stored |= secrets.project_keys(supplied["SUPABASE_JWT_SECRET"])
        return stored | supplied

    def _migrate_given(self) -> None:
        url = given(self._settings, "DATABASE_URL")
        if url is None:
            self._output.say("SUPABASE_URL is given and DATABASE_URL is not: migrate it yourself (supabase db push)")
            return
        try:
            with migrations.connect(url) as connection:
                migrations.migrate(connection, say=self._output.say)
        except psycopg.OperationalError:
            raise StackError(
                "DATABASE_URL: the database is unreachable; start it, correct the address, or unset it"
            ) from None

    def _stack_env(self) -> dict[str, str]:
        names = (
            ["STRIPE_API_BASE", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"]
            if self._settings.pixelbloom_stripe == "local"
            else []
        )
        if "HUGGINGFACE_MODEL" in self._env:
            names += ["PIXELBLOOM_MODEL", "HUGGINGFACE_API_KEY", "HUGGINGFACE_BASE_URL", "HUGGINGFACE_MODEL"]
        settings = self._settings
        shown = {
            name: value
            for name in GIVEN
            if name.lower() in settings.model_fields_set and (value := given(settings, name))
        }
        names += ["PORT", "FLOWER_PORT", "SUPABASE_URL", "SUPABASE_REST_URL", "DATABASE_URL", "REDIS_URL"]
        if self._settings.supabase_url is not None:
            names += [
                "API_JWT_SECRET",
                "FLOWER_BASIC_AUTH",
            ]  # beside another Supabase, the home's own keys are not read
        else:
            names += PROJECT_KEYS
        return {**shown, **{name: self._env[name] for name in names if name in self._env}}

    def _settings_of_processes(self) -> Settings:
        values: dict[str, Any] = {name.lower(): value for name, value in self._env.items()}
        return load(home_files=False, overrides={k: v for k, v in values.items() if k in Settings.model_fields})

    def _ready(self, name: str) -> Callable[[], bool]:
        if name == "web":
            return lambda: responds(self._settings.port, "/healthz")
        if name == "flower":
            return lambda: responds(self._settings.flower_port, "/healthcheck")
        if name == "stripe":
            return lambda: responds(self._settings.stripe_port, "/done")
        if name == "model":
            return lambda: responds(self._settings.model_port, "/health")
        if name in WORKERS:
            processes = self._settings_of_processes()
            return lambda: pongs(processes, name)
        if name == "beat" and self._settings.supabase_url is None:
            return Beat(self._settings_of_processes()).runs
        return lambda: True
