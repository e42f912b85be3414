"""What a build knows of the shipped libraries: their symbol graphs, as the compiler's own tools write them.

Nothing is compiled here. The tools get the flags with which the build compiled each module, so they find what it found.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from checklib import CannotRun, manifest, output

HINT = "build it first, and set MINTMARK_CONFIGURATION and MINTMARK_SCRATCH when it is not where builds usually are"
# What a tool that only loads a module needs of a compiler's arguments; each is followed by its value.
PASSED_ON = {"-target", "-sdk", "-I", "-F", "-Xcc", "-swift-version", "-module-cache-path"}


def shipped_libraries(root):
    """The modules of the library products, each after those it depends on."""
    package = manifest(root)
    shipped = {name for product in package["products"] if "library" in product["type"] for name in product["targets"]}
    if not shipped:
        raise CannotRun("Package.swift has no library product; this check would pass whatever is public")
    dependencies = {
        target["name"]: [name for edge in target["dependencies"] for name, *_ in edge.values()]
        for target in package["targets"]}
    ordered = []

    def visit(name):
        for dependency in sorted(dependencies.get(name, [])):
            visit(dependency)
        if name in shipped and name not in ordered:
            ordered.append(name)

    for name in sorted(shipped):
        visit(name)
    return ordered


class Build:
    """A folder that swift build filled."""

    def __init__(self, root, modules):
        scratch = root / (os.environ.get("MINTMARK_SCRATCH") or ".build")
        asked = os.environ.get("MINTMARK_CONFIGURATION")

        def usefulness(configuration):
            made = [self._made(scratch / configuration, module) for module in modules]
            return all(made), max(made)

        # Whoever asks for none means the one they built last, of those that have all modules.
        self.root, self.configuration = root, asked or max(["release", "debug"], key=usefulness)
        self.folder, self.plan = scratch / self.configuration, scratch / f"{self.configuration}.yaml"
        self._flags = {}

    @staticmethod
    def _made(folder, module):
        """When the module was last compiled; the module's own file is left alone when it would be the same."""
        files = [folder / "Modules" / f"{module}.{kind}" for kind in ("swiftmodule", "swiftdoc", "swiftsourceinfo")]
        return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)

    def newer_sources(self, module):
        """Files of the module that were changed after it was compiled."""
        made = self._made(self.folder, module)
        return sorted(
            str(path.relative_to(self.root)) for path in (self.root / "Sources" / module).rglob("*.swift")
            if path.stat().st_mtime > made)

    def flags(self, module):
        """The flags with which the build compiled the module, as far as a tool that loads it needs them."""
        if not self._flags:
            self._flags = dict(self._read_plan())
        if module not in self._flags or not self._made(self.folder, module):
            raise CannotRun(f"{module} is not built in {self.folder}; {HINT}")
        return self._flags[module]

    def _read_plan(self):
        if not self.plan.is_file():
            raise CannotRun(f"there is no {self.plan}, which swift build writes; {HINT}")
        with self.plan.open() as lines:
            for line in lines:
                line = line.strip()
                if not line.startswith("args: [") or '"-emit-module-path"' not in line:
                    continue
                arguments = json.loads(line.removeprefix("args: "))
                pairs = list(zip(arguments, arguments[1:]))
                path = dict(pairs)["-emit-module-path"]
                if Path(path).parent.name != "Modules":
                    continue
                flags, index = [], 0
                while index < len(arguments) - 1:
                    if arguments[index] in PASSED_ON:
                        flags += pairs[index]
                        index += 1
                    index += 1
                yield Path(path).stem, flags

    def _run(self, tool, arguments, made):
        done = output([tool, *arguments], self.root, timeout=50)
        if done.returncode or not made.is_file():
            raise CannotRun(f"{tool} failed with status {done.returncode}: {done.stderr.strip()[-2000:]}")

    def extract(self, module, folder, access="public"):
        """Writes the symbol graphs of a module into the folder, for docc or `symbols`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._run(
            "swift-symbolgraph-extract",
            ["-module-name", module, *self.flags(module), "-output-dir", str(folder), "-minimum-access-level", access,
             "-skip-synthesized-members", "-skip-inherited-docs", "-emit-extension-block-symbols"],
            folder / f"{module}.symbols.json")

    def digest(self, module, folder):
        """The module as swift-api-digester sees it: with less detail than in a symbol graph, but leaving out nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / f"{module}.digest"
        self._run(
            "swift-api-digester",
            ["-dump-sdk", "-module", module, *self.flags(module), "-avoid-location", "-avoid-tool-args", "-swift-only",
             "-o", str(made)], made)
        return json.loads(made.read_text())["ABIRoot"]


@dataclass
class Graph:
    """One file of symbol graphs: a module's own symbols, or those by which it extends another module."""

    symbols: list
    relationships: list


def graphs(module, folder):
    """What `Build.extract` wrote."""
    for path in sorted(folder.glob(f"{module}*.symbols.json")):
        content = json.loads(path.read_text())
        yield Graph(content["symbols"], content["relationships"])


def location(root, symbol):
    """The file, from the root, and the line of a symbol; None for what the compiler added."""
    if "location" not in symbol:
        return None
    path = source_path(root, unquote(symbol["location"]["uri"].removeprefix("file://")))
    return path, symbol["location"]["position"]["line"] + 1


def source_path(root, path):
    """A path of the build, from the root of the project, which may have been elsewhere when it was built."""
    if path.startswith(f"{root}/"):
        return path.removeprefix(f"{root}/")
    found = path.rfind("/Sources/")
    return path[found + 1:] if found >= 0 else path
