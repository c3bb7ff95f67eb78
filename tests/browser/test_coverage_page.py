"""The coverage page as a person uses it: Airflow's login form, its navigation, the heat map and the buttons."""

from __future__ import annotations

import re
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.airflow_server import USERS, AirflowServer
from tests.browser.conftest import HOSTILE, LONG_ID, gap_days

pytestmark = pytest.mark.browser

PATH = "/web-analytics/coverage"
# On a machine that does other things too: of a run under a scheduler, and of whatever the page has to show.
RUN_MILLISECONDS = 180_000
expect.set_options(timeout=30_000)


@pytest.fixture
def log_in(browser: Browser, airflow: AirflowServer):
    """``log_in(user)``: a browser window of that user, after the login form; every error on a page fails the test."""
    contexts, errors = [], []

    def window(user: str, **options) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if "Content Security" in message.text else None,
        )
        page.goto(airflow.base)
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", USERS[user][1])
        page.keyboard.press("Enter")
        page.get_by_text("Dags", exact=True).first.wait_for()
        return page

    yield window
    for context in contexts:
        context.close()
    assert errors == []


def open_from_navigation(page: Page) -> FrameLocator:
    page.get_by_role("link", name="Coverage").click()
    frame = page.frame_locator("iframe[title=Coverage]")
    expect(frame.locator("table.heat")).to_be_visible()
    return frame


def cell(frame: FrameLocator, team: int, table: str, day):
    """The cell of the heat map, found as a reader finds it: by its row's and its column's name."""
    expect(frame.locator(f'thead th[data-day="{day}"]')).to_be_visible()
    team_rows = frame.locator("tbody.team", has=frame.locator(f'th[data-team="{team}"]'))
    row = team_rows.locator("tr", has=frame.locator("th.table-name", has_text=table))
    column = frame.locator("thead th.day").evaluate_all(
        "(days, wanted) => days.findIndex((each) => each.dataset.day === wanted)", day.isoformat()
    )
    assert column >= 0
    return row.locator("td.cell").nth(column)


def numbers(frame: FrameLocator) -> dict[str, list[str]]:
    """The table of the selected cell: its rows by name."""
    expect(frame.locator("table.numbers")).to_be_visible()
    rows = frame.locator("table.numbers tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.children].map((each) => each.textContent))"
    )
    return {name: values for name, *values in rows}


def test_a_gap_is_found_tried_filled_and_checked(log_in, airflow):
    page = log_in("anna")
    frame = open_from_navigation(page)
    day = gap_days()[1]
    expect(frame.locator("#verdict")).to_contain_text("2 teams of 4 have gaps: 6 missing")
    gap = cell(frame, 3, "stats", day)
    expect(gap).to_have_class(re.compile(r"\bs-m\b"))
    gap.click()
    expect(frame.locator("#details")).to_contain_text("6 raw pageviews")
    before = numbers(frame)
    assert before["state"] == ["missing", "missing"]
    assert before["stored pageviews"] == ["0", "0"]
    expect(frame.locator("#target")).to_have_text(f"{day}; team 3; 2 missing")

    frame.get_by_role("button", name="Dry run").click()
    started = frame.locator(".started li").first
    expect(started).to_contain_text("success", timeout=RUN_MILLISECONDS)
    expect(started).to_contain_text(f"Would build 1 date, {day}: 2 missing partitions reach the threshold 1.")
    expect(cell(frame, 3, "stats", day)).to_have_class(re.compile(r"\bs-m\b"))

    frame.get_by_role("button", name="Backfill these dates").click()
    started = frame.locator(".started li").first
    expect(started).to_contain_text("Built", timeout=RUN_MILLISECONDS)
    for table in ("stats", "bounces"):
        expect(cell(frame, 3, table, day)).to_have_class(re.compile(r"\bs-c\b"))
    expect(frame.locator("#verdict")).to_contain_text("1 team of 4 has gaps: 4 missing")
    expect(frame.locator("#details")).to_contain_text("complete")
    after = numbers(frame)
    assert after["state"] == ["complete", "complete"]
    assert after["stored pageviews"] == ["6", "6"]
    assert after["sessions"] == ["3", "3"]
    expect(frame.locator("#details")).not_to_contain_text("fewer")
    # another team's day was not touched
    expect(cell(frame, 4, "stats", day)).to_have_class(re.compile(r"\bs-m\b"))

    frame.get_by_role("button", name="Validate").click()
    expect(frame.locator(".started li").first).to_contain_text("success in", timeout=RUN_MILLISECONDS)
    expect(frame.locator("#run-summary")).to_contain_text("1 succeeded (100 %)")
    expect(frame.locator("#status-newest")).to_contain_text("decided to build 1 date")

    # the run that built it is one click away, in Airflow's own page
    frame.locator("table.numbers a").first.click()
    page.wait_for_url(re.compile(r"/dags/web_analytics_backfill/runs/"))


