#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles the library for a cortex-m3, a cortex-m0 and a 32-bit RISC-V without operating system, heap, exceptions and
RTTI, runs a program that records on emulated boards, and reads what it recorded by OpenTelemetry's own definitions.

usage: device_test.py <folder include> <folder to build in>

Needs arm-none-eabi-g++ with its C++ library, qemu-system-arm, and opentelemetry-proto from PyPI; for RISC-V
riscv64-unknown-elf-g++ and qemu-system-riscv32, without which it is left out.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import Span

HERE = pathlib.Path(__file__).resolve().parent
ATOMICS = HERE.parents[1] / "examples/embedded/atomics.cpp"
OPTIONS = [
    "-std=c++20", "-Os", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Wpedantic",
    "-Wconversion", "-Wshadow", "-Wsign-conversion", "-Werror",
]  # fmt: skip
EMULATE = [
    "-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native", "-icount", "shift=0",
]  # fmt: skip


@dataclass
class Processor:
    """A processor and the emulated board that has it."""

    name: str
    machine: list[str]
    emulator: list[str]
    tools: str = "arm-none-eabi-"
    link: list[str] = field(default_factory=list)
    atomics: set[str] = field(default_factory=set)  # the functions that GCC calls for want of instructions
    instructions: int = 0  # the most that a span may take; 0 where they cannot be counted
    small: list[str] = field(default_factory=list)  # options for code that is still smaller
    fixed_stack: int = 512  # the most for a trace in fixed memory
    fixed_instructions: int = 0  # the most for a trace of one span in fixed memory, until it is in the ring

    def compile(self, *arguments: object) -> str:
        return run(f"{self.tools}g++", *OPTIONS, *self.machine, *arguments)

    def symbols(self, option: str, file: pathlib.Path) -> set[str]:
        return {line.split()[-1] for line in run(f"{self.tools}nm", option, file).splitlines() if line.strip()}

    def size(self, file: pathlib.Path) -> list[int]:
        return [int(number) for number in run(f"{self.tools}size", file).splitlines()[1].split()[:3]]


def arm(name: str, board: str = "", **more) -> Processor:
    return Processor(name, ["-mthumb", f"-mcpu={name}"], ["qemu-system-arm", "-machine", board], **more)


M3 = arm("cortex-m3", "lm3s6965evb", instructions=9_000, fixed_instructions=20_500)
M0 = arm(
    "cortex-m0",
    "microbit",
    link=["-Wl,--defsym=ram_size=16K"],
    atomics={
        "__atomic_fetch_add_4", "__atomic_fetch_sub_4", "__atomic_fetch_or_4", "__atomic_exchange_1",
        "__atomic_exchange_4", "__atomic_compare_exchange_1", "__atomic_compare_exchange_4",
    },
)  # fmt: skip
M4 = Processor("cortex-m4", ["-mthumb", "-mcpu=cortex-m4"], [])
NEWLIB = "/usr/include/newlib"
# Debian has no C++ library for this compiler. The headers of Arm's are of the same version of GCC, and nothing of that
# library is linked.
RISC_V = Processor(
    "rv32imac",
    [
        "-march=rv32imac_zicsr", "-mabi=ilp32", "-msmall-data-limit=0", "-isystem", f"{NEWLIB}/c++/12.2.1",
        "-isystem", f"{NEWLIB}/c++/12.2.1/arm-none-eabi", "-isystem", NEWLIB,
    ],
    ["qemu-system-riscv32", "-machine", "virt", "-bios", "none"],
    tools="riscv64-unknown-elf-",
    link=[
        "-march=rv32imac", "-mabi=ilp32", "-Wl,--defsym=flash_begin=0x80000000", "-Wl,--defsym=ram_begin=0x80080000",
    ],
    atomics={"__atomic_exchange_1", "__atomic_compare_exchange_1"},
    instructions=12_000,
    small=["-msave-restore"],
    fixed_instructions=26_000,
)  # fmt: skip

