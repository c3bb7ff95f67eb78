// The heat map: one row for each team and table, one column for each day, a rectangle of selected cells.

import { STATE, STATES, TABLES, addDays, count, daysOf, element, weekday } from "./page.js";

// Of the columns beside the days, but for the team's id.
const TABLE_WIDTH = 56;
const COUNT_WIDTH = 60;
const DIGIT_WIDTH = 7.5;
// Of a name, before it is cut; the whole one is in the title.
const NAME_DIGITS = 14;
const NARROWEST = 7;
const WIDEST = 30;
// From here on a cell has room for its glyph, and a column for its day of the month.
const WIDE = 13;
const NOW = { "": "", building: ", being built now", waiting: ", waits for another run" };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// Of a day with suspiciously few pageviews; empty of any other one.
export function fewPageviews(team, day) {
  const low = team.low_days.find((each) => each.date === day);
  return low ? `; suspiciously few pageviews: ${count(low.pageviews)}, usually ${count(low.usual)} on a ${weekday(day)}` : "";
}

const nameOfTeam = (team) => `team ${team.team_id}${team.name ? ` (${team.name})` : ""}`;

export class HeatMap {
  // onSelect(selection, cell, isExtended) with the selection as {teams, days, first, last}; isExtended: a selection that
  // was there was made larger or smaller.
  constructor(place, tip, onSelect) {
    this.place = place;
    this.tip = tip;
    this.onSelect = onSelect;
    this.data = null;
    this.building = new Map();
    // A finger that scrolls presses too: it selects where it taps.
    place.addEventListener("pointerdown", (event) => event.pointerType === "mouse" && this.pressed(event));
    place.addEventListener("click", (event) => event.pointerType !== "mouse" && this.pressed(event));
    place.addEventListener("pointerover", (event) => this.hovered(event));
    place.addEventListener("pointerleave", () => this.hideTip());
    place.addEventListener("focusin", (event) => this.focused(event));
    place.addEventListener("focusout", () => this.hideTip());
    place.addEventListener("keydown", (event) => this.keyed(event));
    addEventListener("pointerup", () => this.released());
    addEventListener("pointercancel", () => this.released());
    addEventListener("resize", () => this.resize());
    addEventListener("scroll", () => this.hideTip(), { capture: true, passive: true });
  }

  // chosen: what is selected, as {first, last, teams: ids or null for all}, or null.
  show(data, markedDates, chosen) {
    if (this.dragging) {
      // The cells under the pointer stay until it is released.
      this.postponed = [data, markedDates];
      return;
    }
    const focused = this.place.contains(document.activeElement) ? this.nameOf(document.activeElement) : null;
    const scrolled = this.data?.date_start === data.date_start && this.data.date_end === data.date_end ? this.place.scrollLeft : null;
    this.data = data;
    this.days = daysOf(data.date_start, data.date_end);
    this.marked = new Set(markedDates);
    this.falls = new Map(data.common_falls.map((fall) => [fall.date, fall]));
    this.rows = [];
    this.anchor = this.cursor = this.selected = null;
    const table = element(
      "table",
      { class: "heat", role: "grid", "aria-labelledby": "map-title", "aria-describedby": "map-help", "aria-multiselectable": "true" },
      this.head(),
    );
    for (const team of data.teams) {
      table.append(this.teamRows(team));
    }
    this.place.replaceChildren(
      data.teams.length ? table : element("p", { class: "empty" }, "No team is enabled that fits the filter."),
    );
    this.table = table;
    this.resize();
    this.place.scrollLeft = scrolled ?? this.place.scrollWidth;
    if (this.rows.length) {
      this.rows[0][this.rows[0].length - 1].tabIndex = 0;
    }
    this.showBuilding(this.building);
    if (chosen) {
      this.choose(chosen);
    }
    if (focused) {
      this.focusOn(focused);
    }
  }

  // Whether somebody is about to press something here: then nothing may move.
  isInUse() {
    return this.place.matches(":hover") || this.place.contains(document.activeElement);
  }

  // ---- what has the focus: a cell, a date or a team

  nameOf(item) {
    const isPlace = item.row !== undefined && item.column !== undefined;
    return isPlace ? { team: item.row < 0 ? null : this.teamOf(item.row).team_id, table: item.row % TABLES.length, day: item.column < 0 ? null : this.days[item.column] } : {};
  }

  /** @param {{ team?: any, table?: number, day?: any }} named */
  focusOn({ team, table, day }) {
    const row = team ? this.data.teams.findIndex((each) => each.team_id === team) * TABLES.length + table : -1;
    const column = day ? this.days.indexOf(day) : -1;
    const item = (team && row < 0) || (day && column < 0) ? null : this.at(row, column);
    (item ?? this.place.querySelector('[tabindex="0"]'))?.focus({ preventScroll: true });
  }