def test_a_run_links_to_its_dates(log_in, airflow, browser_source):
    day = gap_days()[2]
    conf = {
        "date_start": day.isoformat(),
        "date_end": gap_days()[1].isoformat(),
        "team_ids": [4],
        "min_missing_partitions": 1,
    }
    assert airflow.run("web_analytics_backfill", conf) == "success"
    runs = airflow.call("GET", "/api/v2/dags/web_analytics_backfill/dagRuns?order_by=-run_after").json()
    run_id = runs["dag_runs"][0]["dag_run_id"]
    run = f"/dags/web_analytics_backfill/runs/{urllib.parse.quote(run_id)}"
    for task in ("decide", "summarise"):
        links = airflow.call("GET", f"/api/v2{run.replace('/runs/', '/dagRuns/')}/taskInstances/{task}/links")
        assert list(links.json()["extra_links"]) == ["Coverage"]
    page = log_in("vera")
    page.goto(f"{airflow.base}{run}/tasks/decide/details")
    page.locator('a[href*="run_id="]', has_text="Coverage").click()
    frame = page.frame_locator("iframe[title=Coverage]")
    expect(frame.locator("#run-banner")).to_contain_text(f"Dates of the run {run_id}: {day}")
    expect(frame.locator("thead th.marked")).to_have_attribute("data-day", day.isoformat())


def test_a_viewer_reads_and_has_no_buttons(log_in, airflow):
    frame = open_from_navigation(log_in("vera"))
    cell(frame, 4, "stats", gap_days()[0]).click()
    assert numbers(frame)["state"] == ["complete", "complete"]
    expect(frame.locator("#run-list")).to_contain_text("decision", ignore_case=True)
    expect(frame.locator("#actions")).to_be_hidden()
    assert frame.get_by_role("button", name=re.compile("Dry run|Backfill|Validate")).count() == 0
    trigger = "/api/v2/dags/web_analytics_backfill/dagRuns"
    assert airflow.call("POST", trigger, {"logical_date": None}, user="vera").status == 403


@pytest.mark.parametrize(
    "path", ["", "/data", "/decisions", "/actions", "/cells/1/2026-01-01", "/static/app.js"]
)
def test_without_a_login_nothing_is_shown(airflow, path):
    assert airflow.call("GET", PATH + path, user=None).status == 401


def test_what_others_named_is_shown_as_text(log_in, browser_source):
    page = log_in("anna")
    frame = open_from_navigation(page)
    expect(frame.locator(f'th[data-team="{LONG_ID}"]')).to_have_text(str(LONG_ID))
    cell(frame, 1, "stats", gap_days()[0]).click()
    assert numbers(frame)["by run"] == [HOSTILE, HOSTILE]
    frame.locator("input[name=teams]").fill(HOSTILE)
    frame.get_by_role("button", name="Show", exact=True).click()
    expect(frame.locator("#verdict")).to_contain_text("No team has a name with “")
    expect(frame.locator("#verdict")).to_contain_text("<img src=x onerror=")
    frame.locator("input[name=teams]").fill(str(2**64))
    frame.get_by_role("button", name="Show", exact=True).click()
    expect(frame.locator("#error")).to_contain_text("team_ids")
    expect(frame.locator("#verdict")).to_contain_text("could not be read; what is shown was read before")
    assert frame.locator("img").count() == 0
    assert page.title() != "taken over"
    assert frame.locator("body").evaluate("() => document.title") == "Web analytics coverage"


