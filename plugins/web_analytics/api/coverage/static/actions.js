// The buttons: each starts a DAG run through Airflow's public API, as the person who is logged in.

import { STATES, Refused, addDays, airflowLink, count, daysOf, duration, element, get, ofRegion, own, plural, post, replace, runPath, secondAgo, taskPath } from "./page.js";
import { isCancelled, whyFailed } from "./status.js";

const BACKFILL = ofRegion("web_analytics_backfill");
const VALIDATE = ofRegion("web_analytics_validate");
// What the DAGs accept (settings.py).
const MOST_PARTITIONS = 100;
const DAYS_WITHOUT_CONSENT = 30;
const LONGEST_RANGE = 365;
const POLL_MILLISECONDS = 1000;
const ENDED = ["success", "failed"];
const IN_HAND = ["being started", "queued", "running"];
// A run of the schedule builds so many dates; from there on a person is asked.
const DATES_WITHOUT_QUESTION = 7;

export class Actions {
  // startable: ids of the DAGs that the reader may start; onStarted, onEnded: called when a run was started and has ended.
  constructor(startable, onStarted, onEnded) {
    this.startable = startable;
    this.onStarted = onStarted;
    this.onEnded = onEnded;
    this.started = [];
    this.target = null;
    this.rebuild = false;
    this.doubt = null;
  }

  // target: {teams: ids or null for all, first, last, end, counts: cells by state}, or why nothing can be built.
  aimAt(target) {
    if (JSON.stringify(target) !== JSON.stringify(this.target)) {
      this.doubt = null;
    }
    this.target = target;
    this.draw();
  }

  draw() {
    if (!this.startable.length) {
      return;
    }
    const may = (dagId) => this.startable.includes(dagId);
    const { target } = this;
    const parts = [element("h2", {}, "Fill and check")];
    if (target?.problem) {
      parts.push(element("p", { class: "hint" }, target.problem));
    } else if (target) {
      parts.push(element("p", { id: "target" }, describeTarget(target)));
      parts.push(...(this.doubt ? this.confirmation() : [this.buttons(may)]));
      if (may(BACKFILL)) {
        parts.push(
          element(
            "label",
            { class: "check" },
            element("input", { type: "checkbox", id: "rebuild", checked: this.rebuild, onchange: (event) => this.setRebuild(event.target.checked) }),
            " also rebuild complete days",
          ),
        );
        const dates = daysOf(target.first, target.end).length;
        if (dates > MOST_PARTITIONS) {
          parts.push(element("p", { class: "hint" }, `One run builds at most the ${MOST_PARTITIONS} newest of these dates.`));
        }
        parts.push(
          element("details", { class: "conf", id: "conf" }, element("summary", { id: "conf-summary" }, "The run's conf"), element("pre", {}, asJson(this.backfillConf(false)))),
        );
      }
    }
    if (this.started.length) {
      parts.push(element("h3", {}, "Started here"), element("ul", { class: "started", "aria-live": "polite" }, this.started.map(startedRun)));
    }
    replace("actions", ...parts);
  }

  buttons(may) {
    const { target } = this;
    const made = element("div", { class: "buttons" });
    // A button that is off can still have the focus, which would be lost otherwise.
    const button = (id, name, isOff, isPrimary, onclick) =>
      element("button", { type: "button", id, class: isPrimary && !isOff ? "primary" : null, "aria-disabled": isOff ? "true" : null, onclick: () => isOff || onclick() }, name);
    if (may(BACKFILL)) {
      const isIdle = !this.rebuild && !leftToFill(target).length;
      const isBusy = this.isBusy(BACKFILL, this.backfillConf(false));
      const name = isIdle ? "Nothing to backfill here" : isBusy ? "Backfill is on its way" : this.rebuild ? "Rebuild these dates" : "Backfill these dates";
      made.append(
        button("dry-run", "Dry run", this.isBusy(BACKFILL, this.backfillConf(true)), false, () => this.start(BACKFILL, this.backfillConf(true), "Dry run")),
        button("backfill", name, isIdle || isBusy, true, () => this.backfill()),
      );
    }
    if (may(VALIDATE)) {
      made.append(button("validate", "Validate", this.isBusy(VALIDATE, validateConf(target)), false, () => this.start(VALIDATE, validateConf(target), "Validation")));
    }
    return made;
  }

