// What every part of the page needs: requests, links, elements and how things are written.

const PATH = "/web-analytics/coverage";
// Where Airflow shows the page in a frame; what follows is the frame's own address.
const ROUTE = "/plugin/web-analytics-coverage";
// What Airflow is mounted under, "" unless [api] base_url has a path.
export const BASE = location.pathname.slice(0, Math.max(0, location.pathname.lastIndexOf(PATH)));

export const STATES = [
  { code: "m", name: "missing", gap: true, hint: "there are pageviews, but the table has no row" },
  { code: "i", name: "inconsistent", gap: true, hint: "the two tables are not from one build" },
  { code: "s", name: "stale", gap: true, hint: "events arrived after the day was built" },
  { code: "r", name: "orphan", gap: true, hint: "rows without source or without a record of their build" },
  { code: "c", name: "complete", gap: false, hint: "built, nothing arrived since" },
  { code: "o", name: "open", gap: false, hint: "the day has not ended, or only just" },
  { code: "-", name: "idle", gap: false, hint: "no pageviews" },
  { code: "t", name: "small", gap: false, rare: true, hint: "fewer pageviews than WEB_ANALYTICS_MIN_DAILY_PAGEVIEWS: not worth a build" },
  { code: "u", name: "unknown", gap: false, rare: true, hint: "no run has looked so far back; one that is triggered for these days does" },
  { code: "n", name: "not enabled", gap: false, hint: "the team is not pre-aggregated" },
  { code: "x", name: "outside", gap: false, rare: true, hint: "before the first date that is built" },
];
export const STATE = Object.fromEntries(STATES.map((state) => [state.code, state]));
export const TABLES = [
  { short: "stats", name: "web_pre_aggregated_stats" },
  { short: "bounces", name: "web_pre_aggregated_bounces" },
];

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const TRIES = 4;
// The server's clock when it answered last, in whole seconds.
let answeredAt = null;

// A second ago by the server's clock, in ISO 8601; undefined where something on the way has removed it.
export const secondAgo = () => (answeredAt ? new Date(Date.parse(answeredAt) - 1000).toISOString() : undefined);

async function request(path, options, triesLeft = TRIES - 1) {
  const answer = await fetch(BASE + path, { credentials: "same-origin", ...options });
  const pause = answer.headers.get("Retry-After");
  answeredAt = answer.headers.get("Date");
  if (answer.status === 503 && pause && triesLeft > 0) {
    // The server answers too many others; it has not begun with this.
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(pause)));
    return request(path, options, triesLeft - 1);
  }
  if (answer.ok) {
    return answer.json();
  }
  let message = `${answer.status} ${answer.statusText}`;
  try {
    const detail = (await answer.json()).detail;
    message = typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    // Not JSON: the status says enough.
  }
  if (answer.status === 401) {
    message = "Your login has ended. Reload the page to log in again.";
  }
  throw new Refused(answer.status, message);
}

export const get = (path) => request(path);
// body: JSON as text.
const send = (method) => (path, body) => request(path, { method, headers: { "Content-Type": "application/json" }, body });
export const post = send("POST");
export const patch = send("PATCH");

// The region that the page shows; "" is the connection without one. Another one is another address.
export const REGION = new URLSearchParams(location.search).get("region") ?? "";
export const ofRegion = (dagId) => (REGION ? `${dagId}__${REGION}` : dagId);

// The address of one of the page's own endpoints.
export function own(rest, parameters = {}) {
  const query = new URLSearchParams(parameters);
  if (REGION) {
    query.set("region", REGION);
  }
  return `${PATH}${rest}?${query}`;
}

// The address that leads to what the page shows, in Airflow's frame.
export const addressOf = (query) => `${location.origin}${BASE}${ROUTE}${location.pathname}${query.size ? `?${query}` : ""}`;

// Writes the page's address, and Airflow's own where the page stands in its frame: Airflow follows a frame only when it
// loads. isStep: Back leads to what was shown before.
export function writeAddress(query, isStep) {
  const address = `${location.pathname}${query.size ? `?${query}` : ""}`;
  if (isStep) {
    history.pushState(null, "", address);
  } else {
    history.replaceState(null, "", address);
  }
  followInAirflow(query);
}