def test_the_map_is_used_with_the_keyboard_alone(log_in):
    frame = open_from_navigation(log_in("anna"))
    frame.locator("#refresh").focus()
    frame.locator("#refresh").press("Tab")
    legend = frame.get_by_text("What the states mean")
    expect(legend).to_be_focused()
    legend.press("Tab")
    focused = frame.locator("td.cell:focus")
    expect(focused).to_have_attribute(
        "aria-label", re.compile(r"^team \d+, stats, \w{3} \d{4}-\d\d-\d\d: open")
    )
    for _ in range(2):
        focused.press("ArrowLeft")
    focused.press("ArrowDown")
    expect(focused).to_have_attribute("aria-label", re.compile(", bounces, "))
    expect(frame.locator("#tip")).to_contain_text("bounces")
    frame.locator("#map").dispatch_event("scroll")
    expect(frame.locator("#tip")).to_be_hidden()
    focused.press("Enter")
    expect(frame.locator("table.numbers")).to_be_visible()
    focused.press("Shift+ArrowLeft")
    focused.press("Shift+ArrowLeft")
    expect(frame.locator("td.selected")).to_have_count(3)
    expect(frame.locator("#target")).to_contain_text("3 days")
    focused.press("Escape")
    expect(frame.locator("td.selected")).to_have_count(0)


def test_a_finger_selects_where_it_taps(log_in):
    frame = open_from_navigation(log_in("vera", has_touch=True))
    cell(frame, 4, "stats", gap_days()[0]).tap()
    expect(frame.locator("td.selected")).to_have_count(1)
    expect(frame.locator("table.numbers")).to_be_visible()


def test_filters_narrow_what_is_shown(log_in):
    frame = open_from_navigation(log_in("anna"))
    expect(frame.locator("th.team-id")).to_have_count(4)
    frame.locator("input[name=teams]").fill("1, 5")
    frame.get_by_role("button", name="Show", exact=True).click()
    expect(frame.locator("th.team-id")).to_have_count(2)
    expect(cell(frame, 5, "stats", gap_days()[0])).to_have_class(re.compile(r"\bs-n\b"))
    cell(frame, 5, "stats", gap_days()[0]).click()
    expect(frame.locator("#actions")).to_contain_text("None of these teams is enabled")
    frame.get_by_text("7 days").click()
    expect(frame.locator("thead th.day")).to_have_count(8)


def test_another_region_is_shown_and_started(log_in):
    frame = open_from_navigation(log_in("anna"))
    frame.get_by_label("Region").select_option("eu")
    expect(frame.locator("th.team-id")).to_have_text(["77"])
    expect(frame.locator("#verdict")).to_contain_text("1 team of 1 has gaps: 2 missing")
    expect(frame.get_by_label("Region")).to_have_value("eu")
    cell(frame, 77, "stats", gap_days()[0]).click()
    assert numbers(frame)["state"] == ["missing", "missing"]
    frame.get_by_role("button", name="Dry run").click()
    expect(frame.locator(".started li").first).to_contain_text("web_analytics_backfill__eu is unpaused")
    frame.get_by_label("Region").select_option("default")
    expect(frame.locator("th.team-id")).to_have_count(4)


def test_it_says_as_of_when_the_events_are_known(log_in):
    frame = open_from_navigation(log_in("vera"))
    expect(frame.locator("#as-of")).to_contain_text(
        re.compile("Events and tables as they are now|events as of")
    )


def test_days_that_no_run_has_looked_at_are_unknown_and_can_be_filled(log_in, airflow):
    long_ago = datetime.now(UTC).date() - timedelta(days=300)
    page = log_in("anna")
    page.goto(f"{airflow.base}{PATH}?days=365&team_ids=1")
    expect(page.locator("#as-of")).to_contain_text("No run has looked at the days before")
    expect(page.locator("#trend")).not_to_contain_text("on every day,")
    unknown = cell(page, 1, "stats", long_ago)
    expect(unknown).to_have_class(re.compile(r"\bs-u\b"))
    # What the buttons act on without a selection has them too.
    expect(page.locator("#target")).to_contain_text("365 days")
    expect(page.locator("#target")).to_contain_text("unknown")
    unknown.click()
    expect(page.locator("#target")).to_have_text(f"{long_ago}; team 1; 2 unknown")
    expect(page.get_by_role("button", name="Backfill these dates")).to_be_enabled()
    expect(page.locator("#legend")).to_contain_text("unknown")


