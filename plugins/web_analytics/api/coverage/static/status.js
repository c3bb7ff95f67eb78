// What goes on: health, the schedule's last decision, what is running and how long still, what failed, what comes next.
// Asked again and again, gently: often while a run is young, seldom while nothing runs, not at all in a hidden tab.

import { addDays, ago, airflowLink, count, duration, element, get, moment, ofRegion, own, patch, plural, post, replace, runLink, runPath } from "./page.js";

const BACKFILL = ofRegion("web_analytics_backfill");
const TEAM_BACKFILL = ofRegion("web_analytics_team_backfill");
const VALIDATE = ofRegion("web_analytics_validate");
const HEALTH = ofRegion("web_analytics_health");
const FOLLOWED = [BACKFILL, TEAM_BACKFILL, VALIDATE];
const WHILE_RUNNING_SECONDS = 4;
// Of a run that has only just begun more often: its first date is built in seconds, and somebody waits for it.
const AT_FIRST_SECONDS = 15;
const PAUSE_AT_FIRST_SECONDS = 0.5;
const OTHERWISE_SECONDS = 30;
// The check runs every hour.
const CHECK_HOURS = 2;
const CANCELLED = "Cancelled on the coverage page. The dates that were built stay; the next run builds the rest.";

export class Status {
  // onChange(status): something has begun, was built or has ended; onBuilding(dates): which dates are being built.
  constructor(onChange, onBuilding) {
    this.onChange = onChange;
    this.onBuilding = onBuilding;
    this.cancellable = [];
    this.told = null;
    this.active = [];
    this.dag = null;
    this.lastFailure = null;
    this.asking = null;
    this.doubt = null;
    this.known = null;
    this.begunAt = -Infinity;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.look());
  }

  // Asks now, unless nobody looks, and again later.
  look() {
    clearTimeout(this.timer);
    if (document.hidden) {
      return;
    }
    this.poll().finally(() => {
      clearTimeout(this.timer);
      if (!document.hidden) {
        this.timer = setTimeout(() => this.look(), 1000 * this.pause());
      }
    });
  }

  pause() {
    if (!this.active.length) {
      return OTHERWISE_SECONDS;
    }
    return performance.now() - this.begunAt < 1000 * AT_FIRST_SECONDS ? PAUSE_AT_FIRST_SECONDS : WHILE_RUNNING_SECONDS;
  }

  async poll() {
    /** @type {PromiseSettledResult<any>[]} */
    const answers = await Promise.allSettled([
      get(own("/status")),
      post("/api/v2/dags/~/dagRuns/list", JSON.stringify({ dag_ids: FOLLOWED, states: ["queued", "running"], order_by: "run_after", page_limit: 10 })),
      get(`/api/v2/dags/${BACKFILL}`),
    ]);
    const [told, runs, dag] = answers.map((each) => (each.status === "fulfilled" ? each.value : null));
    // Without the DAG itself only the switch is unknown.
    this.problem = answers.slice(0, 2).find((each) => each.status === "rejected")?.reason.message ?? null;
    this.told = told;
    const before = this.active.map((run) => run.dag_run_id);
    this.active = runs?.dag_runs ?? [];
    if (this.active.some((run) => !before.includes(run.dag_run_id))) {
      this.begunAt = performance.now();
    }
    this.dag = dag;
    this.draw();
    this.onBuilding(this.building());
    // Also what a run did that began and ended between two looks.
    const now = JSON.stringify([
      this.active.map((run) => run.dag_run_id),
      this.told?.builds.map((build) => [build.run_id, build.published.length, build.failed.length]),
      this.told?.newest?.logged_at,
    ]);
    if (this.known !== null && this.known !== now && !this.problem) {
      this.onChange();
    }
    this.known = this.problem ? this.known : now;
  }

  buildOf(run) {
    return this.told?.builds.find((build) => build.dag_id === run.dag_id && build.run_id === run.dag_run_id);
  }

  // date: {teams: ids of a run that names some or null for all, rebuilds, waits}
  building() {
    const dates = new Map();
    for (const run of this.active) {
      const build = this.buildOf(run);
      const teams = run.conf?.team_ids?.map(String) ?? null;
      for (const lock of this.told?.locks ?? []) {
        if (lock.dag_id === run.dag_id && lock.run_id === run.dag_run_id && !build?.published.includes(lock.date)) {
          dates.set(lock.date, { teams, rebuilds: Boolean(run.conf?.rebuild), waits: false });
        }
      }
      for (const wait of build?.waits ?? []) {
        dates.set(wait.date, { teams, rebuilds: Boolean(run.conf?.rebuild), waits: true });
      }
    }
    return dates;
  }

  // Told by the list of runs, which it is the newest failed one of.
  failed(run) {
    this.lastFailure = run;
    this.draw();
  }

  draw() {
    const line = (id, name, ...said) => [element("dt", {}, name), element("dd", { id: `status-${id}` }, ...said)];
    const parts = [];
    if (this.problem) {
      parts.push(line("problem", "Now", `What goes on cannot be read: ${this.problem}`));
    }
    if (this.active.length) {
      parts.push(line("running", "Running", ...this.active.map((run) => this.runningRun(run))));
    } else if (!this.problem) {
      parts.push(line("running", "Running", "Nothing."));
    }
    if (this.told) {
      parts.push(line("health", "Health", ...healthOf(this.told.health)));
      if (this.told.health?.service_level) {
        parts.push(line("service-level", "On time", ...serviceLevelOf(this.told.health.service_level)));
      }
      parts.push(line("scheduled", "Last scheduled run", ...decisionOf(this.told.scheduled)));
      const { newest, scheduled } = this.told;
      if (newest && newest.run_id !== scheduled?.run_id) {
        parts.push(line("newest", "Last run by hand", ...decisionOf(newest)));
      }
    }
    if (this.lastFailure) {
      const run = this.lastFailure;
      parts.push(
        line("failed", "Last failure", airflowLink(runPath(run.dag_id, run.dag_run_id), run.dag_id.replace("web_analytics_", "")), ", ", moment(run.end_date ?? run.run_after), ` (${ago(run.end_date ?? run.run_after)}): `, element("strong", { class: "bad" }, whyFailed(run))),
      );
    }
    if (this.dag) {
      parts.push(line("next", "Next run", ...nextOf(this.dag)));
    }
    replace("status", ...parts.flat());
  }

  runningRun(run) {
    const build = this.buildOf(run);
    const how = run.run_type === "scheduled" ? "on schedule" : `by ${run.triggering_user_name ?? "hand"}`;
    const name = `${run.dag_id.replace("web_analytics_", "")}${run.conf?.dry_run ? " (dry run)" : ""}`;
    const row = element("div", { class: "running" }, airflowLink(runPath(run.dag_id, run.dag_run_id), name), ` ${how}: `);
    if (run.state === "queued") {
      row.append("queued; it begins when the run before it has ended and the DAG is not paused.");
    } else if (!build) {
      row.append(run.dag_id === VALIDATE ? "comparing days with the raw events." : "looking for what is missing.");
    } else if (build.waits_for_approval) {
      row.append(element("strong", {}, `waits for a person to approve ${plural(build.dates.length, "date")}: `), airflowLink(`${runPath(run.dag_id, run.dag_run_id)}/required_actions`, "answer"), ".");
    } else {
      row.append(...this.progressOf(build));
    }
    if (this.cancellable.includes(run.dag_id) && !run.conf?.dry_run) {
      row.append(" ", ...this.cancelButtons(run));
    }
    return row;
  }

  progressOf(build) {
    const { length: done } = build.published;
    const { length: total } = build.dates;
    const left = build.seconds_left === null || done === total ? "" : build.seconds_left < 1 ? ", a moment left" : `, about ${duration(Math.ceil(build.seconds_left))} left`;
    const said = [
      element("progress", { max: total, value: done, "aria-label": "dates built" }),
      element("strong", {}, ` ${count(done)} of ${plural(total, "date")}${left}`),
    ];
    const inHand = this.told.locks.filter((lock) => lock.run_id === build.run_id && lock.dag_id === build.dag_id && !build.published.includes(lock.date));
    if (inHand.length) {
      said.push(`; building ${inHand.map((lock) => lock.date).join(", ")}`);
    }
    if (build.failed.length) {
      said.push(`; failed so far on ${build.failed.join(", ")}`);
    }
    if (build.waiting.length) {
      said.push(`; ${build.waiting.join(", ")} ${build.waiting.length === 1 ? "waits" : "wait"}, ${build.why_waiting}`);
    }
    for (const wait of build.waits) {
      said.push(`; ${wait.date} waits for the run `, runLink(wait.dag_id, wait.run_id), ", until it ends", ...(wait.until ? [" or, if nothing is heard of it, ", moment(wait.until)] : []));
    }
    return [...said, "."];
  }

  cancelButtons(run) {
    const id = `cancel-${run.dag_run_id}`;
    const button = (name, key, onclick) => element("button", { type: "button", class: "small", id: `${id}${key}`, onclick }, name);
    if (this.doubt !== run.dag_run_id) {
      return [button("Cancel this backfill", "", () => this.ask(run.dag_run_id, `${id}-yes`))];
    }
    return [
      element("span", {}, "End the run and its queries? What is built stays. "),
      button("End it", "-yes", () => this.cancel(run)),
      " ",
      button("Let it run", "-no", () => this.ask(null, id)),
    ];
  }

  ask(runId, focus) {
    this.doubt = runId;
    this.draw();
    document.getElementById(focus)?.focus();
  }

  async cancel(run) {
    this.doubt = null;
    try {
      await patch(`/api/v2/dags/${run.dag_id}/dagRuns/${encodeURIComponent(run.dag_run_id)}`, JSON.stringify({ state: "failed", note: CANCELLED }));
    } catch (error) {
      replace("error", `The run could not be ended: ${error.message}`);
    }
    this.look();
  }
}

