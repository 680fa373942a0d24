/** Counters and histograms in Prometheus' text format. Pure but for the numbers it holds; bounded by the labels it is given. */

export type Labels = Readonly<Record<string, string>>;

export class Counter {
  readonly #name: string;
  readonly #help: string;
  readonly #values = new Map<string, number>();

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  add(labels: Labels, by = 1): void {
    const key = printLabels(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }

  print(): string {
    return head(this.#name, this.#help, "counter") + lines(this.#name, this.#values);
  }
}

/** Bounds in seconds: from a cached manifest to a long upload. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600];

interface Buckets {
  readonly counts: number[];
  count: number;
  sum: number;
}

export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #values = new Map<string, Buckets & { readonly labels: Labels }>();

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  observe(labels: Labels, seconds: number): void {
    const key = printLabels(labels);
    const known = this.#values.get(key) ?? { labels, counts: bounds.map(() => 0), count: 0, sum: 0 };
    this.#values.set(key, known);
    const at = bounds.findIndex((bound) => seconds <= bound);
    if (at >= 0) known.counts[at] = (known.counts[at] ?? 0) + 1;
    known.count++;
    known.sum += seconds;
  }

  print(): string {
    let text = head(this.#name, this.#help, "histogram");
    for (const [key, { labels, counts, count, sum }] of this.#values) {
      let total = 0;
      for (const [i, bound] of bounds.entries()) {
        total += counts[i] ?? 0;
        text += `${this.#name}_bucket${printLabels({ ...labels, le: String(bound) })} ${total}\n`;
      }
      text += `${this.#name}_bucket${printLabels({ ...labels, le: "+Inf" })} ${count}\n`;
      text += `${this.#name}_sum${key} ${sum}\n${this.#name}_count${key} ${count}\n`;
    }
    return text;
  }
}

/** A number of this moment. */
export function printGauge(name: string, help: string, value: number): string {
  return `${head(name, help, "gauge")}${name} ${value}\n`;
}

const head = (name: string, help: string, type: string): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

function lines(name: string, values: ReadonlyMap<string, number>): string {
  return [...values].map(([labels, value]) => `${name}${labels} ${value}\n`).join("");
}

function printLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([key, value]) =>
      `${key}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}
