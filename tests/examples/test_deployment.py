"""The Dockerfile and the Kubernetes example: flags, paths and times that they name are there and fit."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgrec.serving.command import Command, limits_of
from imgrec.serving.front import OPEN
from imgrec.serving.limits import TOKEN
from imgrec.serving.pool import ENDING
from pipelines.cli import parse

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MANIFESTS = {
    each["kind"]: each for each in yaml.safe_load_all((ROOT / "examples/kubernetes/imgrec.yaml").read_text())
}


def words(instruction: str) -> list[str]:
    """The words of an instruction that has them as JSON."""
    found = re.search(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.M)
    assert found
    listed: list[str] = json.loads(found[1])
    return listed


def container() -> dict[str, Any]:
    pod: dict[str, Any] = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    return {**pod, **only}


def test_the_image_starts_the_server_and_asks_for_its_health() -> None:
    python, dash, module, *flags = words("ENTRYPOINT")
    assert (python, dash, module) == ("python", "-m", "pipelines.serve")
    asked = parse(Command, [*flags, *words("CMD")])
    assert asked.host == "0.0.0.0" and f"EXPOSE {asked.port}\n" in DOCKERFILE
    asks = re.search(r"urlopen\('http://127\.0\.0\.1:(\d+)(/[\w/]+)'", DOCKERFILE)
    assert asks and int(asks[1]) == asked.port and asks[2] in OPEN


def test_what_the_image_copies_is_there_and_let_through() -> None:
    named = [word for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.M) for word in line.split()]
    let = (ROOT / ".dockerignore").read_text().split()
    for name in named:
        assert (ROOT / name).exists() and f"!{name}" in let
    assert re.search(r"^USER \d+$", DOCKERFILE, re.M)


def test_what_the_image_installs_is_pinned() -> None:
    found = re.search(r"pip install --constraint constraints.txt \\\n(.*?[^\\])\n(?!    )", DOCKERFILE, re.S)
    assert found
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    assert set(found[1].replace("\\", "").split()) <= set(pins)


def test_the_deployment_uses_flags_and_paths_of_the_server() -> None:
    pod = container()
    _, _, _, *flags = words("ENTRYPOINT")
    asked = parse(Command, [*flags, *pod["args"]])
    assert [port["containerPort"] for port in pod["ports"]] == [asked.port]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert pod[probe]["httpGet"]["path"] in OPEN
    assert [each["name"] for each in pod["env"]] == [TOKEN]
    assert str(asked.run) in {mount["mountPath"] for mount in pod["volumeMounts"]}
    limits = limits_of(asked)
    assert pod["terminationGracePeriodSeconds"] >= asked.linger + limits.seconds + limits.sending + ENDING
    ready = pod["readinessProbe"]
    assert asked.linger >= 2 * ready["periodSeconds"] * ready["failureThreshold"]
    assert pod["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_parts_of_the_example_name_each_other() -> None:
    deployment = MANIFESTS["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == MANIFESTS["Service"]["spec"]["selector"]
    target = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    (port,) = MANIFESTS["Service"]["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in container()["ports"]}
    user = deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert f"USER {user}\n" in DOCKERFILE


def test_by_kubernetes_own_schema() -> None:
    checker = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for manifest in MANIFESTS.values():
        checker.validate(manifest, "1.31", strict=True)
