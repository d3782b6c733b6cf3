"""An image with one small program, without a registry: it serves, asks, looks names up, keeps files, and waits."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from e2e.nodes import until

from k8sbuild.build import host_platform
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.nodes import Node

__all__ = ["PROBE", "end", "load", "probe", "tried"]

#: No registry's.
PROBE = "tests.invalid/probe:v1"
_SOURCE = """package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			fmt.Fprint(w, host)
		})
		panic(http.ListenAndServe(os.Args[2], nil))
	case len(os.Args) == 4 && os.Args[1] == "ask":
		from := &net.Dialer{Timeout: 5 * time.Second}
		if os.Args[3] != "" {
			from.LocalAddr = &net.TCPAddr{IP: net.ParseIP(os.Args[3])}
		}
		client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: from.DialContext}}
		answer, err := client.Get(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		io.Copy(os.Stdout, answer.Body)
	case len(os.Args) > 2 && os.Args[1] == "reach":
		client := http.Client{Timeout: 3 * time.Second}
		var all sync.WaitGroup
		for _, url := range os.Args[2:] {
			all.Add(1)
			go func() {
				defer all.Done()
				if answer, err := client.Get(url); err == nil {
					io.Copy(io.Discard, answer.Body)
					fmt.Println(url)
				}
			}()
		}
		all.Wait()
	case len(os.Args) == 3 && os.Args[1] == "keep":
		dials := 0
		client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials++
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}}
		for n := 1; ; n++ {
			answer, err := client.Get(os.Args[2])
			if err != nil || dials > 1 {
				fmt.Println("lost", err)
				os.Exit(1)
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			fmt.Println("kept", n)
			time.Sleep(100 * time.Millisecond)
		}
	case len(os.Args) == 4 && os.Args[1] == "put":
		if err := os.WriteFile(os.Args[2], []byte(os.Args[3]), 0o600); err != nil {
			panic(err)
		}
	case len(os.Args) == 3 && os.Args[1] == "get":
		text, err := os.ReadFile(os.Args[2])
		if err != nil {
			panic(err)
		}
		fmt.Print(string(text))
	case len(os.Args) == 3 && os.Args[1] == "look":
		for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
			found, err := net.LookupHost(os.Args[2])
			if err == nil {
				fmt.Println(strings.Join(found, " "))
				return
			}
			if time.Now().After(end) {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	default:
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
	}
}
"""


def probe(folder: Path) -> Path:
    """Compile the program.

    ``serve ADDRESS`` answers with who asks, ``ask URL SOURCE`` asks (SOURCE may be empty), ``reach URL…`` prints those
    that answer within three seconds, ``keep URL`` asks on and on through one connection, ``look NAME`` says a name's
    addresses as soon as there is an answer, ``put FILE TEXT`` writes and ``get FILE`` prints a file.
    """
    return programs.compiled(folder, {"go.mod": "module probe\n\ngo 1.22\n", "main.go": _SOURCE}) / "probe"


def _saved(program: Path) -> bytes:
    """Return an image with a program as its entrypoint, in the form of ``docker save``."""
    layer = _tar({program.name: program.read_bytes()})
    config = {
        "architecture": host_platform().arch,
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PROBE], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "manifest.json": manifest}
    return _tar({**{name: json.dumps(value).encode() for name, value in files.items()}, "layer.tar": layer})


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o755, len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def load(node: Node, program: Path) -> None:
    """Put the program into the folder of images of a node that runs, and wait until it is imported."""
    folder = node.machine.data / "images"
    folder.mkdir(exist_ok=True)
    (folder / "probe.tar").write_bytes(_saved(program))
    until(lambda: f'images=["{PROBE}"]' in node.log, "the image is imported")


def tried(node: Node, name: str, *args: str, **spec: Any) -> str:
    """Run the program in a pod until it has ended well, and return what it printed; it must print something."""
    end(node, name, *args, **spec)
    # What a container wrote last may come into its log after it has ended.
    until(lambda: node.kubectl("logs", name) != "", f"pod {name} has a log")
    return node.kubectl("logs", name).strip()


def end(node: Node, name: str, *args: str, **spec: Any) -> None:
    """Run the program in a pod until it has ended well; ``spec`` is added to the pod's, ``mounts`` to its container."""
    container = {"name": "probe", "image": PROBE, "imagePullPolicy": "Never", "args": list(args)}
    container["volumeMounts"] = spec.pop("mounts", [])
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }
    node.kubectl("apply", "-f", "-", text=json.dumps(pod))
    node.wait(f"pod/{name}", "jsonpath={.status.phase}=Succeeded", 90)
