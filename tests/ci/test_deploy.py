"""What ``deploy/`` has: of the schemas of others, and in agreement with the program that it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from fixtures.demo import Demo
from tests.registries import docker_registry, push, site
from tests.services import until

kubernetes_validate = pytest.importorskip("kubernetes_validate")

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
COMPOSE: Final = ("compose.yaml", "many.yaml")
MANIFESTS: Final = sorted(path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "cgscan.yaml")
SETTINGS: Final = ("cgscan.yaml", "kubernetes/cgscan.yaml")
Tree = Mapping[str, Any]


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text("utf-8")))


def containers() -> Iterator[tuple[Tree, Tree]]:
    """Each container of the manifests, and the pod that it is in."""
    for name in MANIFESTS:
        for document in documents(name):
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                yield from ((container, pod) for container in pod["containers"])


def commands() -> Iterator[list[str]]:
    for file in COMPOSE:
        yield from (
            one["command"]
            for one in read(file)["services"].values()
            if one.get("command", [""])[0] in ("serve", "worker")
        )
    yield from (container["args"] for container, _ in containers())


def of_kind(kind: str) -> Iterator[Any]:
    yield from (one for name in MANIFESTS for one in documents(name) if one["kind"] == kind)


def cgscan(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/"}
    command = [sys.executable, "-m", "scanner", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


# -- of the schemas of others


@pytest.mark.parametrize("file", COMPOSE)
def test_compose_files_are_of_the_compose_specification(file: str, tmp_path: Path) -> None:
    def checked(path: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert checked(DEPLOY / file) == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((DEPLOY / file).read_text("utf-8").replace("restart:", "restarts:", 1))
    assert checked(wrong) != 0


@pytest.mark.parametrize("file", [name for name in MANIFESTS if name != "kustomization.yaml"])
def test_manifests_are_of_kubernetes_schemas(file: str) -> None:
    for document in documents(file):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**document, "sepc": {}}, kubernetes_validate.latest_version(), strict=True)


def test_the_kustomization_names_what_is_there() -> None:
    (said,) = documents("kustomization.yaml")
    assert all((DEPLOY / "kubernetes" / name).is_file() for name in said["resources"])
    (settings,) = said["configMapGenerator"]
    assert settings["files"] == ["cgscan.yaml"]
    assert {one["name"] for one in said["images"]} == {container["image"] for container, _ in containers()}


# -- in agreement with the program


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_is_one_of_ours(words: list[str]) -> None:
    """``--help`` answers only after the other words were understood."""
    done = cgscan(*words, "--help")
    assert done.returncode == 0, done.stderr
    assert cgscan(*words, "--no-such", "--help").returncode == 2


@pytest.mark.parametrize("file", SETTINGS)
def test_the_settings_are_read(file: str, tmp_path: Path) -> None:
    assert cgscan("serve", "--check", "--config", str(DEPLOY / file)).stderr.startswith(
        "not ready: no answer from 0.0.0.0:8087"
    )
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((DEPLOY / file).read_text("utf-8").replace("workers:", "wrokers:"))
    assert cgscan("serve", "--check", "--config", str(wrong)).returncode == 2


def test_the_port_is_one() -> None:
    ports = {read(file)["serve"]["listen"].rpartition(":")[2] for file in SETTINGS}
    ports |= {one.rpartition(":")[2] for one in read("compose.yaml")["services"]["cgscan"]["ports"]}
    opened = [port for container, _ in containers() for port in container.get("ports", ())]
    ports |= {str(port["containerPort"]) for port in opened if port["name"] != "metrics"}
    ports |= {str(port["port"]) for one in of_kind("Service") for port in one["spec"]["ports"]}
    ports |= set(re.findall(r"^EXPOSE (\d+)$", (DEPLOY.parent / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    assert ports == {"8087"}


def test_every_secret_that_the_settings_name_is_asked_for() -> None:
    asked = set(re.findall(r"^(\w+)=$", (DEPLOY / "secrets.env.example").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"_env: (\w+)", (DEPLOY / "cgscan.yaml").read_text("utf-8")))
    interpolated = {name for file in COMPOSE for name in re.findall(r"\$\{(\w+)", (DEPLOY / file).read_text("utf-8"))}
    assert named
    assert named | interpolated == asked
    page = (DEPLOY.parent / "docs/deploy.md").read_text("utf-8")
    secret = set(re.findall(r"--from-literal=(\w+)=", page))
    assert set(re.findall(r"_env: (\w+)", (DEPLOY / "kubernetes/cgscan.yaml").read_text("utf-8"))) <= secret
    assert {"CGSCAN_DATABASE", "CGSCAN_QUEUE"} <= secret


def test_nothing_runs_as_root_or_writes_outside_its_volumes() -> None:
    seen = 0
    for container, pod in containers():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert set(mounted.values()) == {"/etc/cgscan", "/tmp", "/cache", "/data"}
        assert set(mounted) == {one["name"] for one in pod["volumes"]}
        seen += 1
    services = {**read("compose.yaml")["services"], **read("many.yaml")["services"]}
    for name in ("cgscan", "worker"):
        whole = {**read("compose.yaml")["x-cgscan"], **services[name]}
        assert (whole["user"], whole["read_only"], whole["cap_drop"]) == ("65532:65532", True, ["ALL"])
        seen += 1
    assert seen == 4


def test_the_registry_of_the_compose_file_posts_to_the_source_of_the_settings(
    demo_parts: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that is told by the variable alone, as in its container; its image's own file says no more."""
    said = read("compose.yaml")["services"]["registry"]["environment"]["REGISTRY_NOTIFICATIONS"]
    (source,) = read("cgscan.yaml")["webhooks"]
    assert "${" + source["secret_env"] in said
    with site(lambda exchange: exchange.send(200)) as service:
        said = said.replace("http://cgscan:8087", service.url)
        said = re.sub(r"\$\{CGSCAN_REGISTRY_HOOK[^}]*\}", "sesame", said)
        monkeypatch.setenv("REGISTRY_NOTIFICATIONS", said)
        with docker_registry(tmp_path / "registry") as registry:
            push(demo_parts.image, f"{registry}/team/app")
            (seen,) = until(lambda: service.requests)
    assert seen.path == f"/webhooks/{source['name']}"
    assert seen.headers["authorization"] == "Bearer sesame"
    (event,) = json.loads(seen.body)["events"]
    assert event["target"]["references"]