// ---- in words

const NOTES = ["Failed: ", "Refused: "];

// Why a run failed, from its note; the package writes it when the run ends.
export function whyFailed(run) {
  const prefix = NOTES.find((each) => run.note?.startsWith(each)) ?? "";
  return run.note ? run.note.slice(prefix.length) : "its red tasks say why.";
}

export const isRefused = (run) => Boolean(run.note?.startsWith("Refused: "));
export const isCancelled = (run) => Boolean(run.note?.startsWith("Cancelled "));

function healthOf(health) {
  if (!health) {
    return ["not checked yet: ", airflowLink(`/dags/${HEALTH}`, HEALTH), " has to be unpaused."];
  }
  const isOld = Date.now() - Date.parse(health.logged_at) > CHECK_HOURS * 3_600_000;
  return [
    element("strong", { class: health.status === "ok" ? "good" : "bad" }, health.status),
    `, checked ${ago(health.logged_at)}`,
    isOld ? " (it has not been checked since)" : "",
    health.status === "ok" ? ". " : `: ${health.reason}. `,
    runLink(health.dag_id, health.run_id, "The check"),
  ];
}

function serviceLevelOf(level) {
  const left = level.budget_left_percent;
  return [
    element("strong", { class: left < 0 ? "bad" : "good" }, `${level.percent} % of days`),
    ` within ${plural(level.hours, "hour")} of their end, in ${plural(level.days, "day")}; error budget `,
    left < 0 ? "used up" : `${Math.floor(left)} % left`,
    ` (objective ${level.objective} %).`,
  ];
}