# What GCC expects of every target, even a freestanding one, and a virtual function's never called place holder.
EXPECTED_OF_TARGET = {"memcpy", "memmove", "memset", "memcmp", "strlen", "abort", "__cxa_pure_virtual"}
# Functions of libgcc for integers of 64 bits, and to divide and switch.
INTEGERS = {
    "__aeabi_ldivmod", "__aeabi_uldivmod", "__aeabi_llsr", "__aeabi_llsl", "__aeabi_lmul", "__aeabi_uidiv",
    "__aeabi_uidivmod", "__aeabi_idiv", "__aeabi_idivmod", "__gnu_thumb1_case_uqi", "__gnu_thumb1_case_uhi",
    "__gnu_thumb1_case_sqi", "__gnu_thumb1_case_shi", "__gnu_thumb1_case_si", "__bswapdi2", "__bswapsi2", "__divdi3",
    "__udivdi3", "__moddi3", "__umoddi3", "__lshrdi3", "__ashldi3", "__muldi3", "__clzsi2",
}  # fmt: skip
NEEDS_AN_OPERATING_SYSTEM = {
    "device/received.hpp",
    "memory/forks.hpp",
    "platform/appended_file.hpp",
    "platform/condition.hpp",
    "platform/cycle_clock.hpp",
    "platform/cycle_counter.hpp",
    "platform/file_owners.hpp",
    "platform/files.hpp",
    "platform/hosted.hpp",
    "platform/id_generator.hpp",
    "platform/owned_file.hpp",
    "platform/per_process.hpp",
    "platform/replaced_file.hpp",
    "platform/threads.hpp",
    "platform/without_signals.hpp",
    "platform/worker_threads.hpp",
    "spans/attachment.hpp",
}
KIBIBYTE = 1_024


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
        for folder in ("detail", "memory", "text", "core", "values", "wire", "http", "metadata", "platform", "recording", "spans", "device", "static_memory")
        for header in sorted((include / "mlflow/trace" / folder).glob("*.hpp"))
        if f"{folder}/{header.name}" not in NEEDS_AN_OPERATING_SYSTEM
    ]
    source = build / "every_header.cpp"
    source.write_text("".join(f"#include <{header.as_posix()}>\n" for header in headers))
    M3.compile(f"-I{include}", "-fsyntax-only", source)
    # As where -ffreestanding takes headers away that this needs: libstdc++ from 13 on.
    hosted = [option for option in OPTIONS if option != "-ffreestanding"]
    run(f"{M3.tools}g++", *hosted, *M3.machine, "-DMLFLOW_TRACE_HOSTED=0", f"-I{include}", "-fsyntax-only", source)
    return len(headers)


def check_wrong_profile(include: pathlib.Path, build: pathlib.Path) -> None:
    """The first error where the compiler is hosted and there is no operating system."""
    source = build / "wrong_profile.cpp"
    source.write_text("#include <mlflow/trace.hpp>\n")
    command = ["arm-none-eabi-g++", "-std=c++20", "-Wfatal-errors", f"-I{include}", "-fsyntax-only", source]
    said = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240).stderr
    check("lacks POSIX threads" in said and "bare_metal.hpp" in said, f"the error for the wrong profile: {said}")