def test_an_event_that_arrived_again_is_one_pageview_of_the_source_too(log_in, browser_source):
    day = gap_days()[4]
    browser_source.clickhouse.client.execute(
        "INSERT INTO events SELECT * FROM events WHERE team_id = 1 AND toDate(timestamp) = %(day)s LIMIT 1",
        {"day": day},
    )
    frame = open_from_navigation(log_in("vera"))
    cell(frame, 1, "stats", day).click()
    assert numbers(frame)["stored pageviews"] == ["6", "6"]
    expect(frame.locator("#details")).to_contain_text("6 raw pageviews")


def test_a_button_that_is_drawn_anew_while_it_is_pressed_is_pressed_all_the_same(log_in):
    page = log_in("vera")
    frame = open_from_navigation(page)
    draw = """async (clicked) => {
      const { element, replace } = await import("/web-analytics/coverage/static/page.js");
      replace("error", element("button", { type: "button", onclick: () => replace("error", clicked) }, "Press"));
    }"""
    error = frame.locator("#error")
    error.evaluate(f"(place, clicked) => ({draw})(clicked)", "first")
    box = error.get_by_role("button").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    error.evaluate(f"(place, clicked) => ({draw})(clicked)", "second")
    page.mouse.up()
    expect(error).to_have_text("first")
    error.evaluate(f"(place, clicked) => ({draw})(clicked)", "third")
    error.get_by_role("button").click()
    expect(error).to_have_text("third")


def test_it_follows_airflows_theme(log_in):
    for scheme in ("light", "dark"):
        frame = open_from_navigation(log_in("anna", color_scheme=scheme))
        assert frame.locator("html").get_attribute("data-theme") == scheme


def test_a_narrow_window_scrolls_only_the_map(log_in, airflow):
    page = log_in("anna", viewport={"width": 320, "height": 640})
    page.goto(airflow.base + PATH)
    expect(page.locator("table.heat")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_day_that_is_not_missing_but_wrong_is_filled_too(log_in, browser_source):
    day = gap_days()[3]
    browser_source.clickhouse.client.execute(
        "ALTER TABLE web_analytics_backfill_ledger DELETE WHERE team_id = 1 AND partition_date = %(day)s "
        "SETTINGS mutations_sync = 2",
        {"day": day},
    )
    frame = open_from_navigation(log_in("anna"))
    orphan = cell(frame, 1, "stats", day)
    expect(orphan).to_have_class(re.compile(r"\bs-r\b"))
    orphan.click()
    expect(frame.locator("#target")).to_have_text(f"{day}; team 1; 2 orphan")
    frame.get_by_role("button", name="Backfill these dates").click()
    expect(frame.locator(".started li").first).to_contain_text(
        "Built: rebuild of 1 date", timeout=RUN_MILLISECONDS
    )
    expect(cell(frame, 1, "stats", day)).to_have_class(re.compile(r"\bs-c\b"))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("team_ids=5", "None of these teams is enabled"),
        ("date_start=2023-01-01&date_end=2023-01-03", "None of these days is looked at"),
        ("team_ids=1&days=7&page=3", "No gaps: both tables have every closed day of 1 team from"),
        ("days=0", "The state of the tables could not be read."),
    ],
)
def test_it_claims_no_more_than_it_knows(log_in, airflow, query, said):
    page = log_in("vera")
    page.goto(f"{airflow.base}{PATH}?{query}")
    expect(page.locator("#verdict")).to_contain_text(said)
    expect(page.locator("#error")).to_be_visible(visible=query == "days=0")
    expect(page.locator("#legend")).to_contain_text("missing")


def test_the_legend_says_what_each_state_means(log_in):
    frame = open_from_navigation(log_in("vera"))
    frame.get_by_text("What the states mean").click()
    expect(frame.locator("#meanings dt")).to_have_text(
        ["missing", "inconsistent", "stale", "orphan", "complete", "open", "idle", "not enabled"]
    )
    expect(frame.locator("#meanings")).to_contain_text("there are pageviews, but the table has no row")


def test_a_running_backfill_is_cancelled(log_in, airflow):
    airflow.unpause("web_analytics_backfill")
    frame = open_from_navigation(log_in("anna"))
    frame.get_by_label("also rebuild complete days").check()
    frame.locator("#backfill").click()
    if frame.locator("#confirm").count():
        frame.locator("#confirm").click()
    running = frame.locator("#status-running")
    expect(running).to_contain_text("dates", timeout=RUN_MILLISECONDS)
    running.get_by_role("button", name="Cancel this backfill").first.click()
    running.get_by_role("button", name="End it").click()
    expect(running).to_have_text("Nothing.", timeout=RUN_MILLISECONDS)
    expect(frame.locator(".started li").first).to_contain_text("Cancelled on the coverage page")
    newest = airflow.call("GET", "/api/v2/dags/web_analytics_backfill/dagRuns?order_by=-id&limit=1").json()
    assert newest["dag_runs"][0]["note"].startswith("Cancelled on the coverage page.")