  // Where the selection was made.
  focusCursor() {
    this.cursor?.focus();
  }

  at(row, column) {
    if (row < 0) {
      return this.dates[column];
    }
    return column < 0 ? this.labels[Math.floor(row / TABLES.length)] : this.rows[row]?.[column];
  }

  head() {
    const months = element("tr", {}, element("th", { class: "corner", colspan: 2 }));
    const days = element("tr", {}, element("th", { class: "corner", colspan: 2, scope: "col" }, "team"));
    let current = null;
    this.dates = [];
    this.labels = [];
    for (const day of this.days) {
      const month = day.slice(0, 7);
      if (current?.month !== month) {
        current = { month, cell: element("th", { class: "month", colspan: 0 }), columns: 0 };
        months.append(current.cell);
      }
      current.columns += 1;
      current.cell.colSpan = current.columns;
      const name = MONTHS[Number(month.slice(5)) - 1];
      const label = current.columns > 8 ? `${name} ${month.slice(0, 4)}` : current.columns > 3 ? name : "";
      current.cell.replaceChildren(element("span", {}, label));
      const classes = ["day", weekday(day) === "Mon" ? "monday" : "", this.marked.has(day) ? "marked" : ""];
      const fall = this.falls.get(day);
      const fallen = fall ? `: ${count(fall.fallen)} of ${count(fall.judged)} teams have under 80 % of their usual ${weekday(day)}, a holiday or a loss of events` : "";
      if (fall) {
        classes.push("fall");
      }
      const header = element(
        "th",
        { class: classes.join(" ").trim(), scope: "col", "data-day": day, tabindex: -1, title: `${weekday(day)} ${day}${fallen}`, "aria-label": `${weekday(day)} ${day}, all teams${fallen}` },
        element("span", {}, String(Number(day.slice(8)))),
      );
      header.row = -1;
      header.column = this.dates.length;
      this.dates.push(header);
      days.append(header);
    }
    months.append(element("th", { class: "corner-right" }));
    days.append(element("th", { class: "corner-right", scope: "col" }, "gaps"));
    return element("thead", {}, months, days);
  }

  teamRows(team) {
    const body = element("tbody", { class: team.enabled ? "team" : "team disabled" });
    const low = new Set(team.low_days.map((each) => each.date));
    TABLES.forEach((table, index) => {
      const row = document.createElement("tr");
      if (index === 0) {
        const label = element("th", { class: "team-id", rowspan: TABLES.length, scope: "rowgroup", tabindex: -1, title: nameOfTeam(team) }, team.team_id);
        if (team.name) {
          label.append(element("span", { class: "team-name" }, team.name));
        }
        label.dataset.team = team.team_id;
        label.row = this.rows.length;
        label.column = -1;
        this.labels.push(label);
        row.append(label);
      }
      row.append(element("th", { class: "table-name", scope: "row" }, table.short));
      const cells = [];
      for (const code of team.states[table.short]) {
        const cell = document.createElement("td");
        cell.className = `cell ${STATE[code].gap ? "gap " : ""}s-${code === "-" ? "idle" : code}`;
        cell.classList.toggle("low", low.has(this.days[cells.length]));
        cell.tabIndex = -1;
        cells.push(cell);
        row.append(cell);
      }
      cells.forEach((cell, column) => Object.assign(cell, { row: this.rows.length, column }));
      this.rows.push(cells);
      if (index === 0) {
        const gaps = STATES.filter((state) => state.gap && team[state.name]).map((state) => `${team[state.name]} ${state.name}`);
        row.append(
          element("td", { class: "total", rowspan: TABLES.length, title: gaps.join(", ") }, team.enabled ? String(team.gaps) : "not enabled"),
        );
      }
      body.append(row);
    });
    return body;
  }

  resize() {
    if (!this.data) {
      return;
    }
    const digits = Math.max(4, ...this.data.teams.map((team) => Math.max(team.team_id.length, Math.min(NAME_DIGITS, team.name.length))));
    const label = Math.min(digits * DIGIT_WIDTH + 8, this.place.clientWidth / 4);
    this.table.style.setProperty("--label", `${label}px`);
    const room = this.place.clientWidth - label - TABLE_WIDTH - COUNT_WIDTH - 8;
    const width = Math.max(NARROWEST, Math.min(WIDEST, Math.floor(room / this.days.length) - 1));
    this.table.style.setProperty("--cell", `${width}px`);
    // The legend too: it shows what the cells show.
    document.querySelector(".map").classList.toggle("wide", width >= WIDE);
  }

