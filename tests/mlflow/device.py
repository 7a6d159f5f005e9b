# SPDX-License-Identifier: Apache-2.0
"""Devices in an emulator record sessions and send them over their UARTs to examples/device_gateway, which delivers to a
real server: every turn is stored once, with its user, session, spans, times, and what the device is; also where the line
loses and alters bytes, and the gateway is killed while the device waits for its answer; where the device loses power
before it sends; and where the devices publish to an MQTT broker."""

import json
import os
import pathlib
import pty
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty

from _reading import check, check_same, experiment_id, finish, traces_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
GATEWAY = os.environ["MLFLOW_TRACE_DEVICE_GATEWAY"]
MOSQUITTO = os.environ.get("MLFLOW_TRACE_MOSQUITTO")
NAME = "devices"
os.environ["MLFLOW_EXPERIMENT_NAME"] = NAME
MACHINE = ["-mcpu=cortex-m3", "-mthumb"]
COMPILE = [
    "arm-none-eabi-g++", "-std=c++20", *MACHINE, "-Os", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
    "-fno-threadsafe-statics", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-ffunction-sections",
    "-fdata-sections", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wsign-conversion", "-Werror",
    f"-I{ROOT}/include",
]  # fmt: skip
LINK = ["arm-none-eabi-g++", *MACHINE, "-nostdlib", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings"]
BOARDS = {"lm3s6965evb": [], "mps2-an385": ["-DBOARD_MPS2"]}
TURNS = {
    "How warm is it?": 'It is "warm".',
    "And tomorrow?": "Colder.",
    "Thanks.": "You are welcome.",
}


def build(folder: pathlib.Path, board: str, number: int, firmware: str = "firmware.cpp") -> pathlib.Path:
    objects = []
    sources = {
        ROOT / "examples/embedded" / firmware: [*BOARDS[board], f"-DSERIAL_NUMBER={number}", *(["-DFIXED_MEMORY"] if number % 2 == 0 else [])],
        ROOT / "tests/freestanding/startup.cpp": ["-fno-tree-loop-distribute-patterns"],
    }
    for source, options in sources.items():
        objects.append(folder / f"{source.stem}-{number}.o")
        subprocess.run([*COMPILE, *options, "-c", source, "-o", objects[-1]], check=True)
    program = folder / f"{number}.elf"
    script = ROOT / "tests/freestanding/lm3s6965.ld"
    subprocess.run([*LINK, "-T", script, *objects, "-lgcc", "-o", program], check=True)
    return program


def emulate(program: pathlib.Path, board: str, serial: str) -> subprocess.Popen:
    options = ["-nographic", "-monitor", "none", "-serial", serial, "-semihosting-config", "enable=on,target=native"]
    return subprocess.Popen(["qemu-system-arm", "-machine", board, *options, "-kernel", program])


def gateway(folder: pathlib.Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen([GATEWAY, folder, *options], stdout=subprocess.PIPE, text=True)


def listening(folder: pathlib.Path, *options: str) -> tuple[subprocess.Popen, int]:
    process = gateway(folder, "--listen", "127.0.0.1:0", *options)
    return process, int(process.stdout.readline().split()[1])


def end(process: subprocess.Popen) -> dict:
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    check_same(process.returncode, 0, "exit status of the gateway")
    return json.loads(said)


def stored(device: str, begin: float) -> list:
    found = traces_of(experiment_id(NAME), f"metadata.`device.id` = '{device}'")
    return sorted((trace for trace in found if trace.info.request_time >= begin * 1e3), key=lambda trace: trace.info.request_time)


def check_session(device: str, begin: float, finished: float) -> None:
    traces = stored(device, begin)
    check_same([json.loads(trace.info.request_preview or "{}").get("question") for trace in traces], list(TURNS), device)
    for trace, (question, answer) in zip(traces, TURNS.items(), strict=False):
        where = f"{device}: {question}"
        metadata = trace.info.trace_metadata
        check_same(metadata.get("mlflow.trace.user"), "user-1042", f"{where}: user")
        check_same(metadata.get("mlflow.trace.session"), "kitchen-7", f"{where}: session")
        check_same(metadata.get("device.firmware"), "1.4.2", f"{where}: firmware")
        check_same(metadata.get("device.time"), None, f"{where}: its clock is known")
        check_same(sorted(span.name for span in trace.data.spans), ["assistant", "generate"], f"{where}: spans")
        spans = {span.name: span for span in trace.data.spans}
        root, generate = spans["assistant"], spans["generate"]
        check_same(generate.parent_id, root.span_id, f"{where}: parent")
        check_same([link.span_id for link in root.links], ["b7ad6b7169203331"], f"{where}: link to the server's span")
        check("0af7651916cd43dd8448eb211c80319c" in root.links[0].trace_id, f"{where}: link to {root.links[0].trace_id}")
        check_same(root.inputs, {"question": question}, f"{where}: inputs")
        check_same((root.outputs, generate.outputs), (answer, answer), f"{where}: outputs")
        check_same(generate.attributes.get("app.microphone"), 2, f"{where}: attribute")
        check_same((root.span_type, generate.span_type), ("AGENT", "LLM"), f"{where}: types")
        usage = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
        check_same(generate.attributes.get("mlflow.chat.tokenUsage"), usage, f"{where}: usage")
        for span in (root, generate):
            check(begin * 1e9 <= span.start_time_ns <= span.end_time_ns <= finished * 1e9, f"{where}: times of {span.name}")
        length = (generate.end_time_ns - generate.start_time_ns) / 1e6
        check(29 <= length <= 2_000, f"{where}: 30 ms were {length:.1f}")
    starts = [trace.data.spans[0].start_time_ns for trace in traces]
    if len(starts) == 3:
        # Each turn is dated by the arrival of its own frame, and the first may have been delayed for longer.
        check(40 <= (starts[1] - starts[0]) / 1e6 <= 4_000, f"{device}: the turns began at {starts}")


class Line:
    """Two terminals, and what is written to one is read from the other, but for what the line spoils."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.ours, self.ends = [], []
        for _ in range(2):
            ours, end = pty.openpty()
            tty.setraw(ours)
            tty.setraw(end)
            self.ours.append(ours)
            self.ends.append(end)  # kept open, so that a terminal that nobody reads has no end
        self.spoilt = 0
        self.is_over = False
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def names(self) -> list[str]:
        return [os.ttyname(end) for end in self.ends]

    def carry(self) -> None:
        while not self.is_over:
            for ready in select.select(self.ours, [], [], 0.05)[0]:
                passed = bytearray(os.read(ready, 256))
                what = self.chance.random() * 256 / len(passed)  # on a busy machine the pieces are small
                if what < 0.1:
                    passed[self.chance.randrange(len(passed))] ^= 1 << self.chance.randrange(8)
                elif what < 0.2:
                    del passed[self.chance.randrange(len(passed)) :]
                elif what < 0.3:
                    passed = passed * 2
                self.spoilt += what < 0.3
                os.write(self.ours[1 - self.ours.index(ready)], passed)

    def close(self) -> None:
        self.is_over = True
        self.thread.join()
        for file in (*self.ours, *self.ends):
            os.close(file)


def devices_over_tcp(folder: pathlib.Path, programs: dict[str, pathlib.Path]) -> None:
    """Both boards at once, by one gateway."""
    begin = time.time()
    collecting, port = listening(folder / "spool")
    running = [emulate(program, board, f"tcp:127.0.0.1:{port}") for board, program in programs.items()]
    for process in running:
        check_same(process.wait(timeout=60), 0, "exit status of a device")
    finished = time.time()
    report = end(collecting)
    check_same(report["damaged"], 0, "damaged frames")
    check_same(sorted(row["device"] for row in report["devices"]), ["kitchen-1", "kitchen-2"], "devices")
    for row in report["devices"]:
        check_same((row["received"], row["lost"], row["first"], row["dropped_by_device"]), (3, 0, 0, 0), f"report: {row}")
        check_session(row["device"], begin, finished)


def a_bad_line(folder: pathlib.Path, board: str, program: pathlib.Path) -> None:
    """A serial line that spoils what it carries, while gateways come and go."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    line = Line(random.Random(seed))
    at_device, at_gateway = line.names()
    begin = time.time()
    device = emulate(program, board, at_device)
    for kill in range(8):
        process = gateway(folder / "killed", "--port", at_gateway)
        time.sleep(0.01 * kill)
        process.kill()
        process.communicate()
    last, _ = listening(folder / "killed", "--port", at_gateway)  # which it prints when it can be stopped
    check_same(device.wait(timeout=60), 0, "exit status of the device")
    # At its end, a gateway does not wait for what killed ones have stored.
    patience = time.time() + 60
    while len(stored("kitchen-2", begin)) < len(TURNS) and time.time() < patience:
        time.sleep(0.2)
    report = end(last)
    print(f"{line.spoilt} pieces spoilt: {report}")
    line.close()
    check_session("kitchen-2", begin, time.time())


def plugged_again(folder: pathlib.Path, frame: bytes) -> None:
    """A serial port that is unplugged, and is another device of the system when it is back."""
    name = folder / "port"
    begin = time.time()
    process = None
    for plug in range(2):
        ours, end_of_it = pty.openpty()
        tty.setraw(end_of_it)
        os.set_blocking(ours, False)
        name.unlink(missing_ok=True)
        name.symlink_to(os.ttyname(end_of_it))
        if not process:
            process, _ = listening(folder / "plugged", "--port", str(name))
        answer = b""
        while len(answer) < 27 and time.time() < begin + 60 and process.poll() is None:
            if select.select([], [ours], [], 0)[1]:
                os.write(ours, frame)
            if select.select([ours], [], [], 0.5)[0]:
                answer += os.read(ours, 100)
        check(len(answer) >= 27, f"no acknowledgement when plugged in {plug + 1} times")
        os.close(end_of_it)
        os.close(ours)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def silent_connections(folder: pathlib.Path, frame: bytes) -> None:
    """More connections than the gateway may open, of devices that are gone."""
    command = ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"', GATEWAY, folder / "silent", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline().split()[1])
    gone = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    with socket.create_connection(("127.0.0.1", port)) as device:
        device.settimeout(30)
        device.sendall(frame)
        try:
            check_same(len(device.recv(100)), 27, "the acknowledgement")
        except TimeoutError:
            check(False, "no acknowledgement with a hundred silent connections")
    for each in gone:
        each.close()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def power_losses(folder: pathlib.Path) -> None:
    """A device that records, stores and restarts twice before it sends what its flash holds."""
    program = build(folder, "lm3s6965evb", 3, "flash_firmware.cpp")
    begin = time.time()
    collecting, port = listening(folder / "flash")
    check_same(emulate(program, "lm3s6965evb", f"tcp:127.0.0.1:{port}").wait(timeout=120), 0, "exit status of the device")
    report = end(collecting)
    check_same(report["damaged"], 0, "damaged frames")
    check_same([row["received"] for row in report["devices"]], [1, 1, 1], "traces of each start")
    traces = stored("cellar-1", begin)
    numbers = [(trace.data.spans[0].inputs["number"], trace.info.trace_metadata) for trace in traces]
    check_same(sorted(number for number, _ in numbers), [0, 1, 2], "starts")
    for number, metadata in numbers:
        check_same(metadata.get("mlflow.trace.user"), "user-1043", f"user of start {number}")
        check_same(metadata.get("device.time"), "arrival" if number < 2 else None, f"clock of start {number}")


class Broker:
    """mosquitto, with users and passwords, on a port of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder.mkdir()
        users = folder / "users"
        users.touch(0o600)
        for name in ("gateway", "devices"):
            subprocess.run(["mosquitto_passwd", "-b", users, name, f"of the {name}"], check=True)
        self.settings = folder / "mosquitto.conf"
        # Without a user, mosquitto that root starts becomes another, who may not read this folder.
        self.settings.write_text(f"listener {self.port} 127.0.0.1\npassword_file {users}\nuser root\n")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.settings], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("mosquitto did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def rejects_subscriptions(self) -> bool:
        """mosquitto with its plugin that lets a user do only what its role allows."""
        self.kill()
        rights = self.settings.with_name("rights.json")
        subprocess.run(["mosquitto_ctrl", "dynsec", "init", rights, "gateway", "of the gateway"], check=True, stdout=subprocess.DEVNULL)
        told = json.loads(rights.read_text())
        for role in told["roles"]:  # the first user may subscribe to everything
            role["acls"] = [right for right in role["acls"] if right["topic"] != "#"]
        rights.write_text(json.dumps(told))
        plugin = next(pathlib.Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
        if not plugin:
            return False
        self.settings.write_text(
            f"listener {self.port} 127.0.0.1\nplugin {plugin}\nplugin_opt_config_file {rights}\nuser root\n"
        )
        self.start()
        return True

    def client(self, program: str, topic: str, *options: str, **how) -> subprocess.Popen:
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-u", "devices", "-P", "of the devices"]
        return subprocess.Popen([program, *address, "-q", "1", "-t", f"mlflow_trace/{topic}", *options], **how)

    def publish(self, frame: bytes, *devices: str) -> None:
        clients = [self.client("mosquitto_pub", f"{name}/frames", "-s", stdin=subprocess.PIPE) for name in devices]
        for client in clients:
            client.communicate(frame)


class Modem:
    """The device's UART leads here. Each of its frames is published twice, as a client does that has missed the broker's
    acknowledgement, and once in the name of another device."""

    def __init__(self, broker: Broker, device: str) -> None:
        self.broker, self.device, self.frames = broker, device, 0
        self.published: dict[bytes, float] = {}
        self.latest = b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.serial = f"tcp:127.0.0.1:{self.listening.getsockname()[1]}"
        topic = f"{device}/acknowledgements"
        self.acknowledgements = broker.client("mosquitto_sub", topic, "-N", stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def carry(self) -> None:
        wire, _ = self.listening.accept()
        held = b""
        replies = self.acknowledgements.stdout
        while True:
            ready, _, _ = select.select([wire, replies], [], [])
            try:
                if replies in ready:
                    wire.sendall(os.read(replies.fileno(), 4096))
                received = wire.recv(4096) if wire in ready else None
            except ConnectionError:  # the emulator ended before it had read all
                return
            if received == b"":
                return
            if received:
                *whole, held = (held + received).split(b"\0")
                for frame in filter(None, whole):
                    # The device repeats itself sooner than three programs can be started on a busy machine. A record's
                    # frames differ only in their ends.
                    if time.time() < self.published.get(frame[:20], 0) + 3:
                        continue
                    self.published[frame[:20]] = time.time()
                    self.frames += 1
                    self.latest = b"\0" + frame + b"\0"
                    self.broker.publish(self.latest, self.device, self.device, "another")

    def end(self) -> None:
        self.thread.join()
        self.acknowledgements.kill()
        self.acknowledgements.wait()
        self.listening.close()


def a_frame(program: pathlib.Path) -> bytes:
    """The first one of a device."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        device = emulate(program, "lm3s6965evb", f"tcp:127.0.0.1:{server.getsockname()[1]}")
        wire, _ = server.accept()
        wire.settimeout(30)
        received = b""
        while received.count(b"\0") < 2:
            received += wire.recv(4096)
        wire.close()
        device.kill()
        device.wait()
    return b"\0" + received.split(b"\0")[1] + b"\0"


def over_mqtt(folder: pathlib.Path, program: pathlib.Path) -> None:
    """The gateway starts before the broker, and the broker is killed once more before the device sends."""
    if not MOSQUITTO:
        print("MQTT is not tested: it needs mosquitto, mosquitto-clients and libmosquitto-dev")
        return
    begin = time.time()
    broker = Broker(folder / "broker")
    broker.kill()
    os.environ.update(MQTT_USERNAME="gateway", MQTT_PASSWORD="of the gateway")
    collecting = gateway(folder / "mqtt", "--mqtt", f"127.0.0.1:{broker.port}")
    time.sleep(0.5)
    broker.start()
    time.sleep(2)
    broker.kill()
    broker.start()
    modem = Modem(broker, "kitchen-1")
    check_same(emulate(program, "lm3s6965evb", modem.serial).wait(timeout=120), 0, "exit status of a device on MQTT")
    modem.end()
    broker.publish(b"\0torn", "kitchen-1")
    time.sleep(0.5)
    report = end(collecting)
    print(f"{modem.frames} frames over MQTT: {report}")
    broker.kill()
    (row,) = report["devices"]
    check_same((row["device"], row["received"], row["lost"], row["first"]), ("kitchen-1", 3, 0, 0), f"report: {row}")
    check(row["doubled"] >= 3, f"frames published twice: {row}")
    check_same(report["damaged"], 1, "damaged frames")
    check(report["misnamed"] >= 3, f"frames on another device's topic: {report}")
    check_session("kitchen-1", begin, time.time())
    names_of_topics(folder, broker, modem.latest)
    broker_refusals(folder, broker)


def names_of_topics(folder: pathlib.Path, broker: Broker, frame: bytes) -> None:
    """A topic without a device's name, one that an earlier start of the gateway subscribed to, and a retained message."""
    broker.start()
    address = ["--mqtt", f"127.0.0.1:{broker.port}"]
    first = subscribed(folder / "names", *address)
    broker.publish(frame, "")
    time.sleep(0.5)
    report = end(first)
    check_same(report["devices"], [], "a frame on a topic without a name")
    check_same(report["misnamed"], 1, "messages on a topic without a name")
    second = subscribed(folder / "names", *address, "--mqtt-prefix", "mlflow_tr/ce")  # as long as the first
    broker.publish(frame, "kitchen-1")
    time.sleep(0.5)
    report = end(second)
    check_same(report["devices"], [], "a frame on a topic with another prefix")
    check_same(report["misnamed"], 1, "messages on a topic with another prefix")
    broker.client("mosquitto_pub", "kitchen-1/frames", "-r", "-s", stdin=subprocess.PIPE).communicate(frame)
    third = subscribed(folder / "names", *address, "--mqtt-client", "third")
    report = end(third)
    check_same((report["devices"], report.get("retained")), ([], 1), "a frame that the broker has retained")
    broker.kill()


def subscribed(folder: pathlib.Path, *options: str) -> subprocess.Popen:
    """A gateway that is connected to the broker and has had time to receive what waits there."""
    log = pathlib.Path(f"{folder}.log")
    with log.open("w") as errors:
        process = subprocess.Popen([GATEWAY, folder, *options], stdout=subprocess.PIPE, stderr=errors, text=True)
    patience = time.time() + 30
    while "connected to the MQTT broker" not in log.read_text() and time.time() < patience:
        time.sleep(0.1)
    time.sleep(1)
    return process


def logged(process: subprocess.Popen) -> tuple[str, float]:
    """What a gateway wrote to its standard error, and how long it took to end."""
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return said, time.monotonic() - asked


def broker_refusals(folder: pathlib.Path, broker: Broker) -> None:
    """Brokers that do not let the gateway in: it says so, and ends when it is told to."""

    def trying(*options: str) -> subprocess.Popen:
        return subprocess.Popen([GATEWAY, folder / "refused", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    broker.start()
    if broker.rejects_subscriptions():
        process = trying("--mqtt", f"127.0.0.1:{broker.port}")
        time.sleep(2)
        said, _ = logged(process)
        check("rejects the subscription to mlflow_trace/+/frames" in said, f"a rejected subscription: {said}")
        broker.kill()

    process = trying("--mqtt", f"127.0.0.1:{broker.port}")
    time.sleep(8)  # its pauses have grown
    said, seconds = logged(process)
    check("Connection refused" in said and process.returncode == 0, f"a broker that is not there: {said}")
    check(seconds < 6, f"the end without a broker took {seconds:.1f} s")
    with socket.socket() as full, socket.socket() as queued, socket.socket() as late:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (queued, late):  # the system answers no third
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        process = trying("--mqtt", f"127.0.0.1:{full.getsockname()[1]}")
        time.sleep(1)
        _, seconds = logged(process)
        check(seconds < 15, f"the end while it connects took {seconds:.1f} s")
    process = trying("--mqtt", "name.invalid")
    time.sleep(1)
    check_same(process.poll(), None, "a broker whose name is not known yet")
    logged(process)

    wrong = {
        "--mqtt-client": "", "--mqtt-prefix": "a/#", "--mqtt-ca": "/no/such/file", "--mqtt": "127.0.0.1:1883x",
        "--listen": "127.0.0.1:70000",
    }  # fmt: skip
    for option, value in wrong.items():
        said = trying("--mqtt", "127.0.0.1:1", option, value) if option not in ("--mqtt", "--listen") else trying(option, value)
        try:
            _, text = said.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            said.kill()
            _, text = said.communicate()
        check_same(said.returncode, 2, f"exit status with {option} {value}")
        check((value if value.startswith("127") else option) in text, f"{option} {value}: {text}")


def main() -> None:
    with tempfile.TemporaryDirectory() as above:
        folder = pathlib.Path(above)
        programs = {board: build(folder, board, number) for number, board in enumerate(BOARDS, start=1)}
        devices_over_tcp(folder, programs)
        a_bad_line(folder, "mps2-an385", programs["mps2-an385"])
        power_losses(folder)
        frame = a_frame(programs["lm3s6965evb"])
        plugged_again(folder, frame)
        silent_connections(folder, frame)
        over_mqtt(folder, programs["lm3s6965evb"])
    finish()


if __name__ == "__main__":
    main()
