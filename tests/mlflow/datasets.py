# SPDX-License-Identifier: Apache-2.0
"""Datasets that `mlflow_sessions dataset` makes from chosen traces, users' sessions and the worst-rated turns: MLflow's
own client lists them, reads their records with their source, and evaluates them with a scorer that is plain code.
"""

import json
import os
import subprocess
import time

import _spans_file
import mlflow
from _reading import check, check_same, client, experiment_id, finish, traces_of
from mlflow.genai import datasets, scorer

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
NAME = os.environ.get("MLFLOW_TRACE_EXPERIMENT", "datasets")
USERS = ["user-1042", "o'brien-1", 'both \' and "']
TURNS = 4


def run(*arguments: str, experiment: str = NAME) -> subprocess.CompletedProcess:
    command = [PROGRAM, "--experiment", experiment, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows(*arguments: str, **where: str) -> list[dict]:
    done = run("--json", *arguments, **where)
    check(done.returncode == 0 and not done.stderr, f"{arguments}: {done.returncode} {done.stderr}")
    return json.loads(done.stdout or "[]")


def record() -> None:
    """A session of each user. The second turn is rated, the worse the later the user."""
    traces = {}
    for number, user in enumerate(USERS):
        for turn in range(TURNS):
            with mlflow.start_span("chat") as span:
                span.set_inputs({"message": f"Question {turn} of {number}?"})
                mlflow.update_current_trace(metadata={"mlflow.trace.user": user, "mlflow.trace.session": f"session {user}"})
                with mlflow.start_span("generate") as inner:
                    inner.set_inputs({"prompt": "not what is asked for"})
                span.set_outputs(f"Answer {turn} of {number}.")
            traces[number, turn] = span.trace_id
            time.sleep(0.003)  # turns are in the order of their milliseconds
    with mlflow.start_span("without inputs"):
        mlflow.update_current_trace(metadata={"mlflow.trace.user": "silent"})
    mlflow.flush_trace_async_logging()
    for number in range(len(USERS)):
        rated, of_session = traces[number, 1], traces[number, 2]
        mlflow.log_feedback(trace_id=rated, name="helpful", value=1.0 - number)
        mlflow.log_expectation(trace_id=rated, name="answer", value=f"Answer 1 of {number}.")
        mlflow.log_feedback(trace_id=of_session, name="helpful", value=-5.0, metadata={"mlflow.trace.session": "x"})


@scorer
def as_expected(outputs, expectations) -> bool:
    return outputs == expectations.get("answer", outputs)


@scorer
def length(outputs) -> int:
    return len(outputs)


def metrics(dataset, **how: object) -> dict[str, float]:
    return {name: float(value) for name, value in mlflow.genai.evaluate(data=dataset, **how).metrics.items()}


def dataset(name: str):
    found = [one for one in datasets.search_datasets(experiment_ids=[experiment_id(NAME)]) if one.name == name]
    check_same(len(found), 1, f"datasets that MLflow's client lists by the name {name!r}")
    return datasets.get_dataset(dataset_id=found[0].dataset_id)


def check_created() -> None:
    made = rows("dataset", "create", "turns", "--tag", "team=search", "--tag", "a=b=c")
    check_same(made[0]["tags"], {"a": "b=c", "team": "search"}, "tags of a new dataset")
    check_same(dataset("turns").tags, {"a": "b=c", "team": "search"}, "tags that MLflow's client reads")
    again = run("dataset", "create", "turns")
    check(again.returncode == 1 and "already exists" in again.stderr, f"a name that is taken: {again}")
    for name in ("sessions", "worst", "chosen"):
        rows("dataset", "create", name)
    check_same([row["name"] for row in rows("dataset", "list")], ["chosen", "worst", "sessions", "turns"], "dataset list")


def check_turns(traces: dict) -> None:
    filled = rows("dataset", "fill", "turns", "--user", USERS[1])
    check_same(filled, [{"dataset": "turns", "turns": 4, "inserted": 4, "updated": 0, "skipped": 0}], "fill by user")
    again = rows("dataset", "fill", "turns", "--session", f"session {USERS[1]}")
    check_same(again[0]["updated"], 4, "fill with the same once more")
    skipped = rows("dataset", "fill", "turns", "--user", "silent")
    check_same(skipped[0]["skipped"], 1, "a trace without inputs")
    frame = dataset("turns").to_df()
    check_same(len(frame), 4, "records that MLflow's client reads")
    for row in frame.to_dict("records"):
        trace = traces[row["source_id"]]
        root = trace.data._get_root_span()
        check_same(row["inputs"], root.inputs, "inputs")
        check_same(row["outputs"], root.outputs, "outputs")
        check_same(row["source_type"], "TRACE", "type of the source")
        source = {"trace_id": trace.info.trace_id, "session_id": f"session {USERS[1]}"}
        check_same(row["source"].source_data, source, "source")
        told = {one.name: one.value for one in trace.search_assessments(type="expectation")}
        check_same(row["expectations"] or {}, told, "expectations")
        check_same(row["tags"], {trace.info.trace_id: f"session {USERS[1]}"}, "tags")
    # As MLflow's own client makes records of the same traces.
    own = datasets.create_dataset(name="own", experiment_id=experiment_id(NAME))
    own.merge_records([one for one in traces.values() if one.info.trace_metadata.get("mlflow.trace.user") == USERS[1]])
    columns = ["inputs", "outputs", "source_id", "source_type"]
    keys = [sorted(json.dumps(row, sort_keys=True) for row in one[columns].to_dict("records")) for one in (frame, own.to_df())]
    check_same(keys[0], keys[1], "records as MLflow's client makes them")

    found = metrics(dataset("turns"), scorers=[as_expected, length])
    check_same(found, {"as_expected/mean": 1.0, "length/mean": float(len("Answer 0 of 0."))}, "scores of what is stored")
    found = metrics(dataset("turns"), scorers=[as_expected], predict_fn=lambda message: message)
    check_same(found, {"as_expected/mean": 0.75}, "score of a function that answers the wrong thing")


def check_sessions() -> None:
    filled = rows("dataset", "fill", "sessions", "--filter", "trace.status = 'OK'", "--per", "session")
    check_same(filled, [{"dataset": "sessions", "sessions": 3, "inserted": 3, "updated": 0, "skipped": 0}], "fill by session")
    for row in dataset("sessions").to_df().to_dict("records"):
        number = USERS.index(row["source"].source_data["session_id"].removeprefix("session "))
        told = []
        for turn in range(TURNS):
            told.append({"role": "user", "content": f"Question {turn} of {number}?"})
            told.append({"role": "assistant", "content": f"Answer {turn} of {number}."})
        check_same(row["inputs"], {"messages": told[:-1]}, "messages of a session")
        check_same(row["outputs"], told[-1]["content"], "the last answer of a session")
        check_same(len(row["tags"]), TURNS, "traces of a session")
    found = metrics(dataset("sessions"), scorers=[length], predict_fn=lambda messages: messages[-1]["content"])
    check_same(found, {"length/mean": float(len("Question 3 of 0?"))}, "scores of sessions")


def check_worst(traces: dict) -> None:
    filled = rows("dataset", "fill", "worst", "--worst", "helpful", "--limit", "2")
    check_same(filled[0]["inserted"], 2, "the worst-rated turns")
    asked = [row["inputs"]["message"] for row in rows("dataset", "show", "worst")]
    check_same(sorted(asked), ["Question 1 of 1?", "Question 1 of 2?"], "which turns are rated worst")
    one = next(name for name, trace in traces.items() if trace.info.trace_metadata.get("mlflow.trace.user") == USERS[0])
    check_same(rows("dataset", "fill", "chosen", "--trace", one)[0]["inserted"], 1, "a trace by its ID")
    check_same([row["trace_id"] for row in rows("dataset", "show", "chosen")], [one], "the trace that was chosen")
    again = rows("dataset", "fill", "chosen", "--trace", one, "--trace", one)
    check_same(again, [{"dataset": "chosen", "turns": 1, "inserted": 0, "updated": 1, "skipped": 0}], "a trace twice")
    for per in ("turn", "session"):
        missing = run("dataset", "fill", "chosen", "--per", per, "--trace", one, "--trace", "tr-" + "0" * 32)
        check(missing.returncode == 1 and "not found" in missing.stderr and not missing.stdout, f"a trace that is not stored: {missing}")
    check_same(len(rows("dataset", "show", "chosen")), 1, "records after a fill that named a missing trace")


def check_faults() -> None:
    for arguments, said in {
        ("dataset", "fill", "chosen"): "select traces",
        ("dataset", "fill", "nothing", "--user", "a"): "create it first",
        ("dataset", "show", "nothing"): "create it first",
        ("dataset", "create", ""): "empty",
        ("dataset", "create", "x", "--tag", "no"): "KEY=VALUE",
        ("dataset", "fill", "chosen", "--trace", "tr-1", "--user", "a"): "--user: has no effect with --trace",
        ("dataset", "fill", "chosen", "--trace", "tr-1", "--until", "1h"): "--until: has no effect with --trace",
        ("dataset", "fill", "chosen", "--user", USERS[0], "--columns", "name"): "unknown column name",
        ("dataset", "fill", "chosen", "--user", "nobody"): "no trace of the user nobody",
        ("dataset", "create", "x", "--columns", "turns"): "unknown column turns",
        ("dataset", "create", "x", "--tag", "a=1", "--tag", "a=2"): "gives a twice",
        ("dataset", "create", b"x\xff"): "not UTF-8",
        ("dataset", "create", "x\n"): "control character",
        ("dataset", "create", "x", "--tag", b"a=\xff"): "not UTF-8",
        ("--tracking-uri", "/dev/null", "dataset", "list"): "set --tracking-uri",
        ("--tracking-uri", "http://127.0.0.1:9", "dataset", "list"): "127.0.0.1:9",
    }.items():
        done = run(*arguments)
        check(done.returncode != 0 and said in done.stderr and not done.stdout, f"{arguments}: {done}")
    check_same([row["name"] for row in rows("dataset", "list") if row["name"].startswith("x")], [], "what a rejected create left")
    before = rows("dataset", "show", "chosen")
    done = run("--json", "dataset", "fill", "chosen", "--worst", "not recorded")
    check(done.returncode == 0 and "no rating named not recorded" in done.stderr, f"a rating that nobody gave: {done}")
    check_same(json.loads(done.stdout)[0]["turns"], 0, "turns with a rating that nobody gave")
    check_same(rows("dataset", "show", "chosen"), before, "records after fills that were rejected")
    done = run("dataset", "list", experiment="there is no such experiment")
    check(done.returncode == 1 and "does not exist" in done.stderr, f"no experiment: {done}")


def at_once(count: int, *arguments: str) -> list[tuple[int, str]]:
    command = [PROGRAM, "--experiment", NAME, "--json", *arguments]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(count)]
    return [(one.communicate()[1], one.returncode) for one in started]