def test_it_says_that_the_backfill_is_paused(log_in, airflow):
    airflow.pause("web_analytics_backfill")
    try:
        frame = open_from_navigation(log_in("vera"))
        expect(frame.locator("#status-next")).to_contain_text("web_analytics_backfill is paused: unpause it")
    finally:
        airflow.unpause("web_analytics_backfill")


def test_the_service_level_of_the_newest_check_is_in_the_head(log_in, airflow):
    frame = open_from_navigation(log_in("vera"))
    expect(frame.locator("#status-service-level")).to_have_text(
        "99.4 % of days within 6 hours of their end, in 1 day; error budget 40 % left (objective 99 %)."
    )
    expect(frame.locator("#status-service-level strong")).to_have_class("good")


def test_the_address_keeps_what_is_shown(log_in, airflow):
    page = log_in("vera")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    frame = open_from_navigation(page)
    first, second = gap_days()[0], gap_days()[4]
    frame.locator("input[name=teams]").fill("1, 3")
    frame.get_by_role("button", name="Show", exact=True).click()
    expect(frame.locator("th.team-id")).to_have_count(2)
    for day in (first, second):
        cell(frame, 3, "stats", day).click()
        page.wait_for_url(
            re.compile(f"/plugin/web-analytics-coverage{PATH}.*selected_days={day}&selected_teams=3")
        )
    page.go_back()
    page.wait_for_url(re.compile(f"selected_days={first}"))
    expect(cell(frame, 3, "stats", first)).to_have_class(re.compile("selected"))

    page.reload()
    expect(cell(frame, 3, "stats", first)).to_have_class(re.compile("selected"))
    expect(frame.locator("td.selected")).to_have_count(2)
    expect(frame.locator("input[name=teams]")).to_have_value("1, 3")
    expect(frame.locator("#details")).to_contain_text("Team 3")

    frame.get_by_role("button", name="Copy link").click()
    expect(frame.locator("#copy-link")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"/plugin/web-analytics-coverage{PATH}?" in copied
    page.goto(copied)
    expect(frame.locator("th.team-id")).to_have_text(["3"])
    expect(cell(frame, 3, "stats", first)).to_have_class(re.compile("selected"))
    # And where the page stands by itself.
    page.goto(copied.replace("/plugin/web-analytics-coverage", ""))
    expect(page.locator("td.selected")).to_have_count(2)


def test_the_focus_is_never_lost(log_in, airflow):
    airflow.unpause("web_analytics_backfill")
    frame = open_from_navigation(log_in("anna"))
    cell(frame, 1, "stats", gap_days()[0]).click()
    frame.locator("#conf-summary").press("Enter")
    frame.locator("#rebuild").press("Space")
    expect(frame.locator("#rebuild")).to_be_focused()
    expect(frame.locator("#rebuild")).to_be_checked()
    expect(frame.locator("#conf")).to_have_attribute("open", "")
    frame.locator("#dry-run").press("Enter")
    expect(frame.locator(".started li").first).to_contain_text("success", timeout=RUN_MILLISECONDS)
    expect(frame.locator("#dry-run")).to_be_focused()
    expect(frame.locator("#conf")).to_have_attribute("open", "")
    # What is read anew in the background takes no focus from the map.
    chosen = cell(frame, 1, "stats", gap_days()[1])
    chosen.focus()
    frame.locator("#refresh").evaluate("(button) => button.click()")
    expect(frame.locator("body")).not_to_have_class(re.compile("loading"))
    expect(cell(frame, 1, "stats", gap_days()[1])).to_be_focused()


@pytest.mark.parametrize("width", [1280, 768, 320])
def test_a_selection_is_made_and_read_with_the_keyboard(log_in, airflow, width):
    page = log_in("anna", viewport={"width": width, "height": 700})
    page.goto(f"{airflow.base}{PATH}?team_ids=1,4&sort=id")
    day = gap_days()[0]
    start = cell(page, 1, "stats", day)
    start.focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(f'th[data-day="{day}"]')).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("td.selected")).to_have_count(4)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator('th[data-team="1"]')).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator('th[data-team="4"]')).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#details h2")).to_have_text("Team 4")
    page.keyboard.press("Escape")
    expect(page.locator("td.selected")).to_have_count(0)

    start.focus()
    page.keyboard.press("Enter")
    expect(page.locator("table.numbers")).to_be_in_viewport()
    expect(start).to_be_in_viewport()
    page.locator("#dry-run").focus()
    page.keyboard.press("Escape")
    expect(page.locator("td.selected")).to_have_count(0)
    expect(start).to_be_focused()
    if width < 980:
        page.keyboard.press("Enter")
        page.locator("#close-details").press("Enter")
        expect(start).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_rows_stay_under_the_pointer(log_in, airflow):
    """The order of the teams changes while somebody points at one: what the server would sort anew stays."""
    page = log_in("anna")
    page.goto(f"{airflow.base}{PATH}?days=7&team_ids=1,3,4")
    cell(page, 1, "stats", gap_days()[0]).hover()
    teams = page.locator("th.team-id")
    before = teams.all_inner_texts()
    conf = {
        "date_start": str(gap_days()[0]),
        "date_end": str(gap_days()[0] + timedelta(days=1)),
        "team_ids": [1],
        "rebuild": True,
    }
    with page.expect_response(
        lambda answer: "/coverage/data" in answer.url and "rows=" in answer.url, timeout=RUN_MILLISECONDS
    ) as read:
        assert airflow.run("web_analytics_backfill", conf) == "success"
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(read.value.url).query)["rows"] == [",".join(before)]
    assert teams.all_inner_texts() == before


