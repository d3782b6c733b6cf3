"""What the hooks yield: one content for both ways, and texts that their readers take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from k8sbuild_cri_dockerd_image import content, cri_dockerd, crictl, folder, plugin
from k8sbuild_cri_dockerd_image.choice import RUNTIMES, choice

from k8sbuild.build import fill
from k8sbuild.kinds import Artifact, GoBinary, GoModule, OciImage, RootFs, Source
from k8sbuild.testing.checks import conforms, contributions, sample_build

PACKAGE = Path(plugin.__file__).parent
DEBIAN = {"base": "debian"}
EXPOSED = {"expose_kubelet": "ca.crt"}


def build(**options: Any) -> Any:
    return sample_build(plugin, target=plugin.TARGET, k8s="v1.34.0", **options)


def texts(**options: Any) -> dict[str, str]:
    """Return the texts that the build makes, by name."""
    chosen = build(**options)
    items = [*content.units(choice(chosen)), *content.templates(chosen, choice(chosen))]
    items += list(folder.templates(chosen, choice(chosen)))
    made = {}
    for item in items:
        text = (PACKAGE / item.path).read_text()
        for name, value in item.values.items():
            text = text.replace(f"@{name}@", fill(value, chosen.placeholders(), item.name))
        made[item.name] = text
    return made


def test_the_plugin_is_what_plugins_must_be() -> None:
    given: list[dict[str, str]] = [
        {},
        {"runtime": "containerd", "cgroup_driver": "systemd", **DEBIAN},
        {"base": "root.tar", "manifest": "pod.yaml", **EXPOSED},
    ]
    conforms(plugin, *(build(**options) for options in given))


@pytest.mark.parametrize(
    ("base", "kind", "version", "location"),
    [
        ("kicbase", "oci", "v0.0.47", "k8s-minikube/kicbase#linux-"),
        ("kicbase:v0.0.46", "oci", "v0.0.46", "k8s-minikube/kicbase#linux-"),
        (f"kicbase@sha256:{'a' * 64}", "oci", f"sha256:{'a' * 64}", "k8s-minikube/kicbase#linux-"),
        (f"kicbase:v1@sha256:{'a' * 64}", "oci", f"v1@sha256:{'a' * 64}", "k8s-minikube/kicbase#linux-"),
        ("some/root.tar", "path", "local", "some/root.tar"),
        ("debian", "deb", "bookworm+", "?essential"),
    ],
)
def test_bases(base: str, kind: str, version: str, location: str) -> None:
    given = build(base=base)
    source = choice(given).source(given)
    assert source.version.startswith(version)
    assert location in source.locations[kind]
    assert any(isinstance(item, RootFs) for item in contributions(plugin, given)["k8sbuild_package"]) == (kind == "deb")


def test_the_runtimes_own_package_is_in_a_base_of_debians() -> None:
    for runtime, other in (("containerd", "docker.io"), ("cri-dockerd", "containerd")):
        given = build(runtime=runtime, **DEBIAN)
        names = choice(given).source(given).locations["deb"].partition("#")[0].split()
        assert RUNTIMES[runtime].package in names
        assert other not in names


def sources(**options: Any) -> dict[str, Source]:
    found = contributions(plugin, build(**options))["k8sbuild_fetch"]
    return {source.name: source for source in found}


def test_cri_dockerd_is_compiled_as_it_is() -> None:
    assert list(sources()["cri-dockerd"].locations) == ["git", "archive"]
    assert sources()["cri-dockerd"].layout == "as-is"
    assert sources(cri_dockerd_source="/src/cri")["cri-dockerd"].locations == {"path": "/src/cri"}
    assert sources(cri_dockerd_source="https://example.org/c")["cri-dockerd"].locations == {
        "git": "https://example.org/c"
    }
    assert "cri-dockerd" not in sources(runtime="containerd")
    given = contributions(plugin, build(cri_dockerd="v0.4.0-rc1"))
    (module,) = (m for m in given["k8sbuild_codegen"] if isinstance(m, GoModule) and m.source)
    assert module.path == cri_dockerd.MODULE
    (binary,) = (b for b in given["k8sbuild_compile"] if isinstance(b, GoBinary) and b.name == "cri-dockerd")
    assert list(binary.ldflags.values()) == ["0.4.0-rc1"]


@pytest.mark.parametrize("runtime", list(RUNTIMES))
@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_the_kubelet_and_its_runtime_get_one_cgroup_driver(runtime: str, driver: str) -> None:
    made = texts(runtime=runtime, cgroup_driver=driver)
    assert f"\ncgroupDriver: {driver}\n" in made["kicbase.yml"]
    if runtime == "containerd":
        cri = tomllib.loads(made["containerd.toml"])["plugins"]["io.containerd.grpc.v1.cri"]
        assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] == (driver == "systemd")
        assert cri["sandbox_image"] == "k8sbuild.dev/pause:v1.34.0"
    else:
        said = json.loads(made["daemon.json"])
        assert said["exec-opts"] == [f"native.cgroupdriver={driver}"]
        given = build(runtime=runtime)
        there = {file.path for layer in content.layers(given, choice(given)) for file in layer.files}
        assert said["runtimes"][said["default-runtime"]]["path"] in there
        # Docker that turns forwarding on drops what is forwarded, and so what pods send and get.
        assert said["ip-forward"] is False


@pytest.mark.parametrize("runtime", list(RUNTIMES))
@pytest.mark.parametrize("base", ["kicbase", "debian"])
@pytest.mark.parametrize("exposed", [{}, EXPOSED])
def test_both_ways_have_the_same_files(runtime: str, base: str, exposed: dict[str, str]) -> None:
    given = build(runtime=runtime, base=base, **exposed)
    packed = contributions(plugin, given)["k8sbuild_package"]
    (image,) = (item for item in packed if isinstance(item, OciImage) and item.name == "image")
    own = {(file.path, file.link) for layer in image.layers for file in layer.files}
    lines = texts(runtime=runtime, base=base, **exposed)["Dockerfile.kicbase"].replace("\\\n", "").splitlines()
    copies = [line.split() for line in lines if line.startswith("COPY ") and not line.endswith(" /tmp/")]
    links = [re.findall(r"ln -sfn (\S+) (\S+)", line) for line in lines]
    assert {(words[-1], "") for words in copies} | {(path, link) for row in links for link, path in row} == own
    there = {place for _, place, _ in folder.step(given, choice(given)).params["files"]} | {"images.tar"}
    there |= {item.file.partition("/")[2] for item in packed if isinstance(item, Artifact)}
    assert {words[1] for words in copies if not words[1].startswith("--from=")} <= there
    assert {"Dockerfile.kicbase", "compose.yaml", "README.md", "kubelet.yaml"} <= there
    assert image.entrypoint == ("/usr/local/bin/entrypoint", "/sbin/init")
    assert (image.stop_signal, image.env) == ("SIGRTMIN+3", {"container": "docker"})


def arguments(**options: Any) -> dict[str, str]:
    """Return the build arguments of the Dockerfile that have a value."""
    return dict(re.findall(r"(?m)^ARG (\w+)=(.+)$", texts(**options)["Dockerfile.kicbase"]))


@pytest.mark.parametrize(
    ("base", "version", "reference"),
    [
        ("kicbase", "v0.0.47", ":${KICBASE_VERSION}"),
        ("kicbase:v0.0.46", "v0.0.46", ":${KICBASE_VERSION}"),
        (f"kicbase@sha256:{'a' * 64}", "v0.0.47", f"@sha256:{'a' * 64}"),
        (f"kicbase:v0.0.46@sha256:{'a' * 64}", "v0.0.46", f":${{KICBASE_VERSION}}@sha256:{'a' * 64}"),
        ("debian", "v0.0.47", ":${KICBASE_VERSION}"),
    ],
)
def test_docker_takes_the_base_that_was_asked_for(base: str, version: str, reference: str) -> None:
    given = arguments(base=base)
    assert given["KICBASE_VERSION"] == version
    assert given["BASE_IMAGE"].endswith(f"/kicbase{reference}")


@pytest.mark.parametrize(
    ("version", "source", "asked"),
    [
        ("v1.34.0", "", "/v1.34.0.tar.gz"),
        ("v1.34", "", "/v1.34.0.tar.gz"),
        ("v1.34.2", "", "/v1.34.2.tar.gz"),
        ("v1.34", "http://mirror.invalid/k.tgz", "http://mirror.invalid/k.tgz"),
    ],
)
def test_a_minor_is_its_newest_known_patch(tmp_path: Path, version: str, source: str, asked: str) -> None:
    stage = texts()["Dockerfile.kicbase"].split("\nFROM ")[1].replace("\\\n", "")
    (command,) = re.findall(r"(?m)^RUN (.*wget.*)$", stage)
    for name in ("wget", "tar"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/called\n')
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "KUBE_VERSION": version, **({"KUBE_SOURCE": source} if source else {})}
    subprocess.run(["sh", "-euc", command], env=env, check=True)
    assert (tmp_path / "called").read_text().splitlines()[0].endswith(asked)


@pytest.mark.parametrize("base", ["kicbase", "debian"])
def test_pods_have_our_network_on_every_base(base: str) -> None:
    given = build(base=base)
    there = {file.path for layer in content.layers(given, choice(given)) for file in layer.files}
    assert "/etc/cni/net.d/10-pods.conflist" in there
    assert json.loads(texts(base=base)["network.conflist"])["plugins"][0]["isDefaultGateway"] is True


def test_crictl_is_of_debians_base() -> None:
    for options, wanted in (
        ({}, False),
        (DEBIAN, True),
        ({**DEBIAN, "crictl": False}, False),
        ({"base": "r.tar"}, False),
    ):
        given = build(**options)
        there = {file.path: layer.name for layer in content.layers(given, choice(given)) for file in layer.files}
        assert there.get("/usr/local/bin/crictl") == ("base" if wanted else None)
        assert there["/etc/crictl.yaml"] == "system"
        found = contributions(plugin, given)
        assert ("cri-tools" in {item.name for item in found["k8sbuild_fetch"]}) == wanted
        assert ("crictl" in {item.name for item in found["k8sbuild_compile"]}) == wanted
    (size,) = (check for check in found["k8sbuild_validate"] if check.name == "size")
    assert crictl.PROGRAM not in size.inputs


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_crictl_asks_the_runtime_as_the_kubelet_does(runtime: str) -> None:
    made = texts(runtime=runtime)
    (socket,) = re.findall(r"(?m)^containerRuntimeEndpoint: (\S+)$", made["kicbase.yml"])
    assert made["crictl.yaml"] == f"runtime-endpoint: {socket}\nimage-endpoint: {socket}\n"


def test_only_what_changes_with_the_configuration_is_in_the_last_layer() -> None:
    layers = content.layers(build(), choice(build()))
    assert [file.path for file in layers[-1].files] == ["/kubelet.yaml", "/etc/kubernetes/manifests/hello-world.yaml"]


def test_nobody_but_the_container_reaches_the_kubelet() -> None:
    for line in ("address: 127.0.0.1", "readOnlyPort: 0", "    enabled: true", '    clientCAFile: ""'):
        assert f"\n{line}\n" in texts()["kicbase.yml"]
    exposed = texts(**EXPOSED)["kicbase.yml"]
    for line in ("address: 0.0.0.0", "readOnlyPort: 0", '    clientCAFile: "/etc/kubernetes/client-ca.crt"'):
        assert f"\n{line}\n" in exposed
    assert "enabled: true" not in exposed
    assert "ports:" not in texts()["compose.yaml"]


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_systemd_takes_the_units(runtime: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on PATH: units are NOT verified by systemd here")
    made = texts(runtime=runtime)
    names = [name for name in made if name.endswith((".service", ".socket"))]
    for name in names:
        # Programs and units of the image are not on this machine.
        text = re.sub(r"(?m)^(ExecStart)=/usr/local/\S+", r"\1=/bin/true", made[name])
        (tmp_path / name).write_text(text)
    for name in ("docker.service", "containerd.service"):
        (tmp_path / name).write_text("[Service]\nExecStart=/bin/true\n")
    env = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"}
    argv = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)]
    done = subprocess.run(argv, capture_output=True, text=True, env=env)
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or any(n in line for n in names)]
    assert (done.returncode, ours) == (0, [])


def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    argv = next(
        (
            words
            for words in (["docker", "compose"], ["docker-compose"])
            if shutil.which(words[0]) and not subprocess.run([*words, "version"], capture_output=True).returncode
        ),
        None,
    )
    if argv is None:
        pytest.skip("no docker compose on PATH: compose.yaml is NOT read by it here")
    (tmp_path / "compose.yaml").write_text(texts()["compose.yaml"])
    done = subprocess.run([*argv, "--file", "compose.yaml", "config"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in ("privileged: true", "stop_grace_period: 30s", "seccomp=unconfined", "10248/healthz"):
        assert line in done.stdout


@pytest.mark.parametrize("script", ["entrypoint", "load-images", "runc-restricted"])
def test_the_shell_takes_the_scripts(script: str) -> None:
    assert subprocess.run(["sh", "-n"], input=texts()[script], text=True).returncode == 0


def test_images_are_given_to_the_runtime_once(tmp_path: Path) -> None:
    text = texts(runtime="containerd")["load-images"]
    text = text.replace("/usr/local/share/kubelet-image", str(tmp_path)).replace("/var/lib", str(tmp_path / "var"))
    (tmp_path / "images.tar").write_text("1")
    (tmp_path / "ctr").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n')
    (tmp_path / "ctr").chmod(0o755)

    def load() -> list[str]:
        path = f"{tmp_path}:/usr/bin:/bin"
        assert subprocess.run(["sh", "-c", text], env={"PATH": path}).returncode == 0
        return (tmp_path / "called").read_text().splitlines()

    assert load() == [f"--namespace=k8s.io images import {tmp_path}/images.tar"]
    assert len(load()) == 1
    (tmp_path / "images.tar").write_text("2")
    assert len(load()) == 2


def test_containers_start_without_a_score_that_the_machine_forbids(tmp_path: Path) -> None:
    (tmp_path / "runc").write_text(f'#!/bin/sh\nfor word; do echo "$word" >>{tmp_path}/called; done\n')
    (tmp_path / "runc").chmod(0o755)
    config = tmp_path / "config.json"

    def score(wanted: int) -> int:
        """Return the score of a container that asks for one."""
        config.write_text(json.dumps({"process": {"oomScoreAdj": wanted}, "root": {}}, separators=(",", ":")))
        argv = ["sh", "-c", texts()["runc-restricted"], "runc", "create", "--bundle", str(tmp_path), "two words"]
        subprocess.run(argv, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
        said = json.loads(config.read_text())
        assert said["root"] == {}
        return int(said["process"]["oomScoreAdj"])

    effective = re.search(r"(?m)^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text())
    assert effective
    may_lower = int(effective[1], 16) >> 24 & 1  # CAP_SYS_RESOURCE
    assert score(-998) == (-998 if may_lower else int(Path("/proc/self/oom_score_adj").read_text()))
    assert score(700) == 700
    assert (tmp_path / "called").read_text().splitlines() == ["create", "--bundle", str(tmp_path), "two words"] * 2


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_containerd_takes_its_configuration(tmp_path: Path, driver: str) -> None:
    if shutil.which("containerd") is None:
        pytest.skip("no containerd on PATH: containerd.toml is NOT read by it here")
    (tmp_path / "config.toml").write_text(texts(runtime="containerd", cgroup_driver=driver)["containerd.toml"])
    argv = ["containerd", "--config", str(tmp_path / "config.toml"), "config", "dump"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr
    read = tomllib.loads(done.stdout)["plugins"]
    cri = read.get("io.containerd.grpc.v1.cri", read.get("io.containerd.cri.v1.runtime", {}))
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] == (driver == "systemd")


def test_the_pods_network_is_made_of_plugins_that_debian_has() -> None:
    made = json.loads(texts(**DEBIAN)["network.conflist"])
    assert [item["type"] for item in made["plugins"]] == ["bridge", "portmap"]
    assert made["plugins"][0]["ipam"]["type"] == "host-local"
    assert "containernetworking-plugins" in choice(build(**DEBIAN)).source(build(**DEBIAN)).locations["deb"]
