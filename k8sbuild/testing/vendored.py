"""A stand-in for a Go program that keeps the code of the modules it needs in its own ``vendor/``.

::

    files.write(folder, vendored.program("example.org/agent", variable="cmd/version.Version"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["program"]

_OTHER = "example.org/words"


def program(path: str, *, variable: str = "cmd/version.Version", go: str = "1.22") -> dict[str, str]:
    """Return a module's files: a program that prints its version, by a vendored module that no proxy has.

    Args:
        path: of the module.
        variable: ``folder.Name`` of the variable with the version, as ldflags set it.
        go: its go line.
    """
    folder, _, name = variable.rpartition(".")
    package = folder.rpartition("/")[2]
    return {**_own(path, folder, package, name, go), **_vendor()}


def _own(path: str, folder: str, package: str, name: str, go: str) -> Mapping[str, str]:
    text = f'package main\n\nimport (\n\t"{path}/{folder}"\n\t"{_OTHER}"\n)\n\n'
    return {
        "go.mod": f"module {path}\n\ngo {go}\n\nrequire {_OTHER} v1.0.0\n",
        "LICENSE": "of the program\n",
        "main.go": text + f"func main() {{ words.Say({package}.{name}) }}\n",
        f"{folder}/{package}.go": f'package {package}\n\nvar {name} = "none"\n',
    }


def _vendor() -> Mapping[str, str]:
    body = 'package words\n\nimport "fmt"\n\nfunc Say(text string) { fmt.Println("version", text) }\n'
    return {
        "vendor/modules.txt": f"# {_OTHER} v1.0.0\n## explicit; go 1.22\n{_OTHER}\n",
        f"vendor/{_OTHER}/words.go": body,
        f"vendor/{_OTHER}/LICENSE": "of the words\n",
    }