  // dates: what Status.building() gives: gap cells of these dates that a run is at work on, or all cells where it rebuilds.
  showBuilding(dates) {
    this.building = dates;
    if (!this.data) {
      return;
    }
    for (const header of this.table.querySelectorAll("th[data-day]")) {
      header.classList.toggle("building", dates.has(header.dataset.day));
    }
    for (const row of this.rows) {
      for (const cell of row) {
        const state = this.buildingState(cell);
        cell.classList.toggle("building", state === "building");
        cell.classList.toggle("waiting", state === "waiting");
      }
    }
  }

  buildingState(cell) {
    const build = this.building.get(this.days[cell.column]);
    const team = this.teamOf(cell.row);
    if (!build || !team.enabled || (build.teams && !build.teams.includes(team.team_id))) {
      return "";
    }
    const state = this.stateOf(cell.row, cell.column);
    return state.gap || (build.rebuilds && state.name === "complete") ? (build.waits ? "waiting" : "building") : "";
  }

  // ---- what a cell is

  teamOf(row) {
    return this.data.teams[Math.floor(row / TABLES.length)];
  }

  stateOf(row, column) {
    return STATE[this.teamOf(row).states[TABLES[row % TABLES.length].short][column]];
  }

  sentence(cell) {
    const state = this.stateOf(cell.row, cell.column);
    const day = this.days[cell.column];
    const table = TABLES[cell.row % TABLES.length].short;
    return `${nameOfTeam(this.teamOf(cell.row))}, ${table}, ${weekday(day)} ${day}: ${state.name} (${state.hint})${fewPageviews(this.teamOf(cell.row), day)}${NOW[this.buildingState(cell)]}`;
  }

  // ---- selecting

  pressed(event) {
    const header = event.target.closest("th[data-day], th[data-team]");
    if (header && event.button === 0) {
      event.preventDefault();
      header.focus({ preventScroll: true });
      this.selectHeader(header);
      return;
    }
    const cell = event.target.closest("td.cell");
    if (!cell || event.button !== 0) {
      return;
    }
    event.preventDefault();
    cell.focus({ preventScroll: true });
    this.hideTip();
    const isExtended = event.shiftKey && Boolean(this.anchor);
    if (!isExtended) {
      this.anchor = cell;
    }
    this.dragging = event.pointerType === "mouse";
    this.extendTo(cell, isExtended);
  }

  released() {
    if (this.dragging) {
      this.dragging = false;
      this.announce();
      if (this.postponed) {
        const { teams, first, last } = this.describe();
        this.show(...this.postponed, { teams: teams.map((team) => team.team_id), first, last });
        this.postponed = null;
      }
    }
  }

  selectHeader(header) {
    if (!this.rows.length) {
      return;
    }
    const { row, column } = header;
    this.anchor = row < 0 ? this.rows[0][column] : this.rows[row][0];
    this.extendTo(row < 0 ? this.rows[this.rows.length - 1][column] : this.rows[row + TABLES.length - 1][this.days.length - 1]);
    this.cursor = header;
  }

  extendTo(cell, isExtended = false) {
    this.cursor = cell;
    const rows = [this.anchor.row, cell.row].sort((a, b) => a - b);
    const columns = [this.anchor.column, cell.column].sort((a, b) => a - b);
    this.mark(false);
    this.selected = { rows, columns };
    this.mark(true);
    if (!this.dragging) {
      this.announce(isExtended);
    }
  }

  mark(on) {
    if (!this.selected) {
      return;
    }
    const { rows, columns } = this.selected;
    for (let row = rows[0]; row <= rows[1]; row += 1) {
      for (let column = columns[0]; column <= columns[1]; column += 1) {
        const cell = this.rows[row][column];
        cell.classList.toggle("selected", on);
        cell.setAttribute("aria-selected", on);
      }
    }
  }

  clear() {
    this.mark(false);
    this.anchor = this.selected = null;
    this.onSelect(null, null);
  }

  announce(isExtended = false) {
    this.onSelect(this.describe(), this.isOneCell() ? this.describeCursor() : null, isExtended);
  }

  // Both tables of one team on one day are one selection: they are built together.
  isOneCell() {
    const { rows, columns } = this.selected;
    return columns[0] === columns[1] && Math.floor(rows[0] / 2) === Math.floor(rows[1] / 2);
  }

  describeCursor() {
    return { team: this.teamOf(this.selected.rows[0]), day: this.days[this.selected.columns[0]] };
  }

  describe() {
    const { rows, columns } = this.selected;
    const teams = this.data.teams.slice(Math.floor(rows[0] / TABLES.length), Math.floor(rows[1] / TABLES.length) + 1);
    const counts = {};
    for (const team of teams) {
      for (const table of TABLES) {
        for (const code of team.states[table.short].slice(columns[0], columns[1] + 1)) {
          counts[code] = (counts[code] ?? 0) + 1;
        }
      }
    }
    const last = this.days[columns[1]];
    return {
      teams,
      counts,
      first: this.days[columns[0]],
      last,
      end: addDays(last, 1),
      days: columns[1] - columns[0] + 1,
      isWholePage: rows[0] === 0 && rows[1] === this.rows.length - 1 && this.data.teams.length > 1,
    };
  }

