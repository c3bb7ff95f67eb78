// Starts the page: reads the filters from its address, asks for one page of teams, and passes selections on.

import { Actions } from "./actions.js";
import { saveCsv } from "./csv.js";
import { describeCell, describeMany, describeNothing } from "./details.js";
import { HeatMap, gapRanges } from "./heatmap.js";
import { REGION, STATES, addDays, addressOf, ago, airflowLink, copy, count, element, followInAirflow, get, moment, ofRegion, own, plural, replace, runPath, writeAddress } from "./page.js";
import { showRuns } from "./runs.js";
import { Status } from "./status.js";
import { drawTrend } from "./trend.js";

const PAGE_SIZE = 25;
// After so long without an answer the reader is told; in the background the old verdict stays as long.
const PATIENCE_SECONDS = 5;
const LONGEST_RANGE = 366;
// web_analytics_backfill looks every 6 hours.
const DETECTION_HOURS = 8;
/** @type {HTMLFormElement & Record<string, any>} its fields by their names */
const form = document.forms.namedItem("filters");
// What the page shows is in its address: filters, the selection, the tab.
let query = new URLSearchParams(location.search);
let data = null;
let actions = null;
let latest = 0;

const map = new HeatMap(document.getElementById("map"), document.getElementById("tip"), selected);

function selected(selection, cell, isExtended) {
  writeSelection(selection, isExtended);
  document.body.classList.toggle("has-selection", Boolean(selection));
  if (cell) {
    describeCell(cell.team, cell.day);
  } else if (selection) {
    describeMany(selection);
  } else {
    describeNothing();
  }
  aim(selection);
}

// The names of the selection in the address.
const SELECTED = ["selected_days", "selected_teams"];

function writeSelection(selection, isExtended) {
  const before = SELECTED.map((name) => query.get(name) ?? "").join(" ");
  SELECTED.forEach((name) => query.delete(name));
  if (selection) {
    query.set("selected_days", selection.days === 1 ? selection.first : `${selection.first}..${selection.last}`);
    if (!selection.isWholePage) {
      query.set("selected_teams", selection.teams.map((team) => team.team_id).join(","));
    }
  }
  if (SELECTED.map((name) => query.get(name) ?? "").join(" ") !== before) {
    // Back leads to the cell before, but not through every step of a selection that grows.
    writeAddress(query, Boolean(selection) && !isExtended);
  }
}

function chosen() {
  const days = query.get("selected_days");
  if (!days) {
    return null;
  }
  const [first, last = first] = days.split("..");
  return { first, last, teams: query.get("selected_teams")?.split(",") ?? null };
}

// Names its days and teams, since tomorrow the last 30 days are others and other teams the worst.
function lastingAddress() {
  const lasting = new URLSearchParams(query);
  if (data) {
    ["days", "page"].forEach((name) => lasting.delete(name));
    lasting.set("date_start", data.date_start);
    lasting.set("date_end", data.date_end);
    const teams = chosen()?.teams;
    if (teams) {
      lasting.delete("team_name");
      lasting.set("team_ids", teams.join(","));
    }
  }
  return addressOf(lasting);
}

// What the buttons would act on: the selection, or everything that the filter shows.
function aim(selection) {
  if (!actions || !data) {
    return;
  }
  const everyone = data.totals.teams <= data.teams.length;
  const first = selection ? selection.first : data.date_start;
  let end = selection ? selection.end : data.date_end;
  end = end < data.closed_until ? end : data.closed_until;
  const enabled = (selection ? selection.teams : data.teams).filter((team) => team.enabled).map((team) => team.team_id);
  let teams = enabled;
  if (!data.filtered && (selection ? everyone && selection.isWholePage : true)) {
    teams = null;
  } else if (!selection && !everyone) {
    teams = data.filtered;
  }
  if (first >= end) {
    actions.aimAt({ problem: "These days are still open: they are built once they have ended and settled." });
  } else if (teams !== null && !teams.length) {
    actions.aimAt({ problem: "None of these teams is enabled; only enabled teams are built." });
  } else {
    const counts = selection?.counts ?? Object.fromEntries(STATES.map((state) => [state.code, data.totals[state.name]]));
    actions.aimAt({ teams, first, end, last: addDays(end, -1), counts });
  }
}

// ---- reading

