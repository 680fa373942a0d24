/** gantry explain: the plan of a container in words. */
import type { CommandSpec, Invocation } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { print } from "../output.ts";

export interface ExplainedStep {
  readonly index: number;
  /** Where it runs: monitor, container, teardown. */
  readonly section: string;
  readonly text: string;
  /** Which flag or default asked for it; may be empty. */
  readonly because: string;
}

export const explain: CommandSpec = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Print each step asked of the kernel for a container, and why",
  examples: [["gantry explain web | grep -i memory", "what --memory did"]],
  flags: [{ name: "format", kind: "string", help: "'json': the steps as JSON" }],
  args: [1, 1],
  completes: "containers",
  run: show,
};

async function show({ flags, args: [name = ""], engine }: Invocation): Promise<number> {
  const plan = await engine.json<{ readonly steps: readonly ExplainedStep[] }>(
    "GET",
    `/gantry/containers/${segment(name)}/explain`,
  );
  if (flags.text("format") === "json") await print(`${JSON.stringify(plan)}\n`);
  else
    await print(
      explainText(plan.steps, { color: Bun.enableANSIColors, width: widthOf(process.env["COLUMNS"]) }),
    );
  return 0;
}

const sectionTitles: Readonly<Record<string, string>> = {
  monitor: "On the host, by the container's monitor",
  container: "Inside, before its program starts",
  teardown: "After its end",
};

function widthOf(columns: string | undefined): number {
  const width = Number(columns);
  return Number.isInteger(width) && width >= 40 ? width : 100;
}

/** The steps under a title for each section; the reason stands behind the step, or below it when the line is too long. Pure. */
export function explainText(
  steps: readonly ExplainedStep[],
  style: { readonly color: boolean; readonly width: number },
): string {
  const dim = (text: string): string => (style.color ? `\x1b[2m${text}\x1b[22m` : text);
  const bold = (text: string): string => (style.color ? `\x1b[1m${text}\x1b[22m` : text);
  const digits = String(Math.max(0, ...steps.map((step) => step.index))).length;
  const lines: string[] = [];
  let section = "";
  for (const step of steps) {
    if (step.section !== section) {
      section = step.section;
      lines.push(...(lines.length === 0 ? [] : [""]), bold(sectionTitles[section] ?? section));
    }
    const head = `  ${String(step.index).padStart(digits)}  `;
    const reason = step.because === "" ? "" : `because of ${step.because}`;
    const fits = head.length + step.text.length + 3 + reason.length <= style.width;
    lines.push(head + step.text + (fits && reason !== "" ? dim(`   ${reason}`) : ""));
    if (!fits && reason !== "") lines.push(" ".repeat(head.length + 2) + dim(reason));
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
