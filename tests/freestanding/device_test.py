#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles the library for a cortex-m3 without operating system, heap, exceptions and RTTI, runs a program that records
on an emulated board, and reads what it recorded by OpenTelemetry's own definitions.

usage: device_test.py <folder include> <folder to build in>

Needs arm-none-eabi-g++ with its C++ library, qemu-system-arm, and opentelemetry-proto from PyPI.
"""

import json
import pathlib
import subprocess
import sys

from opentelemetry.proto.trace.v1.trace_pb2 import Span

HERE = pathlib.Path(__file__).resolve().parent
MACHINE = ["-mcpu=cortex-m3", "-mthumb"]
COMPILE = [
    "arm-none-eabi-g++", "-std=c++20", *MACHINE, "-Os", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
    "-fno-threadsafe-statics", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-ffunction-sections",
    "-fdata-sections", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wsign-conversion", "-Werror",
]  # fmt: skip
LINK = ["arm-none-eabi-g++", *MACHINE, "-nostdlib", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings"]
EMULATE = [
    "qemu-system-arm", "-machine", "lm3s6965evb", "-nographic", "-monitor", "none", "-serial", "none",
    "-semihosting-config", "enable=on,target=native",
]  # fmt: skip

# What GCC expects of every target, even a freestanding one, and a virtual function's never called place holder.
EXPECTED_OF_TARGET = {"memcpy", "memmove", "memset", "memcmp", "strlen", "abort", "__cxa_pure_virtual"}
NEEDS_AN_OPERATING_SYSTEM = {
    "device/received.hpp",
    "memory/forks.hpp",
    "platform/appended_file.hpp",
    "platform/files.hpp",
    "platform/hosted.hpp",
    "platform/per_process.hpp",
    "platform/replaced_file.hpp",
    "platform/threads.hpp",
    "platform/without_signals.hpp",
    "platform/worker_threads.hpp",
    "spans/attachment.hpp",
}


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr  # the emulator's console is standard error


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {what}")


def compile_every_header(include: pathlib.Path, build: pathlib.Path) -> int:
    headers = [
        header.relative_to(include)
        for folder in ("detail", "memory", "text", "core", "values", "wire", "http", "metadata", "platform", "recording", "spans", "device")
        for header in sorted((include / "mlflow/trace" / folder).glob("*.hpp"))
        if f"{folder}/{header.name}" not in NEEDS_AN_OPERATING_SYSTEM
    ]
    source = build / "every_header.cpp"
    source.write_text("".join(f"#include <{header.as_posix()}>\n" for header in headers))
    run(*COMPILE, f"-I{include}", "-fsyntax-only", source)
    # As where -ffreestanding takes headers away that this needs: libstdc++ from 13 on.
    hosted = [option for option in COMPILE if option != "-ffreestanding"]
    run(*hosted, "-DMLFLOW_TRACE_HOSTED=0", f"-I{include}", "-fsyntax-only", source)
    return len(headers)


def symbols(option: str, file: pathlib.Path) -> set[str]:
    return {line.split()[-1] for line in run("arm-none-eabi-nm", option, file).splitlines() if line.strip()}


def build_program(include: pathlib.Path, build: pathlib.Path) -> pathlib.Path:
    device, startup, program = build / "device.o", build / "startup.o", build / "device.elf"
    run(*COMPILE, f"-I{include}", "-c", HERE / "device.cpp", "-o", device)
    undefined = {name for name in symbols("--undefined-only", device) if not name.startswith("__aeabi_")}
    check(undefined <= EXPECTED_OF_TARGET, f"the library needs what a device has not: {undefined - EXPECTED_OF_TARGET}")
    floating = {name for name in symbols("--undefined-only", device) if name.startswith(("__aeabi_d", "__aeabi_f"))}
    check(not floating, f"helpers for floating point: {floating}")
    # What replaces memcpy must not be compiled into a call of memcpy.
    run(*COMPILE, "-fno-tree-loop-distribute-patterns", "-c", HERE / "startup.cpp", "-o", startup)
    run(*LINK, "-T", HERE / "lm3s6965.ld", device, startup, "-lgcc", "-o", program)
    return program


def measure_framed_path(include: pathlib.Path, build: pathlib.Path) -> None:
    """What sending costs: code, and memory besides the ring."""
    most_text, most_data, ring = 3_500, 192, 1_024
    program = build / "framed_path.o"
    for processor in ("cortex-m0", "cortex-m3", "cortex-m4"):
        run(*COMPILE, f"-mcpu={processor}", f"-I{include}", "-c", HERE / "framed_path.cpp", "-o", program)
        text, data, bss = map(int, run("arm-none-eabi-size", program).splitlines()[1].split()[:3])
        print(f"framed path on {processor}: {text} bytes of text, {data} of data, {bss} of the ring")
        check(text <= most_text and data <= most_data and bss <= ring + 16, f"too large on {processor}: {text}, {data}, {bss}")
        needed = symbols("--undefined-only", program)
        check(needed <= {"__aeabi_llsr", "memcpy", "memset"}, f"the framed path needs {needed}")


def value_of(any_value) -> object:
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes_of(span: Span) -> dict[str, object]:
    return {attribute.key: value_of(attribute.value) for attribute in span.attributes}


def check_conversation(trace: dict) -> None:
    check(
        trace["entries"] == {"mlflow.trace.user": "user-1042", "mlflow.trace.session": "kitchen-7"},
        f"user and session: {trace['entries']}",
    )
    generate, assistant = trace["spans"]
    check((generate.name, assistant.name) == ("generate", "assistant"), "names of the spans")
    check(generate.parent_span_id == assistant.span_id and assistant.parent_span_id == b"", "parents of the spans")
    check({span.trace_id.hex() for span in trace["spans"]} == {trace["id"]}, "trace ID of the spans")
    for span in trace["spans"]:
        check(0 < span.start_time_unix_nano < span.end_time_unix_nano, f"times of {span.name}")
    said = attributes_of(assistant)
    check(json.loads(said["mlflow.spanInputs"]) == {"question": "How warm is it?"}, f"inputs: {said}")
    check(json.loads(said["mlflow.spanOutputs"]) == "warm", f"outputs: {said}")
    check(said["mlflow.spanType"] == "AGENT", f"type: {said}")
    made = attributes_of(generate)
    usage = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    check(json.loads(made["mlflow.chat.tokenUsage"]) == usage, f"usage: {made}")
    check(json.loads(made["mlflow.spanOutputs"]) == 'It is "warm".', f"outputs: {made}")
    check((made["app.microphone"], made["app.gain"]) == (2, 0.5), f"attributes: {made}")


def check_full(trace: dict) -> None:
    check(trace["entries"]["mlflow.trace.user"] == "user-1043", f"user: {trace['entries']}")
    (root,) = trace["spans"]
    left = attributes_of(root)
    check("mlflow.spanInputs" not in left and left["app.left"] is True, f"what had no room: {sorted(left)}")


def main() -> None:
    include, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    build.mkdir(parents=True, exist_ok=True)
    headers = compile_every_header(include, build)
    measure_framed_path(include, build)
    program = build_program(include, build)

    traces, numbers, refused = [], {}, []
    for line in run(*EMULATE, "-kernel", program).splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "trace":
            traces.append({"id": rest, "entries": {}, "spans": []})
        elif kind == "entry":
            key, _, value = rest.partition("=")
            traces[-1]["entries"][key] = value
        elif kind == "span":
            traces[-1]["spans"].append(Span.FromString(bytes.fromhex(rest)))
        elif kind == "refused":
            refused.append(rest.split()[0])
        elif rest.isdigit():
            numbers[kind] = int(rest)

    check(len(traces) == 2, f"{len(traces)} traces were printed")
    check_conversation(traces[0])
    check_full(traces[1])
    check(refused == ["mlflow.trace.user"], f"refused: {refused}")
    check(numbers["started"] == numbers["exported"] == 2 * 1002 + 1, f"account: {numbers}")
    check(numbers["open"] == numbers["locked"] == 0, f"account: {numbers}")
    print(f"{headers} headers compiled; {numbers['exported']} spans recorded on the board")
    print(run("arm-none-eabi-size", program))


if __name__ == "__main__":
    main()