def check_several_at_once() -> None:
    """One creates the dataset, and all fill it."""
    for number in range(3):
        name = f"at once {number}"
        created = at_once(4, "dataset", "create", name)
        check_same(sorted(code for _, code in created), [0, 1, 1, 1], f"one of four creates: {created}")
        filled = at_once(4, "dataset", "fill", name, "--filter", "trace.status = 'OK'")
        check_same([code for _, code in filled], [0] * 4, f"four that fill: {filled}")
        counts = {len(rows("dataset", "show", name)), dataset(name).to_df()["dataset_record_id"].nunique()}
        check_same(len(counts), 1, f"records of four that fill: {counts}")
    twins = [datasets.create_dataset(name="twins", experiment_id=experiment_id(NAME)).dataset_id for _ in range(2)]
    done = run("dataset", "show", "twins")
    check(done.returncode == 1 and all(one in done.stderr for one in twins), f"a name that MLflow gave twice: {done}")
    rows("dataset", "fill", twins[1], "--user", USERS[0])
    check_same([len(rows("dataset", "show", one)) for one in twins], [0, TURNS], "a dataset by its ID")


def write_file_of_spans(user: str, session: str, of: str | None) -> str:
    """Of the spans of another trace, or without the file."""
    metadata = {"mlflow.trace.user": user, "mlflow.trace.session": session, "mlflow.trace_schema.version": "3"}
    info = _spans_file.new_info(experiment_id(NAME), metadata)
    _spans_file.write(info, client.get_trace(of).data.to_dict() if of else None)
    return info["trace_id"]


