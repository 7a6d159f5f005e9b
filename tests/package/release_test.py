# SPDX-License-Identifier: Apache-2.0
"""scripts/release.py in a fresh clone: what it writes, and what it refuses.

release_test.py SOURCE FOLDER     SOURCE is the tree to release, FOLDER is emptied; FOLDER/dist is the release
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import unittest

SOURCE, FOLDER = map(pathlib.Path, sys.argv[1:3])
HOMEPAGE = "https://mlflow-trace.example"
GIT = ["git", "-c", "user.name=user-1042", "-c", "user.email=user-1042@localhost", "-c", "tag.gpgSign=false", "-c", "commit.gpgSign=false"]


def run(*command: str, **more) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def make_repository(target: pathlib.Path) -> None:
    """The files of SOURCE as one commit, whether they are committed there or not."""
    files = run("git", "-C", str(SOURCE), "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, files):
        if (SOURCE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / name, target / name)
    run(*GIT, "init", "--quiet", cwd=target)
    commit(target)


def commit(repository: pathlib.Path) -> None:
    run(*GIT, "add", "--all", cwd=repository)
    run(*GIT, "commit", "--quiet", "-m", "tree", cwd=repository)


def clone(name: str) -> pathlib.Path:
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    run("git", "clone", "--quiet", str(FOLDER / "repository"), str(FOLDER / name))
    return FOLDER / name


def release(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    script = [sys.executable, str(root / "scripts/release.py"), "--homepage", HOMEPAGE]
    return subprocess.run([*script, *arguments], capture_output=True, text=True)


def bytes_in(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path: pathlib.Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, f"{path}: no {pattern}"
    path.write_text(text)


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(FOLDER, ignore_errors=True)
        make_repository(FOLDER / "repository")
        cls.dist = FOLDER / "dist"
        cls.root = clone("first")
        done = release(cls.root, "--draft", "--out", str(cls.dist), "--download", f"file://{cls.dist}")
        assert done.returncode == 0, done.stderr
        cls.version = run("sh", str(cls.root / "scripts/version.sh")).strip()
        cls.archive = cls.dist / f"mlflow_trace-{cls.version}.tar.gz"
        shutil.rmtree(FOLDER / "unpacked", ignore_errors=True)
        with tarfile.open(cls.archive) as tar:
            tar.extractall(FOLDER / "unpacked")
        cls.unpacked = FOLDER / "unpacked" / f"mlflow_trace-{cls.version}"

    def test_the_same_commit_gives_the_same_bytes(self):
        again = FOLDER / "again"
        shutil.rmtree(again, ignore_errors=True)
        environment = {**os.environ, "TZ": "Pacific/Auckland", "LC_ALL": "C"}
        script = [sys.executable, str(clone("second") / "scripts/release.py"), "--homepage", HOMEPAGE]
        old = os.umask(0o077)
        try:
            run(*script, "--draft", "--out", str(again), "--download", f"file://{self.dist}", env=environment)
        finally:
            os.umask(old)
        self.assertEqual(bytes_in(self.dist), bytes_in(again))

    def test_the_archive_holds_what_git_holds(self):
        tracked = run("git", "-C", str(self.root), "ls-files").splitlines()
        with tarfile.open(self.archive) as tar:
            files = [member for member in tar if member.isfile()]
        self.assertEqual(sorted(one.name for one in files), sorted(f"mlflow_trace-{self.version}/{name}" for name in tracked))
        for one in files:
            name = one.name.split("/", 1)[1]
            self.assertEqual((self.unpacked / name).read_bytes(), (self.root / name).read_bytes(), name)
            self.assertEqual((one.uid, one.gid), (0, 0))

    def test_every_build_system_takes_the_version_from_the_archive(self):
        build = FOLDER / "build"
        run("cmake", "-S", str(self.unpacked), "-B", str(build), "-DMLFLOW_TRACE_BUILD_TESTS=OFF", "-DMLFLOW_TRACE_BUILD_EXAMPLES=OFF")
        self.assertIn(f"CMAKE_PROJECT_VERSION:STATIC={self.version}\n", (build / "CMakeCache.txt").read_text())
        if shutil.which("meson"):
            run("meson", "setup", str(FOLDER / "meson"), str(self.unpacked), "-Dtests=disabled", "-Dbeast=disabled")
            told = json.loads(run("meson", "introspect", "--projectinfo", str(FOLDER / "meson")))
            self.assertEqual(told["version"], self.version)
        conan = pathlib.Path(sys.executable).with_name("conan")
        if conan.exists():
            environment = {**os.environ, "CONAN_HOME": str(FOLDER / "conan")}
            told = json.loads(run(str(conan), "inspect", str(self.unpacked), "--format=json", env=environment))
            self.assertEqual(told["version"], self.version)

    def test_the_manifest_for_platformio_has_the_version_and_existing_headers(self):
        told = json.loads((self.unpacked / "library.json").read_text())
        self.assertEqual(told["version"], self.version)
        for header in told["headers"]:
            self.assertTrue((self.unpacked / told["build"]["includeDir"] / header).is_file(), header)

    def test_checksums(self):
        lines = (self.dist / "SHA256SUMS").read_text().splitlines()
        summed = dict(reversed(line.split("  ")) for line in lines)
        files = {path.name for path in self.dist.iterdir() if path.is_file()} - {"SHA256SUMS"}
        self.assertEqual(summed.keys(), files)
        for name, expected in summed.items():
            self.assertEqual(hashlib.sha256((self.dist / name).read_bytes()).hexdigest(), expected, name)

    def test_single_headers(self):
        for path in (self.root / "single_include/mlflow").iterdir():
            self.assertEqual((self.dist / path.name).read_bytes(), path.read_bytes())

    def test_notes_are_the_section_of_the_version(self):
        notes = (self.dist / "RELEASE_NOTES.md").read_text()
        self.assertTrue(notes.startswith(f"# mlflow_trace {self.version}\n\n"))
        section = (self.root / "CHANGELOG.md").read_text().split(f"## {self.version} ", 1)[1].split("\n## ", 1)[0]
        self.assertEqual(notes.split("\n\n", 1)[1].strip(), section.split("\n", 1)[1].strip())

    def test_sbom(self):
        path = self.dist / f"mlflow_trace-{self.version}.cdx.json"
        described = json.loads(path.read_text())
        component = described["metadata"]["component"]
        self.assertEqual((component["name"], component["version"]), ("mlflow_trace", self.version))
        self.assertEqual(component["hashes"][0]["content"], hashlib.sha256(self.archive.read_bytes()).hexdigest())
        names = {one["name"] for one in described["components"]}
        self.assertEqual(names, {"uPlot", "Boost", "OpenSSL", "nlohmann/json", "zlib", "Zstandard", "CLI11"})
        try:
            from cyclonedx.schema import SchemaVersion
            from cyclonedx.validation.json import JsonStrictValidator
        except ImportError:
            self.skipTest("cyclonedx-python-lib of tests/requirements.txt is not there: the schema is not checked")
        validator = JsonStrictValidator(SchemaVersion.V1_6)
        self.assertIsNone(validator.validate_str(path.read_text()))
        self.assertIsNotNone(validator.validate_str(path.read_text().replace('"library"', '"librarium"')))

    def test_registries(self):
        registries = self.dist / "registries"
        for name, text in bytes_in(registries).items():
            self.assertIsNone(re.search(r"@[A-Z0-9_]+@", name + text.decode()), name)
        archive = self.archive.read_bytes()
        port = json.loads((registries / "vcpkg/ports/mlflow-trace/vcpkg.json").read_text())
        self.assertEqual((port["version"], port["homepage"]), (self.version, HOMEPAGE))
        portfile = (registries / "vcpkg/ports/mlflow-trace/portfile.cmake").read_text()
        self.assertIn(hashlib.sha512(archive).hexdigest(), portfile)
        module = registries / "bazel/modules/mlflow_trace"
        self.assertEqual(json.loads((module / "metadata.json").read_text())["versions"], [self.version])
        self.assertEqual((module / self.version / "MODULE.bazel").read_bytes(), (self.root / "MODULE.bazel").read_bytes())

    def refused(self, root: pathlib.Path, expected: str, *arguments: str) -> None:
        done = release(root, *arguments)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(expected, done.stderr)
        self.assertFalse((root / "dist").exists())

    def test_a_version_that_differs_is_refused(self):
        for name, pattern in {
            "MODULE.bazel": r'^    version = ".*"',
            "library.json": r'^    "version": ".*"',
            "CHANGELOG.md": r"^## \d\S+",
            "docs/installing.md": r"mlflow_trace/\d+\.\d+\.\d+",
        }.items():
            root = clone("differing")
            edit(root / name, pattern, {"MODULE.bazel": '    version = "9.8.7"', "library.json": '    "version": "9.8.7"', "CHANGELOG.md": "## 9.8.7"}.get(name, "mlflow_trace/9.8.7"))
            commit(root)
            self.refused(root, f"{name} says 9.8.7, and include/mlflow/trace/config.hpp {self.version}", "--draft")

    def test_changes_that_are_not_committed_are_refused(self):
        root = clone("changed")
        (root / "README.md").write_text("another")
        self.refused(root, "not committed", "--draft")

    def test_a_single_header_that_is_stale_is_refused(self):
        root = clone("stale")
        edit(root / "single_include/mlflow/trace.hpp", r"^// GENERATED.*$", "// GENERATED long ago")
        commit(root)
        self.refused(root, "single_include/ is not up to date", "--draft")

    def test_a_release_needs_a_date_and_a_tag(self):
        root = clone("tagged")
        edit(root / "CHANGELOG.md", rf"^## {re.escape(self.version)} .*$", f"## {self.version} (unreleased)")
        run(*GIT, "commit", "--quiet", "--allow-empty", "-am", "tree", cwd=root)
        self.refused(root, "has no date of release")
        edit(root / "CHANGELOG.md", r"\(unreleased\)", "(2026-11-30)")
        commit(root)
        self.refused(root, f"no tag v{self.version}")
        run(*GIT, "tag", f"v{self.version}", cwd=root)
        done = release(root)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'"{HOMEPAGE}/releases/download/v{self.version}/', (root / "dist/registries/vcpkg/ports/mlflow-trace/portfile.cmake").read_text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
