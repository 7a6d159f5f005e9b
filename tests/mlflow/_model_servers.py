# SPDX-License-Identifier: Apache-2.0
"""The model servers that tests/model_servers.sh builds in the folder MLFLOW_TRACE_MODEL_SERVERS.

As a program it records what they answer, byte for byte, for the tests that have no such servers, and beside it what OpenAI's
own client reads from the same bytes:  FOLDER/venv/bin/python _model_servers.py ../examples/model_servers_corpus
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

FOLDER = pathlib.Path(os.environ["MLFLOW_TRACE_MODEL_SERVERS"])
NAMES = ("llama-server", "llama-cpp-python")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def model_server(name: str):
    """Serves the tiny model until the end of the block. Gives the port."""
    port = free_port()
    model = FOLDER / "tiny.gguf"
    if name == "llama-server":
        command = [FOLDER / "build/bin/llama-server", "-m", model, "-c", "8192", "-np", "1", "-n", "200", "-t", "1", "--temp", "0"]
    else:
        command = [FOLDER / "venv/bin/python", "-m", "llama_cpp.server", "--model", model, "--n_ctx", "8192", "--n_threads", "1", "--seed", "3"]
    own = {"PYTHONPATH": str(FOLDER / "llama_cpp_python"), "LLAMA_CPP_LIB_PATH": str(FOLDER / "build/bin")}
    with open(FOLDER / f"{name}.log", "w") as log:
        program = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], env=os.environ | own, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
                break
            if program.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not serve: see {FOLDER / name}.log")
            time.sleep(0.1)
        yield port
    finally:
        program.terminate()
        program.wait()


class Recorder:
    """Passes one connection on to a server and keeps what comes back."""

    def __init__(self, port: int) -> None:
        self.answer = b""
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            asking = threading.Thread(target=self._pass_on, args=(client, server))
            asking.start()
            with contextlib.suppress(OSError):
                while part := server.recv(65536):
                    self.answer += part
                    client.sendall(part)
            asking.join()

    @staticmethod
    def _pass_on(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := client.recv(65536):
                server.sendall(part)
            server.shutdown(socket.SHUT_RDWR)

    def join(self) -> bytes:
        self._thread.join()
        self._listener.close()
        return self.answer


def read_by_openai(port: int, question: dict) -> dict:
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    with client:
        try:
            said = client.chat.completions.create(model="tiny", **question)
            chunks = list(said) if question.get("stream") else [said]
        except openai.APIStatusError as error:
            return {"status": error.status_code}
    text, finish, usage = "", "", None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            message = choice.delta if question.get("stream") else choice.message
            text += message.content or ""
            finish = choice.finish_reason or finish
    tokens = {"input_tokens": usage.prompt_tokens if usage else 0, "output_tokens": usage.completion_tokens if usage else 0}
    return {"text": text, "finish_reason": finish, **tokens}


ASKED = {"messages": [{"role": "user", "content": "where is the bike in the rain?"}], "temperature": 0.0, "seed": 3}
QUESTIONS = {
    "length": ASKED | {"max_tokens": 24},
    "stop": ASKED | {"max_tokens": 24, "stop": ["w"]},
    "choices": ASKED | {"max_tokens": 8, "n": 2},
    "logprobs": ASKED | {"max_tokens": 4, "logprobs": True, "top_logprobs": 2},
    "error": ASKED | {"max_tokens": 8, "temperature": "warm"},
    "too-long": ASKED | {"messages": [{"role": "user", "content": "x" * 12000}]},
}


def record(into: pathlib.Path) -> None:
    for name in NAMES:
        with model_server(name) as port:
            for kind, question in QUESTIONS.items():
                for way in ("whole", "stream"):
                    if way == "stream":
                        question = question | {"stream": True, "stream_options": {"include_usage": True}}
                    recorder = Recorder(port)
                    told = read_by_openai(recorder.port, question)
                    stem = into / f"{name}-{kind}-{way}"
                    stem.with_suffix(".http").write_bytes(recorder.join())
                    stem.with_suffix(".json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
                    print(stem.name, told)


if __name__ == "__main__":
    record(pathlib.Path(sys.argv[1]))
