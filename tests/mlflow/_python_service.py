# SPDX-License-Identifier: Apache-2.0
"""A service in a chain of services that is instrumented in Python:  _python_service.py mlflow|otel [NEXT]

POST /ask on a free port, which is printed. `mlflow` is MLflow's own client, `otel` OpenTelemetry's SDK, which exports
to MLflow by OTLP.
"""

import http.server
import json
import os
import signal
import sys
import threading
import urllib.request

KIND, *NEXT = sys.argv[1:]


def ask_next(question: str, headers: dict[str, str]) -> str:
    if not NEXT:
        return f"Python's answer to {question}"
    body = json.dumps({"question": question}).encode()
    request = urllib.request.Request(NEXT[0] + "/ask", body, {"Content-Type": "application/json"} | headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["answer"]


if KIND == "mlflow":
    import mlflow
    from mlflow.tracing import get_tracing_context_headers_for_http_request, set_tracing_context_from_http_request_headers

    mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"])

    def answer(question: str, headers: dict[str, str]) -> str:
        with set_tracing_context_from_http_request_headers(headers):
            with mlflow.start_span("python agent") as span:
                span.set_inputs({"question": question})
                onward = get_tracing_context_headers_for_http_request()
                if "baggage" in headers:  # which MLflow's client does not forward by itself
                    onward["baggage"] = headers["baggage"]
                said = ask_next(question, onward)
                span.set_outputs(said)
            mlflow.flush_trace_async_logging()  # MLflow 3.17 loses a span that is exported after the context
            return said

    def finish() -> None:
        mlflow.flush_trace_async_logging()

else:
    import mlflow
    from opentelemetry import propagate, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    experiment = mlflow.MlflowClient().get_experiment_by_name(os.environ["MLFLOW_EXPERIMENT_NAME"]).experiment_id
    provider = TracerProvider(resource=Resource.create({"service.name": "otel"}))
    exporter = OTLPSpanExporter(
        endpoint=os.environ["MLFLOW_TRACKING_URI"] + "/v1/traces", headers={"x-mlflow-experiment-id": experiment}
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("otel")

    def answer(question: str, headers: dict[str, str]) -> str:
        context = propagate.extract({name.lower(): value for name, value in headers.items()})
        with tracer.start_as_current_span("otel tool", context=context):
            onward: dict[str, str] = {}
            propagate.inject(onward, trace.set_span_in_context(trace.get_current_span(), context))
            return ask_next(question, onward)

    def finish() -> None:
        provider.shutdown()


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["question"]
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"answer": answer(question, headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"{KIND}: http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
finish()