def test_a_team_is_found_by_its_name(log_in, airflow):
    airflow.call("PUT", "/web-analytics/teams/3", body={"name": "Acme <b>GmbH</b>"})
    page = log_in("vera")
    frame = open_from_navigation(page)
    frame.get_by_label("Teams", exact=True).fill("acme")
    frame.get_by_label("Teams", exact=True).press("Enter")
    team = frame.locator("th.team-id")
    expect(team).to_have_count(1)
    expect(team).to_have_attribute("title", "team 3 (Acme <b>GmbH</b>)")
    expect(team.locator(".team-name")).to_have_text("Acme <b>GmbH</b>")
    page.wait_for_url(re.compile("team_name=acme"))
    cell(frame, 3, "stats", gap_days()[0]).click()
    expect(frame.locator("#details h2")).to_have_text("Team 3, Acme <b>GmbH</b>")
    page.reload()
    expect(frame.get_by_label("Teams", exact=True)).to_have_value("acme")
    expect(team).to_have_count(1)
    frame.get_by_label("Teams", exact=True).fill("nobody")
    frame.get_by_label("Teams", exact=True).press("Enter")
    expect(frame.locator("#verdict")).to_have_text("No team has a name with “nobody” in it.")
    airflow.call("PUT", "/web-analytics/teams/3", body={"name": ""})


def test_what_is_shown_is_narrowed_sorted_and_saved(log_in, airflow):
    page = log_in("vera")
    frame = open_from_navigation(page)
    frame.get_by_label("Sort").select_option("id")
    expect(frame.locator("th.team-id")).to_have_text(["1", "3", "4", str(LONG_ID)])
    expect(frame.locator("#trend svg")).to_be_visible()
    expect(frame.locator("#trend")).to_contain_text(re.compile("of the teams shown"))
    with page.expect_download() as download:
        frame.get_by_role("button", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "team_id,date,web_pre_aggregated_stats,web_pre_aggregated_bounces"
    assert f"1,{gap_days()[0]},complete,complete" in lines
    frame.get_by_label("only gaps").check()
    expect(frame.locator("th.team-id", has_text=re.compile(f"^{LONG_ID}$"))).to_have_count(0)
    page.wait_for_url(re.compile("only_gaps=true"))
    frame.get_by_role("tab", name="Runs and decisions").click()
    expect(frame.locator("#run-summary")).to_be_visible()
    expect(frame.locator("table.heat")).to_be_hidden()
    page.reload()
    expect(frame.locator("#run-summary")).to_be_visible()