export function followInAirflow(query) {
  const outside = window.parent;
  if (outside !== window && outside.location.pathname.startsWith(BASE + ROUTE)) {
    outside.history.replaceState(outside.history.state, "", addressOf(query));
  }
}

// Where no HTTPS is, browsers give no other way to the clipboard than a selected text.
export async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed in this frame: the other way.
    }
  }
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = element("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return isCopied;
}

// An element; strings among its children become text, never markup.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      made.addEventListener(name.slice(2), value);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// A press whose target is replaced before it ends is no click for the browser: such a replacement waits for its end.
let pressed = null;
const waiting = new Map();
addEventListener("pointerdown", (event) => (pressed = event.target), true);
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(
    end,
    () => {
      pressed = null;
      // After the click, which may replace the place itself.
      setTimeout(() => [...waiting].forEach(([id, children]) => replace(id, ...children)));
    },
    true,
  );
}

const FOCUSABLE = "a[href], button, input, select, summary, [tabindex]";

// What had the focus keeps it: what has its id now, or else its place and its words. Where that is gone, the place has
// it, so that the next Tab goes on from there. What was open stays open, as far as it has an id.
export function replace(id, ...children) {
  const place = document.getElementById(id);
  waiting.delete(id);
  if (place.contains(pressed)) {
    waiting.set(id, children);
    return place;
  }
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const index = [...place.querySelectorAll(FOCUSABLE)].indexOf(focused);
  const open = [...place.querySelectorAll("details[open][id]")].map((each) => each.id);
  place.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  place.hidden = place.childNodes.length === 0;
  for (const each of open) {
    document.getElementById(each)?.setAttribute("open", "");
  }
  if (focused && !place.hidden) {
    const sameWords = /** @type {HTMLElement | undefined} */ ([...place.querySelectorAll(FOCUSABLE)][index]);
    const next = (focused.id && document.getElementById(focused.id)) || (sameWords?.textContent === focused.textContent ? sameWords : null);
    if (!next) {
      place.tabIndex = -1;
    }
    (next ?? place).focus({ preventScroll: true });
  }
  return place;
}

// A link to another page of Airflow. The frame's sandbox lets only Airflow's own document navigate, so the click is
// repeated there.
export function airflowLink(path, ...children) {
  return element("a", { href: BASE + path, target: "_top", onclick: followOutside }, ...children);
}

function followOutside(event) {
  if (window.parent === window) {
    return;
  }
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = event.currentTarget.href;
  if (event.ctrlKey || event.metaKey || event.shiftKey) {
    outside.target = "_blank";
    outside.rel = "noopener";
  }
  outside.click();
}

export const runPath = (dagId, runId) => `/dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`;
export const taskPath = (dagId, runId, taskId) => `${runPath(dagId, runId)}/tasks/${encodeURIComponent(taskId)}`;

// The name of a run with a link; a build that no DAG run made has none.
export function runLink(dagId, runId, text = runId) {
  // A long id breaks before its time and its zone.
  const parts = text.split(/(?<=__)|(?=T\d)|(?=\+\d)/).flatMap((part, index) => (index ? [element("wbr"), part] : [part]));
  return dagId.startsWith("web_analytics_") ? airflowLink(runPath(dagId, runId), ...parts) : text;
}

const numbers = new Intl.NumberFormat("en");
export const count = (number) => numbers.format(number);
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
export const weekday = (day) => WEEKDAYS[new Date(`${day}T00:00:00Z`).getUTCDay()];

export function addDays(day, days) {
  const moved = new Date(`${day}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

export function daysOf(start, end) {
  const days = [];
  for (let day = start; day < end; day = addDays(day, 1)) {
    days.push(day);
  }
  return days;
}

// An instant as UTC, and how long ago it was.
export function moment(iso) {
  const when = new Date(iso);
  const text = `${when.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return element("time", { datetime: iso, title: ago(iso) }, text);
}

export function ago(iso) {
  const seconds = (Date.now() - Date.parse(iso)) / 1000;
  return seconds < 60 ? "just now" : `${duration(seconds)} ago`;
}

export function duration(seconds) {
  if (seconds < 60) {
    return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
