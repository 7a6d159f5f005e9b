# SPDX-License-Identifier: Apache-2.0
"""What the chat server recorded, as MLflow's own page shows it in a browser: sessions, users, spans, inputs, outputs and
feedback. On a fault a picture of the page stays in the folder of the test."""

import os
import time

from _chat_server import chat_server, post
from _reading import check, check_same, experiment_id, finish
from playwright.sync_api import Error, Page, expect, sync_playwright

TURNS = 2
SESSIONS = {"kitchen 1": "user-1042", "o'brien": "user-1042", "kitchen 3": "user-1043"}
PATIENCE = 90_000  # milliseconds, for a machine that does other things as well


def question(session: str, turn: int) -> str:
    return f"Where can I park bike {list(SESSIONS).index(session)}{turn}?"


def record(experiment: str) -> dict[str, str]:
    """The answers by question; the first turn of the first session is rated."""
    answers, rated = {}, None
    with chat_server(experiment) as port:
        for session, user in SESSIONS.items():
            who = {"X_User_ID": user, "X_Session_ID": session}
            for turn in range(TURNS):
                status, reply = post(port, "/chat", {"message": question(session, turn)}, **who)
                check_same(status, 200, f"{session}, turn {turn}")
                answers[question(session, turn)] = reply["response"]
                rated = rated or (reply["trace_id"], who)
        body = {"trace_id": rated[0], "value": True, "rationale": "clear"}
        check_same(post(port, "/feedback", body, **rated[1])[0], 200, "feedback")
    return answers


def open_traces(page: Page, experiment: str) -> None:
    page.goto(f"{os.environ['MLFLOW_TRACKING_URI']}/#/experiments/{experiment}/traces")
    expect(page.get_by_text(question("kitchen 1", 0)).first).to_be_visible()


def check_list(page: Page, experiment: str) -> None:
    open_traces(page, experiment)
    page.get_by_label("Display", exact=True).click()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("menuitemcheckbox", name="User").click()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    for session, user in SESSIONS.items():
        for turn in range(TURNS):
            row = page.get_by_role("row").filter(has_text=question(session, turn))
            expect(row).to_have_count(1)
            expect(row).to_contain_text(user)
            expect(row).to_contain_text(session)


def check_sessions(page: Page, experiment: str, answers: dict[str, str]) -> None:
    open_traces(page, experiment)
    page.get_by_label("Group traces by session").click()
    for session in SESSIONS:
        expect(page.get_by_text(session, exact=True)).to_have_count(1)
    page.get_by_text("kitchen 1", exact=True).click()
    for turn in range(TURNS):
        expect(page.get_by_text(f"Turn {turn + 1}", exact=True).first).to_be_visible()
        expect(page.get_by_text(question("kitchen 1", turn)).first).to_be_visible()
        expect(page.get_by_text(answers[question("kitchen 1", turn)]).first).to_be_visible()
    expect(page.get_by_text("helpful: True").first).to_be_visible()


def check_spans(page: Page, experiment: str, answers: dict[str, str]) -> None:
    open_traces(page, experiment)
    page.get_by_text(question("kitchen 3", 1)).first.click()
    for span in ("chat", "retrieve", "complete", "note topics"):
        expect(page.get_by_text(span, exact=True).first).to_be_visible()
    expect(page.get_by_text(answers[question("kitchen 3", 1)]).first).to_be_visible()


def main() -> None:
    experiment = f"browser {time.time_ns()}"
    answers = record(experiment)
    number = experiment_id(experiment)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["MLFLOW_TRACE_CHROMIUM"], args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1800, "height": 1100})
        page.set_default_timeout(PATIENCE)
        page.add_locator_handler(page.get_by_role("button", name="Got it").first, lambda tour: tour.click())
        try:
            check_list(page, number)
            check_sessions(page, number, answers)
            check_spans(page, number, answers)
        except (AssertionError, Error) as fault:
            page.screenshot(path="browser.png")
            check(False, f"{fault}\nbrowser.png shows the page")
        browser.close()


main()
finish()
