// The newest runs, from Airflow, with what each decided, from ClickHouse.

import { airflowLink, count, duration, element, get, moment, ofRegion, own, plural, post, replace, runPath, taskPath } from "./page.js";
import { isCancelled, isRefused, whyFailed } from "./status.js";

const NEWEST_RUNS = 100;
const SHOWN_AT_FIRST = 15;
const BACKFILL = ofRegion("web_analytics_backfill");
const TEAM_BACKFILL = ofRegion("web_analytics_team_backfill");
const BACKFILLS = [BACKFILL, TEAM_BACKFILL];
const VALIDATE = ofRegion("web_analytics_validate");
const DAG_IDS = [...BACKFILLS, VALIDATE, ofRegion("web_analytics_cleanup")];

let showsAll = false;

// onFailed(run): of the newest runs one that failed last, since when none of its DAG has succeeded; null without one.
export async function showRuns(onShowDates, onFailed) {
  const [runs, decisions] = await Promise.allSettled([
    post("/api/v2/dags/~/dagRuns/list", JSON.stringify({ dag_ids: DAG_IDS, order_by: "-run_after", page_limit: NEWEST_RUNS })),
    get(own("/decisions")),
  ]);
  const decided = new Map();
  if (decisions.status === "fulfilled") {
    for (const decision of decisions.value.decisions) {
      const key = `${decision.dag_id} ${decision.run_id}`;
      if (!decided.has(key)) {
        decided.set(key, decision);
      }
    }
  }
  if (runs.status === "rejected") {
    replace("run-summary", `The runs cannot be read: ${runs.reason.message}`);
    replace("run-list");
    return;
  }
  const list = runs.value.dag_runs;
  const problem = decisions.status === "rejected" ? ` The decisions cannot be read: ${decisions.reason.message}` : "";
  replace("run-summary", summary(list) + problem);
  draw(list, decided, onShowDates);
  onFailed(list.find((run) => run.state === "failed" && !isCancelled(run) && isNewestOfItsKind(run, list)) ?? null);
}

function isNewestOfItsKind(run, list) {
  return list.find((each) => each.dag_id === run.dag_id && ["success", "failed"].includes(each.state)) === run;
}

function draw(list, decided, onShowDates) {
  if (!list.length) {
    replace("run-list");
    return;
  }
  const shown = showsAll ? list : list.slice(0, SHOWN_AT_FIRST);
  const longest = Math.max(1, ...shown.map((run) => run.duration ?? 0));
  const table = element(
    "table",
    { class: "list" },
    element("thead", {}, element("tr", {}, ["Started", "Run of", "How", "State", "Duration", "Decision and reason", "Dates"].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, shown.map((run) => line(run, decided.get(`${run.dag_id} ${run.dag_run_id}`), longest, onShowDates))),
  );
  const more =
    list.length > shown.length
      ? element("button", { type: "button", class: "quiet", onclick: () => ((showsAll = true), draw(list, decided, onShowDates)) }, `Show all ${list.length}`)
      : null;
  replace("run-list", table, more);
}

function line(run, decision, longest, onShowDates) {
  const how = run.run_type === "manual" ? `by ${run.triggering_user_name ?? "hand"}` : run.run_type.replace("_", " ");
  const took = element("td", { class: "took" });
  if (run.duration !== null) {
    const bar = element("span", { class: "bar" });
    bar.style.width = `${Math.max(2, (run.duration / longest) * 60)}px`;
    took.append(bar, duration(run.duration));
  }
  return element(
    "tr",
    {},
    element("td", {}, run.start_date ? moment(run.start_date) : "not yet"),
    element("td", {}, airflowLink(runPath(run.dag_id, run.dag_run_id), run.dag_id.replace("web_analytics_", ""))),
    element("td", {}, how),
    element("td", {}, element("span", { class: `run-state run-${run.state}` }, run.state)),
    took,
    element("td", { class: "reason" }, ...reasonOf(run, decision)),
    element(
      "td",
      {},
      decision?.dates.length || run.dag_id === VALIDATE
        ? element("button", { type: "button", class: "link", onclick: () => onShowDates(run.dag_id, run.dag_run_id) }, decision?.dates.length ? plural(decision.dates.length, "date") : "show")
        : "–",
    ),
  );
}

function reasonOf(run, decision) {
  // Airflow calls a cancelled run a success where a step had still to tidy up.
  if (isCancelled(run)) {
    return [element("strong", {}, "cancelled"), `${whyFailed(run).replace(/^Cancelled/, "")}`];
  }
  if (run.state === "failed") {
    return [element("strong", { class: "bad" }, isRefused(run) ? "refused" : "failed"), `: ${whyFailed(run)}`];
  }
  if (!decision) {
    if (run.conf?.dry_run && BACKFILLS.includes(run.dag_id)) {
      return ["dry run, nothing was changed: ", airflowLink(taskPath(run.dag_id, run.dag_run_id, run.dag_id === BACKFILL ? "decide" : "plan"), "what it would do")];
    }
    return [{ success: "done", running: "at work", queued: "waits for its turn" }[run.state] ?? run.state];
  }
  // What a budget leaves is in the reason already.
  const left = decision.dates_left && !decision.reason.includes("to the next run") ? `; ${plural(decision.dates_left, "date")} left to the next run` : "";
  return [element("strong", {}, decision.status), `: ${decision.reason}${left}`, ...costOf(decision)];
}

// What the dates were estimated to cost beside what they did; seconds are those of all steps added up.
function costOf(decision) {
  if (!decision.estimated_rows && !decision.rows_read) {
    return [];
  }
  const said = (rows, seconds) => `${count(rows)} rows${seconds ? `, ${duration(Math.ceil(seconds))} of work` : ""}`;
  const estimated = decision.estimated_rows ? `estimated ${said(decision.estimated_rows, decision.estimated_seconds)}` : "not estimated";
  return [element("div", { class: "cost" }, `Cost: ${estimated}; ${decision.rows_read ? `read ${said(decision.rows_read, decision.seconds)}` : "nothing read yet"}.`)];
}

// Of backfills that were to build something: a dry run, a conf that was refused and a run that a person ended say nothing
// of how well they go.
function summary(list) {
  const ended = list.filter((run) => BACKFILLS.includes(run.dag_id) && ["success", "failed"].includes(run.state));
  const counted = ended.filter((run) => !run.conf?.dry_run && !isRefused(run) && !isCancelled(run));
  const left = ended.length - counted.length;
  const others = left ? ` Not counted: ${plural(left, "dry run, refused or cancelled run", "dry runs, refused and cancelled runs")}.` : "";
  if (!counted.length) {
    return `No backfill has ended yet.${others}`;
  }
  const succeeded = counted.filter((run) => run.state === "success").length;
  const times = counted.map((run) => run.duration ?? 0).sort((a, b) => a - b);
  const median = times[Math.floor((times.length - 1) / 2)];
  const rate = Math.floor((succeeded / counted.length) * 100);
  return (
    `Of the last ${plural(counted.length, "backfill run")}, ${count(succeeded)} succeeded (${rate} %). ` +
    `A run took ${duration(median)} (median), the longest ${duration(times[times.length - 1])}.${others}`
  );
}