  // The same is asked for already: a second click starts nothing.
  isBusy(dagId, conf) {
    const text = asJson(conf);
    return this.started.some((run) => run.dagId === dagId && asJson(run.conf) === text && IN_HAND.includes(run.state));
  }

  async backfill() {
    const { target } = this;
    if (daysOf(target.first, target.end).length <= DATES_WITHOUT_QUESTION) {
      await this.start(BACKFILL, this.backfillConf(false), "Backfill");
      return;
    }
    const doubt = { estimate: "Estimating what that takes…" };
    this.doubt = doubt;
    this.draw();
    document.getElementById("confirm")?.focus();
    try {
      const asked = { date_start: target.first, date_end: target.end };
      if (target.teams) {
        asked.team_ids = target.teams.join(",");
      }
      doubt.estimate = describeEstimate(await get(own("/estimate", asked)), this.backfillConf(false).max_partitions);
    } catch (error) {
      doubt.estimate = `What that takes cannot be estimated: ${error.message}`;
    }
    if (this.doubt === doubt) {
      this.draw();
    }
  }

  confirmation() {
    const done = (then) => () => {
      this.doubt = null;
      then();
      this.draw();
      document.getElementById("backfill")?.focus();
    };
    const button = (id, name, then, kind) => element("button", { type: "button", id, class: kind, onclick: done(then) }, name);
    return [
      element(
        "div",
        { class: "confirmation", role: "group", "aria-label": "Confirm the backfill" },
        element("p", { id: "estimate", role: "status" }, this.doubt.estimate),
        element(
          "div",
          { class: "buttons" },
          button("confirm", this.rebuild ? "Rebuild all of it" : "Backfill all of it", () => this.start(BACKFILL, this.backfillConf(false), "Backfill"), "primary"),
          button("decline", "Not now", () => {}, null),
        ),
      ),
    ];
  }

  setRebuild(rebuild) {
    this.rebuild = rebuild;
    this.doubt = null;
    this.draw();
  }

  backfillConf(dryRun) {
    const { target } = this;
    const conf = { date_start: target.first, date_end: target.end, min_missing_partitions: 1 };
    if (target.teams) {
      conf.team_ids = target.teams;
    }
    if (this.rebuild) {
      conf.rebuild = true;
    } else {
      conf.kinds = STATES.filter((state) => state.gap).map((state) => state.name);
      // Only missing days count in the rule: without one, the days are named.
      if (!target.counts.m) {
        conf.rebuild = true;
      }
    }
    conf.max_partitions = Math.min(daysOf(target.first, target.end).length, MOST_PARTITIONS);
    if (dryRun) {
      conf.dry_run = true;
    }
    return conf;
  }

  async start(dagId, conf, title) {
    const run = { dagId, title, conf, state: "being started", note: "", runId: null };
    this.started.unshift(run);
    this.draw();
    try {
      const dag = await get(`/api/v2/dags/${dagId}`);
      // The scheduler of an Airflow on SQLite would let a run of this instant wait for the next second.
      const created = await post(`/api/v2/dags/${dagId}/dagRuns`, asJson({ logical_date: null, run_after: secondAgo(), conf }));
      run.runId = created.dag_run_id;
      run.state = created.state;
      run.isPaused = dag.is_paused;
    } catch (error) {
      run.state = "refused";
      run.note = error.message;
      this.draw();
      return;
    }
    this.draw();
    this.onStarted();
    await this.follow(run);
  }