// quietly: what is shown is most likely still right, as after a poll; it stays for a moment.
async function load(quietly = false) {
  const request = (latest += 1);
  document.body.classList.add("loading");
  const isShown = Boolean(data);
  const since = new Date();
  const timers = [
    setTimeout(() => tellWaiting("Reading the state of the tables…"), quietly ? 1000 : 0),
    setTimeout(() => tellWaiting(`ClickHouse has not answered for ${PATIENCE_SECONDS} seconds. ${isShown ? `What the map shows was read before ${since.toISOString().slice(11, 16)} UTC and may be out of date.` : "Nothing can be shown until it does."}`), 1000 * PATIENCE_SECONDS),
  ];
  try {
    /** @type {Record<string, any>} */
    const asked = { page_size: PAGE_SIZE, ...Object.fromEntries(query) };
    [...SELECTED, "view"].forEach((name) => delete asked[name]);
    if (quietly && data && map.isInUse()) {
      // Under a pointer, and around what has the focus, no row moves.
      asked.rows = data.teams.map((team) => team.team_id).join(",");
    }
    const answer = await get(own("/data", asked));
    if (request !== latest) {
      return;
    }
    if (!answer.teams.length && answer.totals.teams && query.has("page")) {
      // Beyond the last page, for example since a filter leaves fewer teams.
      navigate({ page: pagesOf(answer) });
      return;
    }
    data = answer;
    replace("error");
    fillForm();
    drawLegend(data.teams);
    drawAsOf();
    drawBanner();
    map.show(data, data.run?.dates ?? [], chosen());
    drawTrend(data);
    performance.mark("coverage-drawn");
    drawPager();
    drawGaps();
    timers.forEach(clearTimeout);
    drawVerdict();
    if (!map.selected) {
      selected(null, null);
    }
  } catch (error) {
    if (request === latest) {
      timers.forEach(clearTimeout);
      replace("error", error.message);
      tellWaiting(`The state of the tables could not be read${data ? "; what is shown was read before" : ""}.`);
      if (!data) {
        form.teams.value = query.get("team_name") ?? query.get("team_ids") ?? "";
      }
    }
  } finally {
    timers.forEach(clearTimeout);
    if (request === latest) {
      document.body.classList.remove("loading");
    }
  }
}

// Instead of a verdict that may not hold any more.
function tellWaiting(sentence) {
  const place = replace("verdict", sentence);
  place.classList.remove("bad");
  replace("as-of");
}

function navigate(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") {
      query.delete(name);
    } else {
      query.set(name, value);
    }
  }
  writeAddress(query, false);
  return load();
}

// Back and forward, through selections.
addEventListener("popstate", () => {
  const before = query;
  query = new URLSearchParams(location.search);
  followInAirflow(query);
  showView();
  const filters = (address) => JSON.stringify([...address].filter(([name]) => ![...SELECTED, "view"].includes(name)).sort());
  if (filters(before) !== filters(query)) {
    load();
  } else if (data && !chosen()) {
    map.clear();
  } else if (data) {
    map.choose(chosen());
  }
});

// ---- the tabs

const TABS = ["map", "runs"].map((view) => document.getElementById(`tab-${view}`));

function showView() {
  const view = query.get("view") === "runs" ? "runs" : "map";
  for (const tab of TABS) {
    const isShown = tab.id === `tab-${view}`;
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isShown;
  }
  map.resize();
}

function turnTo(view) {
  query.delete("view");
  if (view !== "map") {
    query.set("view", view);
  }
  writeAddress(query, true);
  showView();
}

for (const tab of TABS) {
  tab.addEventListener("click", () => turnTo(tab.id.slice("tab-".length)));
  tab.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const other = TABS.find((each) => each !== tab);
      other.click();
      other.focus();
    }
  });
}

// ---- drawing

function fillForm() {
  form.region.replaceChildren(
    ...["", ...data.regions].map((name) => element("option", { value: name, selected: name === REGION }, name || "default")),
  );
  document.getElementById("regions").hidden = !data.regions.length;
  const today = addDays(data.date_end, -1);
  form.date_start.value = data.date_start;
  form.date_last.value = today;
  form.date_start.max = form.date_last.max = data.today;
  form.teams.value = data.team_name || (data.filtered ?? []).join(", ");
  form.all_teams.checked = data.all_teams;
  form.only_gaps.checked = data.only_gaps;
  form.sort.value = data.sort;
  const days = data.date_end > data.today ? String((Date.parse(data.today) - Date.parse(data.date_start)) / 86400000) : "";
  for (const radio of form.days) {
    radio.checked = radio.value === days;
  }
}