function decisionOf(decision) {
  if (!decision) {
    return ["none yet."];
  }
  return [
    element("strong", {}, decision.status === "backfill" ? `decided to build ${plural(decision.dates.length, "date")}` : "built nothing"),
    ", ",
    moment(decision.logged_at),
    ` (${ago(decision.logged_at)}): ${decision.reason}. It looked at ${scopeOf(decision)}. `,
    runLink(decision.dag_id, decision.run_id, "The run"),
  ];
}

function scopeOf(decision) {
  const named = decision.team_ids.length;
  const who = named === 1 ? `team ${decision.team_ids[0]} alone` : named ? `${plural(decision.team_count, "team")} by name` : `all ${plural(decision.team_count, "enabled team")}`;
  if (!decision.date_start) {
    return who;
  }
  const last = addDays(decision.date_end, -1);
  const when = last <= decision.date_start ? decision.date_start : `${decision.date_start} to ${last}`;
  const kinds = decision.states.filter((state) => state !== "complete");
  const what = !kinds.length ? "" : kinds.length > 3 ? ", for all kinds of gap" : `, for ${kinds.join(" or ")} days`;
  return `${who}, ${when}${what}`;
}

function nextOf(dag) {
  if (dag.is_paused) {
    return [element("strong", { class: "bad" }, `${BACKFILL} is paused: `), airflowLink(`/dags/${BACKFILL}`, "unpause it"), "."];
  }
  if (!dag.next_dagrun_run_after) {
    return ["not known to Airflow yet."];
  }
  const seconds = (Date.parse(dag.next_dagrun_run_after) - Date.now()) / 1000;
  return [moment(dag.next_dagrun_run_after), seconds > 0 ? `, in ${duration(seconds)}` : ", now due", ": missing days; at 02:00 UTC all kinds of gap."];
}