  async follow(run) {
    const path = `/api/v2/dags/${run.dagId}/dagRuns/${encodeURIComponent(run.runId)}`;
    while (!ENDED.includes(run.state)) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      try {
        const now = await get(path);
        const changed = now.state !== run.state;
        run.state = now.state;
        run.ended = now;
        if (now.state !== "queued") {
          run.isPaused = false;
        }
        if (now.start_date && now.end_date) {
          run.seconds = (Date.parse(now.end_date) - Date.parse(now.start_date)) / 1000;
        }
        if (changed) {
          this.draw();
        }
      } catch (error) {
        if (error instanceof Refused) {
          run.state = "not followed any more";
          run.note = error.message;
          this.draw();
          return;
        }
        // The network was away for a moment: asked again.
      }
    }
    if (run.ended && isCancelled(run.ended)) {
      run.note = whyFailed(run.ended);
    } else if (run.dagId === BACKFILL && run.state === "success") {
      run.note = await outcome(run, path);
    } else if (run.state === "failed") {
      run.note = `Why: ${whyFailed(run.ended)}`;
    }
    this.draw();
    this.onEnded(run);
  }
}

// What the run decided, in a sentence.
async function outcome(run, path) {
  try {
    const decided = (await get(`${path}/taskInstances/decide/xcomEntries/decision`)).value;
    if (!run.conf.dry_run) {
      return `${decided.backfill ? "Built" : "Nothing was built"}: ${decided.reason}.`;
    }
    const dates = decided.dates.length;
    run.hasPlan = dates > 0;
    return dates
      ? `Would build ${plural(dates, "date")}, ${decided.dates[dates - 1]}${dates > 1 ? ` to ${decided.dates[0]}` : ""}: ${decided.reason}. Nothing was changed.`
      : `Would build nothing: ${decided.reason}.`;
  } catch (error) {
    return `Its decision cannot be read: ${error.message}`;
  }
}

// Team ids are text here, since JavaScript's numbers do not hold all of them, and numbers in a run's conf.
function asJson(value) {
  return JSON.stringify(value).replaceAll(/"(\d+)"/g, "$1").replaceAll(",\"", ", \"");
}

function startedRun(run) {
  const state = element("span", { class: `run-state run-${run.state.split(" ")[0]}` }, run.state);
  const took = run.seconds === undefined ? "" : ` in ${duration(run.seconds)}`;
  const line = element("li", {}, run.runId ? airflowLink(runPath(run.dagId, run.runId), run.title) : run.title, " ", state, took);
  if (run.isPaused) {
    line.append(
      element("p", { class: "note" }, `It starts once ${run.dagId} is unpaused: `, airflowLink(`/dags/${run.dagId}`, "open the DAG"), "."),
    );
  }
  if (run.note) {
    line.append(element("p", { class: "note" }, run.note));
  }
  if (run.hasPlan) {
    line.append(element("p", { class: "note" }, airflowLink(taskPath(run.dagId, run.runId, "plan"), "The plan with what it would read")));
  }
  return line;
}

function describeTarget(target) {
  const days = daysOf(target.first, target.end).length;
  const when = days === 1 ? target.first : `${target.first} to ${target.last}, ${days} days`;
  const who = target.teams === null ? "all enabled teams" : target.teams.length === 1 ? `team ${target.teams[0]}` : `${count(target.teams.length)} teams`;
  return `${when}; ${who}; ${leftToFill(target).join(", ") || "no gap"}`;
}

// A run also looks at days that none has looked at.
function leftToFill(target) {
  return STATES.filter((state) => (state.gap || state.name === "unknown") && target.counts[state.code]).map((state) => `${count(target.counts[state.code])} ${state.name}`);
}

function describeEstimate(told, mostDates) {
  const dates = Math.min(told.dates, mostDates);
  const share = told.dates ? dates / told.dates : 0;
  const time = told.seconds === null ? "how long is not known, since no run of the last two days has built a date" : `about ${duration(told.seconds * share)}, going by the newest runs`;
  return `Up to ${plural(dates, "date")} of ${plural(told.teams, "team")}: it reads about ${count(Math.round(told.rows * share))} rows; ${time}.`;
}

function validateConf(target) {
  const days = daysOf(target.first, target.end).length;
  // At most a year: the newest part of the range.
  const first = days > LONGEST_RANGE ? addDays(target.end, -LONGEST_RANGE) : target.first;
  const conf = { date_start: first, date_end: target.end };
  if (target.teams?.length === 1) {
    conf.team_id = target.teams[0];
  }
  if (days > DAYS_WITHOUT_CONSENT) {
    conf.allow_long_range = true;
  }
  return conf;
}