function drawVerdict() {
  const { totals } = data;
  const kinds = STATES.filter((state) => state.gap && totals[state.name]);
  const place = document.getElementById("verdict");
  place.classList.toggle("bad", kinds.length > 0);
  if (!totals.enabled_teams) {
    place.textContent = "No team is enabled yet, so nothing is pre-aggregated (README, “Put it into your Airflow”).";
  } else if (data.team_name && !data.filtered.length) {
    place.textContent = `No team has a name with “${data.team_name}” in it.`;
  } else if (!totals.looked_at) {
    place.textContent = "None of these teams is enabled, so nothing of them is pre-aggregated.";
  } else if (data.closed_from >= data.closed_until) {
    place.textContent = `None of these days is looked at: they are still open, or before ${data.known_from ? `${data.known_from}, where the looking back of runs ends` : "the first date that is built"}.`;
  } else if (!kinds.length) {
    place.replaceChildren(
      element("strong", {}, "No gaps"),
      `: both tables have every closed day of ${plural(totals.looked_at, "team")} from ${data.closed_from} to ${addDays(data.closed_until, -1)}.`,
    );
  } else {
    const age = Math.round((Date.parse(data.today) - Date.parse(totals.oldest_gap)) / 86400000);
    place.replaceChildren(
      element("strong", {}, `${plural(totals.teams_with_gaps, "team")} of ${count(totals.looked_at)} ${totals.teams_with_gaps === 1 ? "has" : "have"} gaps`),
      `: ${kinds.map((state) => `${count(totals[state.name])} ${state.name}`).join(", ")} (team, day, table); the oldest is of ${totals.oldest_gap}, ${plural(age, "day")} ago.`,
    );
  }
}

// teams: the shown ones; rare states are explained where one of them has such a day.
function drawLegend(teams) {
  const codes = new Set(teams.flatMap((team) => [...team.states.stats, ...team.states.bounces]));
  const shown = STATES.filter((state) => !state.rare || codes.has(state.code));
  const swatch = (state) => element("span", { class: `swatch s-${state.code === "-" ? "idle" : state.code}` });
  /** @type {{ name: string, hint: string, mark: (state: any) => any }[]} */
  const marks = shown.map((state) => ({ mark: swatch, ...state }));
  if (teams.some((team) => team.low_days.length)) {
    marks.push({ name: "low", hint: "suspiciously few pageviews for the weekday; no gap: look upstream", mark: () => element("span", { class: "swatch s-c low" }) });
  }
  replace("legend", marks.map((each) => element("li", { title: each.hint }, each.mark(each), each.name)));
  replace("meanings", marks.flatMap((each) => [element("dt", {}, each.mark(each), each.name), element("dd", {}, each.hint)]));
}

function drawAsOf() {
  const unknown = data.date_start < data.known_from ? element("strong", {}, ` No run has looked at the days before ${data.known_from}.`) : null;
  if (!data.as_of) {
    replace("as-of", "Events and tables as they are now.", unknown);
    return;
  }
  const isOld = Date.now() - Date.parse(data.as_of) > DETECTION_HOURS * 3_600_000;
  replace(
    "as-of",
    "Tables as they are now; events as of ",
    moment(data.as_of),
    ` (${ago(data.as_of)}), when a run last looked for new ones.`,
    isOld ? [element("strong", {}, " No run has looked since: is "), airflowLink(`/dags/${ofRegion("web_analytics_backfill")}`, ofRegion("web_analytics_backfill")), " paused?"] : null,
    unknown,
  );
}

function drawBanner() {
  if (!data.run) {
    replace("run-banner");
    return;
  }
  const { dag_id: dagId, run_id: runId, dates } = data.run;
  replace(
    "run-banner",
    "Dates of the run ",
    airflowLink(runPath(dagId, runId), runId),
    dates.length ? `: ${dates.join(", ")}. They are marked in the map. ` : ": it has worked on no date. ",
    element("button", { type: "button", class: "link", onclick: () => navigate({ dag_id: null, run_id: null }) }, "Show all"),
  );
}

const pagesOf = (answer) => Math.ceil(answer.totals.teams / answer.page_size);

function drawPager() {
  const { page, page_size: size, totals } = data;
  const pages = pagesOf(data);
  if (pages < 2) {
    replace("pager");
    return;
  }
  const first = (page - 1) * size + 1;
  const button = (name, target, isOff) => element("button", { type: "button", disabled: isOff, onclick: () => navigate({ page: target }) }, name);
  replace(
    "pager",
    button("First", 1, page === 1),
    button("Previous", page - 1, page === 1),
    element("span", {}, `teams ${count(first)} to ${count(Math.min(first + size - 1, totals.teams))} of ${count(totals.teams)}`),
    button("Next", page + 1, page >= pages),
    button("Last", pages, page >= pages),
  );
}

