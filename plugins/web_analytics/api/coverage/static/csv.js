// What the map shows, as a file.

import { REGION, STATE, TABLES, daysOf, element } from "./page.js";

// One line for each team and day with the state of each table; ids and words need no quotes.
export function asCsv(data) {
  const days = daysOf(data.date_start, data.date_end);
  const lines = [["team_id", "date", ...TABLES.map((table) => table.name)].join(",")];
  for (const team of data.teams) {
    days.forEach((day, column) => {
      const states = TABLES.map((table) => STATE[team.states[table.short][column]].name);
      lines.push([team.team_id, day, ...states].join(","));
    });
  }
  return `${lines.join("\n")}\n`;
}

export function saveCsv(data) {
  const address = URL.createObjectURL(new Blob([asCsv(data)], { type: "text/csv" }));
  const name = ["coverage", REGION, data.date_start, data.date_end].filter(Boolean).join("_");
  const link = element("a", { href: address, download: `${name}.csv` });
  document.body.append(link);
  link.click();
  link.remove();
  // Once the download has begun.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
