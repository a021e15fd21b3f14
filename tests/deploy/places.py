"""The program's commands and settings that the files of `deploy/` name."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

from pixelbloom.processes import WORKERS
from tests.deploy import DEPLOY


@dataclass(frozen=True)
class Command:
    """A command line of the program, without the program itself, and where it is."""

    file: str
    part: str
    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.part}"


KUBERNETES = tuple(path for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")) if path.stem != "kustomization")


def compose() -> dict[str, Any]:
    """Return compose.yaml, with its merges applied."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def own_services() -> dict[str, Any]:
    """Return the services of compose.yaml that run the program."""
    return {name: one for name, one in compose()["services"].items() if one["image"] == "pixelbloom"}


def resources(*paths: Path) -> list[dict[str, Any]]:
    """Return the Kubernetes resources of these files, or of all."""
    return [one for path in paths or KUBERNETES for one in yaml.safe_load_all(path.read_text())]


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container of Kubernetes that runs the program, after its resource."""
    for resource in resources():
        template = resource.get("spec", {}).get("template", {})
        for container in template.get("spec", {}).get("containers", []):
            assert container["image"] == "pixelbloom"
            yield resource, container


def dockerfile() -> list[dict[str, Any]]:
    """Return the instructions of the Dockerfile, without comments."""
    parser = DockerfileParser(fileobj=(DEPLOY / "Dockerfile").open("rb"))
    try:
        return [one for one in parser.structure if one["instruction"] != "COMMENT"]
    finally:
        parser.fileobj.close()


def values(instruction: str) -> list[str]:
    """Return the values of all instructions of a kind in the Dockerfile."""
    return [str(one["value"]) for one in dockerfile() if one["instruction"] == instruction]


def commands() -> Iterator[Command]:
    """Every command line of the program in `deploy/`."""
    assert [json.loads(value) for value in values("ENTRYPOINT")] == [["pixelbloom"]]
    yield Command("Dockerfile", "CMD", tuple(json.loads(values("CMD")[-1])))
    for name, service in own_services().items():
        yield Command("compose.yaml", name, tuple(service["command"]))
        if "healthcheck" in service:
            yield _of_program("compose.yaml", f"{name}, healthcheck", service["healthcheck"]["test"][1:])
    for resource, container in containers():
        name = resource["metadata"]["name"]
        yield Command("kubernetes", name, tuple(container["args"]))
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if "exec" in container.get(probe, {}):
                yield _of_program("kubernetes", f"{name}, {probe}", container[probe]["exec"]["command"])
    for line in (DEPLOY / "Procfile").read_text().splitlines():
        process, _, command = line.partition(": ")
        yield _of_program("Procfile", process, shlex.split(command))
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        for command in re.findall(r"^ExecStart=/opt/pixelbloom/bin/(.*)$", unit.read_text(), re.MULTILINE):
            for role in WORKERS if "@" in unit.name else ("",):
                yield _of_program("systemd", f"{unit.stem}{role}", command.replace("%i", role).split())


def _of_program(file: str, part: str, argv: list[str]) -> Command:
    assert argv[0] == "pixelbloom", argv
    return Command(file, part, tuple(argv[1:]))


def variables() -> Iterator[tuple[str, str]]:
    """Every variable that the program is given in `deploy/`, after the place that gives it."""
    for name in re.findall(r"^([A-Z_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE):
        yield ".env.example", name
    for service, one in own_services().items():
        for name in one["environment"]:
            yield f"compose.yaml, {service}", name
    for resource in resources():
        for name in {**resource.get("data", {}), **resource.get("stringData", {})}:
            yield f"kubernetes, {resource['kind']}", name
    for resource, container in containers():
        for variable in container.get("env", []):
            yield f"kubernetes, {resource['metadata']['name']}", variable["name"]
    for file in sorted((DEPLOY / "systemd").rglob("*.*")):
        if file.is_file():
            for name in re.findall(r"^Environment=(\w+)=", file.read_text(), re.MULTILINE):
                yield file.name, name
    for value in values("ENV"):
        for part in shlex.split(value):
            yield "Dockerfile", part.partition("=")[0]