function drawGaps() {
  const ranges = gapRanges(data);
  document.getElementById("gaps").hidden = !ranges.length;
  replace(
    "gap-list",
    element(
      "table",
      { class: "list" },
      element("thead", {}, element("tr", {}, ["Team", "Tables", "State", "From", "To", "Days"].map((name) => element("th", { scope: "col" }, name)))),
      element(
        "tbody",
        {},
        ranges.map((each) =>
          element("tr", {}, ...[each.team, each.tables.join(", "), each.state, each.first, each.last, each.days].map((value) => element("td", {}, String(value)))),
        ),
      ),
    ),
  );
}

// ---- filters

form.addEventListener("change", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  if (field.name === "days") {
    navigate({ days: field.value, date_start: null, date_end: null, dag_id: null, run_id: null, page: null });
  } else if (field.name === "region") {
    // Ids of teams and runs are the region's own.
    for (const name of ["team_ids", "team_name", "dag_id", "run_id", "page", ...SELECTED]) {
      query.delete(name);
    }
    query.set("region", field.value);
    location.search = String(query);
  } else if (field.name === "all_teams") {
    navigate({ all_teams: field.checked ? "true" : null, page: null });
  } else if (field.name === "only_gaps") {
    navigate({ only_gaps: field.checked ? "true" : null, page: null });
  } else if (field.name === "sort") {
    navigate({ sort: field.value === "worst" ? null : field.value, page: null });
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const [first, last] = [form.date_start.value, form.date_last.value];
  const isShown = data && first === data.date_start && last === addDays(data.date_end, -1);
  const problem = isShown ? "" : problemOf(first, last);
  if (problem) {
    replace("error", problem);
    return;
  }
  const range = isShown ? {} : { days: null, date_start: first, date_end: last && addDays(last, 1), dag_id: null, run_id: null };
  const teams = form.teams.value.trim();
  const areIds = /^[\d\s,]*$/.test(teams);
  navigate({ ...range, team_ids: areIds ? teams : null, team_name: areIds ? null : teams, page: null });
});

// In the words that were typed: the page's address has the day after the last one.
function problemOf(first, last) {
  if (!first || !last) {
    return "Give both days, the first and the last one.";
  }
  if (last < first) {
    return `The last day, ${last}, is before the first one, ${first}.`;
  }
  const days = (Date.parse(last) - Date.parse(first)) / 86400000 + 1;
  return days > LONGEST_RANGE ? `${first} to ${last} are ${count(days)} days; at most ${LONGEST_RANGE} are shown at a time.` : "";
}

document.getElementById("refresh").addEventListener("click", () => {
  load();
  runsAgain();
  status.look();
});

document.getElementById("copy-link").addEventListener("click", async (event) => {
  const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
  const isCopied = await copy(lastingAddress());
  button.textContent = isCopied ? "Copied" : "Not copied: take it from the address bar";
  setTimeout(() => (button.textContent = "Copy link"), 2000);
});

document.getElementById("save-csv").addEventListener("click", () => data && saveCsv(data));

// The selection's details, which a narrow window shows in a sheet at its bottom.
function closeDetails() {
  map.clear();
  map.focusCursor();
}

document.getElementById("close-details").addEventListener("click", closeDetails);
/** @type {HTMLElement} */ (document.querySelector(".side")).addEventListener("keydown", (event) => {
  if (event.key === "Escape" && map.selected) {
    closeDetails();
  }
});

function runsAgain() {
  return showRuns((dagId, runId) => {
    turnTo("map");
    navigate({ days: null, date_start: null, date_end: null, page: null, dag_id: dagId, run_id: runId });
    TABS[0].focus();
    document.querySelector("h1").scrollIntoView();
  }, (run) => status.failed(run));
}

// ---- what goes on

const status = new Status(
  () => {
    load(true);
    runsAgain();
  },
  (dates) => map.showBuilding(dates),
);

// ---- start

followInAirflow(query);
showView();
drawLegend([]);
load();
runsAgain();
status.look();
get(own("/actions")).then(
  (answer) => {
    status.cancellable = answer.cancellable;
    actions = new Actions(answer.startable, () => status.look(), () => {
      load(true);
      runsAgain();
      status.look();
    });
    aim(map.selected ? map.describe() : null);
  },
  (error) => replace("error", error.message),
);