def check_spans_elsewhere(traces: dict) -> None:
    """Sessions and users that other programs record, and spans that MLflow keeps as a file."""
    one = next(name for name, trace in traces.items() if trace.info.trace_metadata.get("mlflow.trace.user") == USERS[0])
    session = "of others\n\x00'\""
    kept = write_file_of_spans("in files", session, one)
    write_file_of_spans("in files", session, None)
    rows("dataset", "create", "in files")
    filled = rows("dataset", "fill", "in files", "--user", "in files")
    check_same(filled, [{"dataset": "in files", "turns": 2, "inserted": 1, "updated": 0, "skipped": 1}], "spans in a file, and none")
    shown = rows("dataset", "show", "in files")
    root = traces[one].data._get_root_span()
    check_same([(row["inputs"], row["outputs"], row["trace_id"], row["session"]) for row in shown], [(root.inputs, root.outputs, kept, session)], "record")
    filled = rows("dataset", "fill", "in files", "--user", "in files", "--per", "session")
    check_same((filled[0]["sessions"], filled[0]["inserted"]), (1, 1), "a session with any characters")


def main() -> None:
    mlflow.set_experiment(NAME)
    record()
    traces = {trace.info.trace_id: trace for trace in traces_of(experiment_id(NAME))}
    check_same(len(traces), len(USERS) * TURNS + 1, "traces")
    check_created()
    check_worst(traces)
    check_sessions()  # an evaluation records traces too, in the sessions of their sources
    check_turns(traces)
    check_several_at_once()
    check_spans_elsewhere(traces)
    check_faults()
    finish()


if __name__ == "__main__":
    main()
