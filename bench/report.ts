/** Results as a Markdown table and as a bar chart in SVG. Pure. */
import { holds, limitText, ratioOf, type Result } from "./result.ts";
import type { Summary } from "./statistics.ts";

function figure(summary: Summary, unit: string): string {
  const text = (value: number): string =>
    value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  const spread = summary.count > 1 ? ` (${text(summary.min)}–${text(summary.max)})` : "";
  return `${text(summary.median)} ${unit}${spread}`;
}

/** One row a result: our median with its spread, the peers', the ratio and the limit. */
export function markdown(results: readonly Result[], machine: string): string {
  const rows = results.map((result) => {
    const peers = result.peers
      .map((peer) => `${peer.name}: ${figure(peer.figure, result.unit)}`)
      .join("<br>");
    const ratio = ratioOf(result);
    return `| ${result.name} | ${figure(result.ours, result.unit)} | ${peers || "–"} | ${ratio?.toFixed(3) ?? "–"} | ${limitText(result.limit)} | ${holds(result) ? "holds" : "**missed**"} |`;
  });
  return [
    `Median (min–max) of interleaved runs on ${machine}.`,
    "",
    "| what | gantry | peers | ratio to the first | limit | |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
    ...results.map((result) => `- **${result.name}**: ${result.detail}`),
    "",
  ].join("\n");
}

const barHeight = 16;
const left = 330;
const width = 900;

interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  readonly ours: boolean;
}

/** The results that have a peer, each as bars scaled to the longest of its group. */
export function svg(results: readonly Result[]): string {
  const parts: string[] = [];
  let y = 34;
  for (const result of results.filter((r) => r.peers.length > 0)) {
    const bars: Bar[] = [
      { label: "gantry", value: result.ours.median, text: figure(result.ours, result.unit), ours: true },
      ...result.peers.map((peer) => ({
        label: peer.name,
        value: peer.figure.median,
        text: figure(peer.figure, result.unit),
        ours: false,
      })),
    ];
    const longest = Math.max(...bars.map((bar) => bar.value));
    parts.push(`<text x="10" y="${y + 12}" font-weight="bold">${escape(result.name)}</text>`);
    for (const bar of bars) {
      const length = Math.max(1, ((width - left - 190) * bar.value) / longest);
      parts.push(
        `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${escape(bar.label)}</text>`,
        `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight - 3}" fill="${bar.ours ? "#0b7285" : "#adb5bd"}"/>`,
        `<text x="${(left + length + 6).toFixed(1)}" y="${y + 11}" fill="#495057">${escape(bar.text)}</text>`,
      );
      y += barHeight;
    }
    y += 12;
  }
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 8}" font-family="system-ui, sans-serif" font-size="12">`;
  return `${head}\n<rect width="100%" height="100%" fill="white"/>\n<text x="10" y="20" font-size="15" font-weight="bold">Gantry and its peers: shorter is better</text>\n${parts.join("\n")}\n</svg>\n`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
