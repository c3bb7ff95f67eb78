// The heat map: one row for each team and table, one column for each day, a rectangle of selected cells.

import { STATE, STATES, TABLES, addDays, daysOf, element, weekday } from "./page.js";

// Of the columns beside the days, but for the team's id.
const TABLE_WIDTH = 56;
const COUNT_WIDTH = 60;
const DIGIT_WIDTH = 7.5;
const NARROWEST = 7;
const WIDEST = 30;
// From here on a cell has room for its glyph, and a column for its day of the month.
const WIDE = 13;
const NOW = { "": "", building: ", being built now", waiting: ", waits for another run" };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export class HeatMap {
  // onSelect(selection, focused) with the selection as {teams, days, first, last}.
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
    addEventListener("resize", () => this.resize());
    addEventListener("scroll", () => this.hideTip(), { capture: true, passive: true });
  }

  show(data, markedDates) {
    const kept = this.data && this.selected ? this.describe() : null;
    this.data = data;
    this.days = daysOf(data.date_start, data.date_end);
    this.marked = new Set(markedDates);
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
    this.place.scrollLeft = this.place.scrollWidth;
    if (this.rows.length) {
      this.rows[0][this.rows[0].length - 1].tabIndex = 0;
    }
    this.showBuilding(this.building);
    if (kept) {
      this.restore(kept);
    }
  }

  head() {
    const months = element("tr", {}, element("th", { class: "corner", colspan: 2 }));
    const days = element("tr", {}, element("th", { class: "corner", colspan: 2, scope: "col" }, "team"));
    let current = null;
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
      days.append(
        element(
          "th",
          { class: classes.join(" ").trim(), scope: "col", "data-day": day, title: `${weekday(day)} ${day}` },
          element("span", {}, String(Number(day.slice(8)))),
        ),
      );
    }
    months.append(element("th", { class: "corner-right" }));
    days.append(element("th", { class: "corner-right", scope: "col" }, "gaps"));
    return element("thead", {}, months, days);
  }

  teamRows(team) {
    const body = element("tbody", { class: team.enabled ? "team" : "team disabled" });
    TABLES.forEach((table, index) => {
      const row = document.createElement("tr");
      if (index === 0) {
        const label = element("th", { class: "team-id", rowspan: TABLES.length, scope: "rowgroup", title: `team ${team.team_id}` }, team.team_id);
        label.dataset.team = team.team_id;
        row.append(label);
      }
      row.append(element("th", { class: "table-name", scope: "row" }, table.short));
      const cells = [];
      for (const code of team.states[table.short]) {
        const cell = document.createElement("td");
        cell.className = `cell ${STATE[code].gap ? "gap " : ""}s-${code === "-" ? "idle" : code}`;
        cell.tabIndex = -1;
        cells.push(cell);
        row.append(cell);
      }
      cells.forEach((cell, column) => {
        cell.row = this.rows.length;
        cell.column = column;
      });
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
    const digits = Math.max(4, ...this.data.teams.map((team) => team.team_id.length));
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
    return `team ${this.teamOf(cell.row).team_id}, ${table}, ${weekday(day)} ${day}: ${state.name} (${state.hint})${NOW[this.buildingState(cell)]}`;
  }

  // ---- selecting

  pressed(event) {
    const header = event.target.closest("th[data-day], th[data-team]");
    if (header) {
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
    if (!event.shiftKey || !this.anchor) {
      this.anchor = cell;
    }
    this.dragging = event.pointerType === "mouse";
    this.extendTo(cell);
  }

  released() {
    if (this.dragging) {
      this.dragging = false;
      this.announce();
    }
  }

  selectHeader(header) {
    if (header.dataset.day) {
      const column = this.days.indexOf(header.dataset.day);
      this.anchor = this.rows[0][column];
      this.extendTo(this.rows[this.rows.length - 1][column]);
    } else {
      const first = this.data.teams.findIndex((team) => team.team_id === header.dataset.team) * TABLES.length;
      this.anchor = this.rows[first][0];
      this.extendTo(this.rows[first + TABLES.length - 1][this.days.length - 1]);
    }
    this.announce();
  }

  extendTo(cell) {
    this.cursor = cell;
    const rows = [this.anchor.row, cell.row].sort((a, b) => a - b);
    const columns = [this.anchor.column, cell.column].sort((a, b) => a - b);
    this.mark(false);
    this.selected = { rows, columns };
    this.mark(true);
    if (!this.dragging) {
      this.announce();
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

  announce() {
    this.onSelect(this.describe(), this.isOneCell() ? this.describeCursor() : null);
  }

  // Both tables of one team on one day are one selection: they are built together.
  isOneCell() {
    const { rows, columns } = this.selected;
    return columns[0] === columns[1] && Math.floor(rows[0] / 2) === Math.floor(rows[1] / 2);
  }

  describeCursor() {
    return { team: this.teamOf(this.cursor.row), day: this.days[this.cursor.column] };
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

  // After a refresh the same cells are selected, as far as they are still there.
  restore(kept) {
    const ids = new Set(kept.teams.map((team) => team.team_id));
    const rows = this.rows.flatMap((_, row) => (ids.has(this.teamOf(row).team_id) ? [row] : []));
    const first = this.days.indexOf(kept.first);
    const last = this.days.indexOf(kept.last);
    const together = rows.length === ids.size * TABLES.length && rows[rows.length - 1] - rows[0] + 1 === rows.length;
    if (!together || first < 0 || last < 0) {
      this.onSelect(null, null);
      return;
    }
    this.anchor = this.rows[rows[0]][first];
    this.extendTo(this.rows[rows[rows.length - 1]][last]);
  }

  // ---- keyboard and pointer

  keyed(event) {
    const cell = event.target.closest("td.cell");
    if (!cell) {
      return;
    }
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
      if (!event.shiftKey || !this.anchor) {
        this.anchor = cell;
      }
      this.extendTo(cell);
    } else if (steps[event.key]) {
      event.preventDefault();
      const [down, right] = steps[event.key];
      const row = Math.max(0, Math.min(this.rows.length - 1, cell.row + down));
      const column = Math.max(0, Math.min(this.days.length - 1, cell.column + right));
      const next = this.rows[row][column];
      next.focus();
      if (event.shiftKey) {
        this.anchor ??= cell;
        this.extendTo(next);
      }
    }
  }

  focused(event) {
    const cell = event.target.closest("td.cell");
    if (!cell) {
      return;
    }
    this.place.querySelector('td.cell[tabindex="0"]')?.setAttribute("tabindex", "-1");
    cell.tabIndex = 0;
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
