// The numbers of one team's day.

import { fewPageviews } from "./heatmap.js";
import { TABLES, ago, airflowLink, count, element, get, moment, own, replace, runLink, taskPath, weekday } from "./page.js";

let shown = 0;
// The cell whose numbers are shown: read anew, they stay until the new ones are there.
let shownCell = "";

export function describeNothing() {
  shown += 1;
  shownCell = "";
  replace(
    "details",
    element("h2", {}, "Selection"),
    element("p", { class: "hint" }, "Select a cell to see what the raw events and both tables hold of that team and day."),
  );
}

export function describeMany(selection) {
  shown += 1;
  shownCell = "";
  const teams = selection.teams.length;
  replace(
    "details",
    element("h2", {}, teams === 1 ? titleOf(selection.teams[0]) : `${count(teams)} teams`),
    element("p", {}, selection.days === 1 ? dayName(selection.first) : `${selection.first} to ${selection.last}, ${selection.days} days`),
    element("p", { class: "hint" }, "Select a single cell for its numbers."),
  );
}

// team: as the page lists it.
export async function describeCell(team, day) {
  const request = (shown += 1);
  const teamId = team.team_id;
  const title = [element("h2", {}, titleOf(team)), element("p", { class: "day-name" }, dayName(day))];
  if (shownCell !== `${teamId} ${day}`) {
    shownCell = `${teamId} ${day}`;
    replace("details", ...title, element("p", { class: "hint" }, "Reading…"));
  }
  let cell;
  try {
    cell = await get(own(`/cells/${encodeURIComponent(teamId)}/${encodeURIComponent(day)}`));
  } catch (error) {
    if (request === shown) {
      replace("details", ...title, element("p", { class: "error" }, error.message));
    }
    return;
  }
  if (request === shown) {
    const few = fewPageviews(team, day).replace("; s", "S");
    replace("details", ...title, ...(few ? [element("p", { class: "low-note" }, `${few}.`)] : []), ...numbersOf(cell));
  }
}

function numbersOf(cell) {
  const line = (name, value) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...cell.tables.map((table) => element("td", {}, value(table))));
  const raw = element(
    "p",
    { class: "raw" },
    element("strong", { id: "raw-pageviews" }, count(cell.source_pageviews)),
    cell.source_pageviews === 1 ? " raw pageview" : " raw pageviews",
    cell.source_newest_ingested_at ? [", the newest arrived ", moment(cell.source_newest_ingested_at)] : "",
  );
  raw.normalize();
  const table = element(
    "table",
    { class: "numbers" },
    element(
      "thead",
      {},
      element("tr", {}, element("td"), ...TABLES.map((each) => element("th", { scope: "col", title: each.name }, each.short))),
    ),
    element(
      "tbody",
      {},
      line("state", (each) => element("span", { class: `state state-${each.state.replace(" ", "-")}` }, each.state)),
      line("stored pageviews", (each) => count(each.pageviews)),
      line("sessions", (each) => count(each.sessions)),
      line("rows", (each) => count(each.rows)),
      line("built", (each) => (each.built_at ? [moment(each.built_at), whyNotHere(each)] : "never")),
      line("by run", (each) => (each.run_id ? runLink(each.dag_id, each.run_id) : "–")),
    ),
  );
  const parts = [raw, table];
  const fewest = Math.min(...cell.tables.map((each) => each.pageviews));
  if (fewest < cell.source_pageviews && cell.tables.every((each) => each.state === "complete")) {
    parts.push(element("p", { class: "hint" }, "Stored are fewer: too few events have come since to make the day stale."));
  }
  if (cell.failures.length) {
    parts.push(
      element("h3", {}, "Failed on this date since it was last published"),
      element("ul", { class: "failures" }, cell.failures.map(failure)),
    );
  }
  return parts;
}

// Built, and yet the table has no row of it.
function whyNotHere(table) {
  if (table.rows_are_gone) {
    return "; its rows are gone since";
  }
  return table.state === "missing" && !table.rows ? "; there was no pageview then" : "";
}

function failure(row) {
  const where = row.dag_id.startsWith("web_analytics_")
    ? airflowLink(taskPath(row.dag_id, row.run_id, row.task_id), row.task_id)
    : row.task_id;
  return element("li", {}, where, `, ${ago(row.logged_at)}`, row.error_code ? `, code ${row.error_code}` : "", ": ", row.reason);
}

function titleOf(team) {
  return `Team ${team.team_id}${team.name ? `, ${team.name}` : ""}`;
}

function dayName(day) {
  return `${weekday(day)} ${day}`;
}
