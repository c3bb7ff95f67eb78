// How complete the shown teams are, as a line of days.

import { STATE, TABLES, daysOf, replace } from "./page.js";

const HEIGHT = 30;
const MARGIN = 2;

// Of each day, oldest first: the share of the (team, table) pairs with a verdict that are complete, from 0 to 1; null
// for a day without one, since it is open or nobody came.
export function completeness(data) {
  return daysOf(data.date_start, data.date_end).map((day, column) => {
    const states = data.teams.flatMap((team) => TABLES.map((table) => STATE[team.states[table.short][column]]));
    const complete = states.filter((state) => state.name === "complete").length;
    const gaps = states.filter((state) => state.gap).length;
    return { day, share: complete + gaps ? complete / (complete + gaps) : null };
  });
}

// A percentage that is 100 only where nothing is missing.
const percent = (share) => `${Math.floor(share * 1000) / 10} %`;

export function drawTrend(data) {
  const days = completeness(data);
  const known = days.filter((each) => each.share !== null);
  if (known.length < 2) {
    replace("trend");
    return;
  }
  const worst = known.reduce((lowest, each) => (each.share < lowest.share ? each : lowest));
  const newest = known[known.length - 1];
  const from = data.date_start < data.known_from ? ` from ${data.known_from} on` : "";
  const words =
    worst.share === 1
      ? `Complete on every day${from}, of the teams shown.`
      : `Complete, of the teams shown: ${percent(newest.share)} on ${newest.day}, at worst ${percent(worst.share)} on ${worst.day}.`;
  const line = drawn("svg", { viewBox: `0 0 ${days.length} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words });
  const height = (share) => MARGIN + (1 - share) * (HEIGHT - 2 * MARGIN);
  let points = [];
  const end = () => {
    if (points.length) {
      line.append(drawn("polyline", { points: points.join(" "), "vector-effect": "non-scaling-stroke" }));
    }
    points = [];
  };
  days.forEach(({ share }, column) => {
    if (share === null) {
      end();
    } else {
      // A day is as wide as its line, so that a single one is seen too.
      points.push(`${column},${height(share)}`, `${column + 1},${height(share)}`);
    }
  });
  end();
  const caption = document.createElement("p");
  caption.className = "hint";
  caption.textContent = words;
  replace("trend", line, caption);
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}
