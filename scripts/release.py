#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a release of the commit that is checked out: the source archive, the single headers, release notes from CHANGELOG.md, an SBOM
(CycloneDX), what the registries of vcpkg, Conan and Bazel take, and SHA256SUMS.

    release.py --homepage URL [--download URL] [--out FOLDER] [--draft]

The version is that of include/mlflow/trace/config.hpp; a file that states another one ends the run. The same commit gives the
same bytes. --download is the address under which the files will lie, HOMEPAGE/releases/download/vVERSION without it. --draft
takes a version that CHANGELOG.md calls unreleased, and a commit without a tag.
"""

import argparse
import base64
import datetime
import gzip
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import uuid

import amalgamate

NAME = "mlflow_trace"
DESCRIPTION = "Records traces of GenAI applications, with their users and sessions, for MLflow"

# Libraries that a program brings itself if it includes the headers that need them.
OPTIONAL = {
    "boost": ("Boost", "BSL-1.0", "transports/beast.hpp, context/asio.hpp"),
    "openssl": ("OpenSSL", "Apache-2.0", "transports/beast.hpp, transports/hmac_seal.hpp"),
    "nlohmann": ("nlohmann/json", "MIT", "client.hpp"),
    "zlib.h": ("zlib", "Zlib", "transports/gzip.hpp, client/gzip_file.hpp"),
    "zstd.h": ("Zstandard", "BSD-3-Clause", "client/zstd_file.hpp"),
}

POSIX = {"arpa", "dirent.h", "netinet", "poll.h", "sys"}


class Refused(Exception):
    pass


def git(root: pathlib.Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True).stdout


def version_of(root: pathlib.Path) -> str:
    """The version of config.hpp, where every other file agrees with it."""
    config = "include/mlflow/trace/config.hpp"
    version = re.search(r'^#define MLFLOW_TRACE_VERSION "(\d+\.\d+\.\d+)"$', (root / config).read_text(), re.MULTILINE).group(1)
    major, minor, patch = version.split(".")
    stated = [
        (config, r"^#define MLFLOW_TRACE_VERSION_MAJOR (\d+)$", major),
        (config, r"^#define MLFLOW_TRACE_VERSION_MINOR (\d+)$", minor),
        (config, r"^#define MLFLOW_TRACE_VERSION_PATCH (\d+)$", patch),
        (config, r"^#define MLFLOW_TRACE_ABI v(\d+_\d+)\w*$", f"{major}_{minor}"),
        ("CHANGELOG.md", r"\A# Changelog\n(?:(?!## ).*\n)*## (\S+)", version),
        ("MODULE.bazel", r'^    version = "(.+)",$', version),
        ("library.json", r'^    "version": "(.+)",$', version),
        ("docs/installing.md", rf"\b{NAME}/(\d+\.\d+\.\d+)\b", version),
        ("docs/installing.md", r"--version (\d+\.\d+\.\d+)\b", version),
        ("docs/installing.md", rf'\(name = "{NAME}", version = "(.+)"\)', version),
        ("docs/installing.md", rf"find_package\({NAME} (\d+\.\d+) ", f"{major}.{minor}"),
        *[(f"single_include/mlflow/{path.name}", rf"^// {NAME} (\S+): ", version) for path in single_headers(root)],
    ]
    wrong = []
    for name, pattern, expected in stated:
        found = re.findall(pattern, (root / name).read_text(), re.MULTILINE)
        wrong += [f"{name} says {one}, and {config} {expected}" for one in found if one != expected]
        wrong += [f"{name} states no version: {pattern}"] if not found else []
    # These read config.hpp.
    for name, reader in {"CMakeLists.txt": "config.hpp", "conanfile.py": "config.hpp", "meson.build": "scripts/version.sh"}.items():
        if reader not in (root / name).read_text():
            wrong.append(f"{name} does not take its version from {reader}")
    if wrong:
        raise Refused("\n".join(wrong))
    return version


def single_headers(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted((root / "single_include/mlflow").glob("*.hpp"))


def release_notes(changelog: str, version: str, draft: bool) -> str:
    heading, body = re.search(rf"^## {re.escape(version)} (\(.+\))\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL).groups()
    if not draft and not re.fullmatch(r"\(\d{4}-\d\d-\d\d\)", heading):
        raise Refused(f"CHANGELOG.md: ## {version} {heading} has no date of release (YYYY-MM-DD)")
    return f"# {NAME} {version}\n\n{body.strip()}\n"


def source_archive(root: pathlib.Path, prefix: str, time: int) -> bytes:
    tar = git(root, "-c", "tar.umask=0022", "archive", "--format=tar", f"--prefix={prefix}/", "HEAD")
    return gzip.compress(tar, compresslevel=9, mtime=time)


def digest(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def needed_libraries(root: pathlib.Path) -> set[str]:
    """What the headers include of others: the first part of each name."""
    includes = set()
    for path in (root / "include").rglob("*.hpp"):
        includes.update(re.findall(r"^\s*#\s*include\s*<([^>]+)>", path.read_text(), re.MULTILINE))
    return {name.split("/")[0] for name in includes if not amalgamate.is_standard(name)} - POSIX - {"mlflow"}


def sbom(root: pathlib.Path, version: str, archive: bytes, time: int) -> dict:
    if needed_libraries(root) != OPTIONAL.keys():
        raise Refused(f"the SBOM names {sorted(OPTIONAL)}, the headers include {sorted(needed_libraries(root))}")

    def component(name: str, licence: str, description: str, **more) -> dict:
        return {"type": "library", "bom-ref": name, "name": name, "description": description,
                "licenses": [{"license": {"id": licence}}], **more}  # fmt: skip

    def hashes(data: bytes) -> list[dict]:
        return [{"alg": "SHA-256", "content": digest("sha256", data)}]

    vendor = root / "examples/mlflow_sessions/report/vendor"
    plot = (vendor / "uPlot.iife.min.js").read_bytes()
    plot_version = re.search(rb"\(v([\d.]+)\)", plot).group(1).decode()
    components = [component("uPlot", "MIT", "Part of the pages that mlflow_sessions report writes", version=plot_version,
                            purl=f"pkg:npm/uplot@{plot_version}", hashes=hashes(plot))]  # fmt: skip
    for name, licence, headers in OPTIONAL.values():
        components.append(component(name, licence, f"Not contained; needed by {headers}", scope="optional"))
    components.append(component("CLI11", "BSD-3-Clause", "Not contained; needed by the command-line tools", scope="optional"))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, digest("sha256", archive)).urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(NAME, "Apache-2.0", DESCRIPTION, version=version,
                                   purl=f"pkg:generic/{NAME}@{version}", hashes=hashes(archive)),  # fmt: skip
        },
        "components": components,
        "dependencies": [{"ref": NAME, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def write_registries(root: pathlib.Path, out: pathlib.Path, values: dict[str, str]) -> None:
    """packaging/ with each @NAME@ replaced, in texts and in names of files."""

    def replaced(text: str) -> str:
        return re.sub("@([A-Z0-9_]+)@", lambda found: values[found.group(1)], text)

    for source in sorted((root / "packaging").rglob("*")):
        if source.is_file():
            target = out / replaced(str(source.relative_to(root / "packaging")))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(replaced(source.read_text()))
    shutil.copyfile(root / "MODULE.bazel", out / "bazel/modules" / NAME / values["VERSION"] / "MODULE.bazel")


def release(root: pathlib.Path, out: pathlib.Path, homepage: str, download: str | None, draft: bool) -> None:
    if git(root, "status", "--porcelain").strip():
        raise Refused("there are changes that are not committed")
    version = version_of(root)
    notes = release_notes((root / "CHANGELOG.md").read_text(), version, draft)
    if not all(amalgamate.check(root / "single_include" / name, text) for name, text in amalgamate.amalgamate(root).items()):
        raise Refused("single_include/ is not up to date")
    if not draft and f"v{version}" not in git(root, "tag", "--points-at", "HEAD").decode().split():
        raise Refused(f"the commit has no tag v{version}")

    time = int(git(root, "log", "-1", "--format=%ct"))
    prefix = f"{NAME}-{version}"
    archive = source_archive(root, prefix, time)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = {
        f"{prefix}.tar.gz": archive,
        f"{prefix}.cdx.json": (json.dumps(sbom(root, version, archive, time), indent=2) + "\n").encode(),
        "RELEASE_NOTES.md": notes.encode(),
        **{path.name: path.read_bytes() for path in single_headers(root)},
    }
    for name, data in files.items():
        (out / name).write_bytes(data)
    (out / "SHA256SUMS").write_text("".join(f"{digest('sha256', files[name])}  {name}\n" for name in sorted(files)))

    download = download or f"{homepage}/releases/download/v{version}"
    write_registries(root, out / "registries", {
        "VERSION": version,
        "HOMEPAGE": homepage,
        "PREFIX": prefix,
        "ARCHIVE": f"{prefix}.tar.gz",
        "ARCHIVE_URL": f"{download}/{prefix}.tar.gz",
        "SHA256": digest("sha256", archive),
        "SHA256_BASE64": base64.b64encode(hashlib.sha256(archive).digest()).decode(),
        "SHA512": digest("sha512", archive),
    })  # fmt: skip


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homepage", required=True, help="the address of the repository")
    parser.add_argument("--download", help="the address of the folder in which the files will lie")
    parser.add_argument("--out", type=pathlib.Path, default=root / "dist")
    parser.add_argument("--draft", action="store_true", help="also a version that is unreleased, and no tag")
    arguments = parser.parse_args()
    try:
        release(root, arguments.out, arguments.homepage, arguments.download, arguments.draft)
    except (Refused, amalgamate.CannotFollow) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.buffer.write(error.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
