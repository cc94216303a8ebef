"""``deploy/kubernetes/admission.yaml``: of Kubernetes' schema, and in agreement with what answers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from scanner.service.admission.gate import REST
from scanner.service.admission.workloads import TEMPLATES
from scanner.service.api.admission import PATH
from scanner.serving import Admission

kubernetes_validate = pytest.importorskip("kubernetes_validate")

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


@pytest.fixture(scope="module")
def configuration() -> Any:
    (found,) = documents("admission.yaml")
    return found


@pytest.fixture
def webhook(configuration: Any) -> Any:
    (found,) = configuration["webhooks"]
    return found


def test_it_is_of_kubernetes_schema(configuration: Any) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(configuration, version, strict=True)
    (webhook,) = configuration["webhooks"]
    for wrong in ({"sideEffects": None}, {"failurePolicys": "Fail"}, {"timeoutSeconds": "5s"}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**configuration, "webhooks": [{**webhook, **wrong}]}, version, strict=True)


def test_it_asks_the_service_that_is_there(configuration: Any, webhook: Any) -> None:
    asked = webhook["clientConfig"]["service"]
    (namespace,) = documents("namespace.yaml")
    (service,) = (one for one in documents("serve.yaml") if one["kind"] == "Service")
    assert asked["path"] == PATH
    assert (asked["namespace"], asked["name"]) == (namespace["metadata"]["name"], service["metadata"]["name"])
    assert asked["port"] in [port["port"] for port in service["spec"]["ports"]]
    assert configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].startswith(
        f"{namespace['metadata']['name']}/"
    )


def test_it_waits_longer_than_an_answer_takes(webhook: Any) -> None:
    assert webhook["timeoutSeconds"] > Admission().resolve_seconds + REST + 1


def test_it_asks_for_every_kind_that_holds_pods_and_runs(webhook: Any) -> None:
    asked = {
        (group, resource)
        for rule in webhook["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if {"CREATE", "UPDATE"} <= set(rule["operations"])
    }
    held = {(group, f"{kind.lower()}s") for group, kind in TEMPLATES if kind != "PodTemplate"}  # runs by itself never
    assert asked == held | {("", "pods/ephemeralcontainers")}


def test_it_leaves_out_the_cluster_itself_and_cgscan(webhook: Any) -> None:
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
    assert {"kube-system", webhook["clientConfig"]["service"]["namespace"]} <= set(expression["values"])
