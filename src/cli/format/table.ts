/** Columns that line up, by the rules of Go's tabwriter with docker's settings (least width 10, padding 3). Pure. */

const leastWidth = 10;
const padding = 3;

/** Aligns lines whose cells are ended by tabs; what stands behind the last tab of a line is no cell. */
export function alignTabs(text: string): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths = lines.map((cells) => cells.map(() => 0));
  for (let column = 0; column < Math.max(...lines.map((cells) => cells.length)); column++) {
    // A column is a run of lines that each have a cell there; its width is that of its widest cell.
    for (let start = 0; start < lines.length; start++) {
      let end = start;
      let width = 0;
      for (let cells = lines[end]; cells !== undefined && column < cells.length - 1; cells = lines[++end]) {
        width = Math.max(width, widthOf(cells[column] ?? ""));
      }
      for (let i = start; i < end; i++) {
        const row = widths[i];
        if (row !== undefined) row[column] = Math.max(width + padding, leastWidth);
      }
      if (end > start) start = end - 1;
    }
  }
  return lines
    .map((cells, i) =>
      cells.map((cell, j) => padTo(cell, j === cells.length - 1 ? 0 : (widths[i]?.[j] ?? 0))).join(""),
    )
    .join("\n");
}

function padTo(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/** In characters, as Go counts runes; nearly every cell is ASCII. */
function widthOf(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : [...text].length;
}