  // Selects what an address or a refresh names, as far as it is there.
  choose({ teams, first: firstDay, last: lastDay }) {
    const ids = new Set(teams ?? this.data.teams.map((team) => team.team_id));
    const rows = this.rows.flatMap((_, row) => (ids.has(this.teamOf(row).team_id) ? [row] : []));
    const first = this.days.indexOf(firstDay);
    const last = this.days.indexOf(lastDay);
    const together = rows.length && rows.length === ids.size * TABLES.length && rows[rows.length - 1] - rows[0] + 1 === rows.length;
    if (!together || first < 0 || last < first) {
      this.clear();
      return;
    }
    this.anchor = this.rows[rows[0]][first];
    this.extendTo(this.rows[rows[rows.length - 1]][last], true);
  }

  // ---- keyboard and pointer

  keyed(event) {
    const item = event.target.closest("td.cell, th[data-day], th[data-team]");
    if (!item) {
      return;
    }
    const isCell = item.row >= 0 && item.column >= 0;
    const page = 7;
    const steps = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
      Home: [0, -this.days.length], End: [0, this.days.length],
      PageUp: [0, -page], PageDown: [0, page],
    };
    if (event.key === "Escape") {
      this.clear();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (!isCell) {
        this.selectHeader(item);
        return;
      }
      const isExtended = event.shiftKey && Boolean(this.anchor);
      if (!isExtended) {
        this.anchor = item;
      }
      this.extendTo(item, isExtended);
    } else if (steps[event.key]) {
      event.preventDefault();
      const [down, right] = steps[event.key];
      // Beyond the first row are the dates, beyond the first column the teams; a leap or a selection ends before them.
      const least = event.shiftKey || Math.abs(down) > 1 || Math.abs(right) > 1 ? 0 : -1;
      const step = item.column < 0 && down ? down * TABLES.length : down;
      let row = Math.max(Math.min(least, item.row), Math.min(this.rows.length - 1, item.row + step));
      let column = Math.max(Math.min(least, item.column), Math.min(this.days.length - 1, item.column + right));
      if (row < 0 && column < 0) {
        // There is nothing in the corner.
        [row, column] = [item.row, item.column];
      }
      const next = this.at(row, column);
      next?.focus();
      if (event.shiftKey && isCell) {
        this.anchor ??= item;
        this.extendTo(next, true);
      }
    }
  }

  focused(event) {
    const cell = event.target.closest("td.cell, th[data-day], th[data-team]");
    if (!cell) {
      return;
    }
    this.place.querySelectorAll('[tabindex="0"]').forEach((each) => (each.tabIndex = -1));
    cell.tabIndex = 0;
    if (!cell.matches("td")) {
      return;
    }
    cell.setAttribute("aria-label", this.sentence(cell));
    if (cell.matches(":focus-visible")) {
      this.showTip(cell);
    }
  }

  hovered(event) {
    const cell = event.target.closest("td.cell");
    if (!cell) {
      this.hideTip();
      return;
    }
    if (this.dragging && this.anchor) {
      this.extendTo(cell);
    }
    this.showTip(cell);
  }

  showTip(cell) {
    this.tip.textContent = this.sentence(cell);
    this.tip.hidden = false;
    const place = cell.getBoundingClientRect();
    const size = this.tip.getBoundingClientRect();
    const left = Math.max(4, Math.min(innerWidth - size.width - 4, place.left + place.width / 2 - size.width / 2));
    const below = place.bottom + 8;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${below + size.height < innerHeight ? below : place.top - size.height - 8}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }
}

// The gaps of the shown teams as consecutive dates, both tables in one row where they lack the same.
export function gapRanges(data) {
  const days = daysOf(data.date_start, data.date_end);
  const ranges = [];
  for (const team of data.teams) {
    const ofTeam = new Map();
    for (const table of TABLES) {
      const codes = team.states[table.short];
      for (let start = 0, end; start < codes.length; start = end) {
        for (end = start + 1; codes[end] === codes[start]; end += 1);
        const state = STATE[codes[start]];
        if (state.gap) {
          const key = `${days[start]} ${end} ${state.code}`;
          const range = ofTeam.get(key) ?? { team: team.team_id, tables: [], state: state.name, first: days[start], last: days[end - 1], days: end - start };
          range.tables.push(table.short);
          ofTeam.set(key, range);
        }
      }
    }
    ranges.push(...[...ofTeam.values()].sort((a, b) => (a.first < b.first ? -1 : 1)));
  }
  return ranges;
}