def build_program(
    include: pathlib.Path, build: pathlib.Path, processor: Processor, name: str = "device", options: tuple[str, ...] = ()
) -> pathlib.Path:
    needs_atomics = processor.atomics and name in ("device", "smallest_bare_metal")
    sources = [HERE / f"{name}.cpp", HERE / "startup.cpp", *([ATOMICS] if needs_atomics else [])]
    objects = [build / f"{processor.name}_{source.stem}.o" for source in sources]
    for source, compiled in zip(sources, objects, strict=True):
        # What replaces memcpy must not be compiled into a call of memcpy.
        own = ["-fno-tree-loop-distribute-patterns"] if source.stem == "startup" else []
        processor.compile(*options, *own, f"-I{include}", "-c", source, "-o", compiled)
    needed = processor.symbols("--undefined-only", objects[0]) - EXPECTED_OF_TARGET - {"bss_end"}
    needed = {symbol for symbol in needed if not symbol.startswith(("__riscv_save", "__riscv_restore"))}
    atomics = {symbol for symbol in needed if symbol.startswith("__atomic")}
    check(atomics <= (processor.atomics if needs_atomics else set()), f"{name} needs {atomics}")
    if name == "device":
        check(atomics == processor.atomics, f"atomics.cpp has more than the library: {processor.atomics - atomics}")
    check(needed <= atomics | INTEGERS, f"the library needs what a device has not: {needed - atomics - INTEGERS}")
    program = build / f"{processor.name}_{name}.elf"
    link = ["-nostdlib", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings", "-T", HERE / "lm3s6965.ld"]
    machine = processor.link if processor is RISC_V else [*processor.machine, *processor.link]
    run(f"{processor.tools}g++", *machine, *link, *objects, "-lgcc", "-o", program)
    return program


def measure_smallest(include: pathlib.Path, build: pathlib.Path, processors: list[Processor]) -> None:
    """A whole program that starts a trace with three attributes, inputs and outputs, ends it and drains its frame: in fixed
    memory, and with an arena."""
    for processor in processors:
        for name, most_text, most_memory in (
            ("smallest", 8 * KIBIBYTE, 2 * KIBIBYTE),
            ("smallest_bare_metal", 28_000 if processor is RISC_V else 22_500, 4_800),
        ):
            program = build_program(include, build, processor, name, tuple(processor.small) if name == "smallest" else ())
            if processor.emulator:
                run(*processor.emulator, *EMULATE, "-kernel", program)  # fails if it returns another number than 0
            text, data, bss = processor.size(program)
            print(f"{name} on {processor.name}: {text} bytes of text, {data} of data, {bss} of bss")
            check(text <= most_text, f"{name} has {text} bytes of text on a {processor.name}")
            check(data + bss <= most_memory, f"{name} has {data + bss} bytes of static memory on a {processor.name}")
            # All of the code, and what a device must not need.
            linked = processor.symbols("--defined-only", program)
            floating = {each for each in linked if re.match(r"__(aeabi_)?[dfi][0-9a-z]*(add|sub|mul|div|fix|flo)[a-z]*[dsf]f?", each)}
            forbidden = linked & {"malloc", "free", "_Znwj", "_Znwm", "__cxa_throw", "printf", "snprintf", "vfprintf"}
            check(not forbidden, f"{name} has {forbidden}")
            check(not {each for each in floating if not each.endswith(("di3", "si3"))}, f"{name} has {floating}")


def measure(include: pathlib.Path, build: pathlib.Path, processors: list[Processor]) -> None:
    """What sending costs, and what keeping records in flash costs: code, and memory besides the ring."""
    for processor in processors:
        # RISC-V has no instructions for unaligned loads and for shifts of 64 bits.
        most_text, most_flash_text = (4_600, 2_000) if processor is RISC_V else (3_500, 1_700)
        program = build / "framed_path.o"
        processor.compile(f"-I{include}", "-c", HERE / "framed_path.cpp", "-o", program)
        text, data, bss = processor.size(program)
        print(f"framed path on {processor.name}: {text} bytes of text, {data} of data, {bss} of the ring")
        check(text <= most_text and data <= 192 and bss <= 1_024 + 16, f"too large on {processor.name}: {text}, {data}, {bss}")
        needed = processor.symbols("--undefined-only", program)
        check(needed <= {"__aeabi_llsr", "__lshrdi3", "memcpy", "memset"}, f"the framed path needs {needed}")

        program = build / "flash_path.o"
        processor.compile(f"-I{include}", "-c", HERE / "flash_path.cpp", "-o", program)
        text, data, bss = processor.size(program)
        print(f"flash path on {processor.name}: {text} bytes of text, {data} of data, {bss} of its state")
        check(text <= most_flash_text and data + bss <= 48, f"too large on {processor.name}: {text}, {data}, {bss}")
        needed = processor.symbols("--undefined-only", program)
        driver = {"erase_sector", "program_flash", "read_flash"}
        check(needed - driver <= {"memcmp", "memcpy", "memset"}, f"the flash path needs {needed - driver}")


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
    (link,) = root.links
    told = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    check((link.trace_id.hex(), link.span_id.hex()) == told, f"link to the server's span: {link}")
    left = attributes_of(root)
    check("mlflow.spanInputs" not in left and left["app.left"] is True, f"what had no room: {sorted(left)}")


def run_program(program: pathlib.Path, processor: Processor) -> dict[str, int]:
    traces, numbers, refused = [], {}, []
    for line in run(*processor.emulator, *EMULATE, "-kernel", program).splitlines():
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
    # 128 bytes below the caller are not watched.
    check(200 < numbers["stack"] + 128 <= 1_024, f"a trace took {numbers['stack'] + 128} bytes of the stack")
    if processor.instructions:
        spent = numbers["instructions"]
        check(spent > 0 and spent <= processor.instructions, f"a span took {spent} instructions on a {processor.name}")
    check(numbers["memory"] <= 2_048, f"a trace of two spans took {numbers['memory']} bytes of the arena")
    return numbers


def fields(message: bytes) -> list[tuple[int, object]]:
    """The fields of a protobuf message: numbers, and bytes."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
        elif tag & 7 == 1:
            found.append((tag >> 3, int.from_bytes(message[at : at + 8], "little")))
            at += 8
        else:
            size = varint()
            found.append((tag >> 3, message[at : at + size]))
            at += size
    check(at == len(message), "the record is torn")
    return found


def trace_of(record: bytes) -> dict:
    """A record as its gateway reads it (spool/format.hpp)."""
    trace: dict = {"entries": {}, "spans": []}
    numbers = dict(field for field in fields(record) if isinstance(field[1], int))
    trace["id"] = f"{numbers[1]:016x}{numbers[2]:016x}"
    for number, content in fields(record):
        if number == 5:
            entry = dict(fields(content))
            trace["entries"][entry[2].decode()] = entry[3].decode()
        elif number == 6:
            trace["spans"].append(Span.FromString(dict(fields(content))[4]))
    trace["spans"].reverse()  # the root last, as by a tracer with an arena
    return trace


def run_fixed_memory(include: pathlib.Path, build: pathlib.Path, processor: Processor) -> dict[str, int]:
    """The same conversation in memory of fixed size, and what it costs."""
    program = build_program(include, build, processor, "static_memory", tuple(processor.small))
    records, numbers, refused = [], {}, []
    for line in run(*processor.emulator, *EMULATE, "-kernel", program).splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "record":
            records.append(trace_of(bytes.fromhex(rest)))
        elif kind == "refused":
            refused.append(rest.split()[0])
        elif rest.isdigit():
            numbers[kind] = int(rest)
    check(len(records) == 2, f"{len(records)} records were printed")
    check_conversation(records[0])
    (root,) = records[1]["spans"]
    left = attributes_of(root)
    check(left["mlflow.spanInputs"].endswith("… [cut]\""), f"inputs that did not fit: {left}")
    check(left["app.kept"] is True and len(root.links) == 1, f"beside inputs that did not fit: {left}")
    check(refused == ["mlflow.spanInputs", "mlflow.trace.user"], f"refused: {refused}")
    check(numbers["started"] == 4 and numbers["exported"] == 3 and numbers["dropped"] == 1, f"account: {numbers}")
    check(numbers["open"] == numbers["locked"] == numbers["lost"] == 0, f"account: {numbers}")
    # 128 bytes below the caller are not watched.
    stack = numbers["stack"] + 128
    check(200 < stack <= processor.fixed_stack, f"a trace took {stack} bytes of the stack on a {processor.name}")
    if processor.fixed_instructions:
        check(0 < numbers["recording"] <= processor.fixed_instructions, f"a trace took {numbers['recording']} instructions")
    return numbers


def main() -> None:
    include, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    build.mkdir(parents=True, exist_ok=True)
    headers = compile_every_header(include, build)
    print(f"{headers} headers compiled")
    check_wrong_profile(include, build)
    has_risc_v = shutil.which("riscv64-unknown-elf-g++") and shutil.which("qemu-system-riscv32")
    if not has_risc_v:
        print("RISC-V is left out: it needs gcc-riscv64-unknown-elf and qemu-system-misc")
    measure(include, build, [M0, M3, M4, *([RISC_V] if has_risc_v else [])])
    measure_smallest(include, build, [M3, M0, M4, *([RISC_V] if has_risc_v else [])])
    for processor in [M3, M0, *([RISC_V] if has_risc_v else [])]:
        program = build_program(include, build, processor)
        numbers = run_program(program, processor)
        print(f"{numbers['exported']} spans recorded on a {processor.name}: {numbers}")
        print(run(f"{processor.tools}size", program))
        numbers = run_fixed_memory(include, build, processor)
        print(f"in fixed memory on a {processor.name}: {numbers}")


if __name__ == "__main__":
    main()
