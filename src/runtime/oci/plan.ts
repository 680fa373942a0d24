/** `gantry-oci plan`: what a bundle would ask of the kernel. Nothing is done. */
import { detectCgroups } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import { type ExplainedStep, explainPlan } from "../explain-plan.ts";
import { planContainer } from "../plan-container.ts";
import type { Plan } from "../plan-step.ts";
import { readBundle } from "./bundle.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";

export async function printPlan({ flags }: VerbInput): Promise<number> {
  const [id = "ID"] = expectWords("plan", flags, 0, 1);
  const { config } = readBundle(flags.text("bundle"), id);
  const { plan } = planContainer({ config, cgroups: detectCgroups() });
  const format = flags.text("format") ?? "text";
  if (format === "json") await print(`${planJson(plan)}\n`);
  else if (format === "text") await print(planText(explainPlan(plan)));
  else
    throw new GantryError("invalid", "invalid format option", { hint: "use --format text or --format json" });
  return 0;
}

/** Bytes as base64, 64-bit numbers as decimal text. */
export function planJson(plan: Plan): string {
  const show = (_key: string, value: unknown): unknown => {
    if (typeof value === "bigint") return String(value);
    return value instanceof Uint8Array ? value.toBase64() : value;
  };
  return JSON.stringify(plan, show, 2);
}

const titles = {
  monitor: "On the host:",
  container: "In the container:",
  teardown: "After its end:",
} as const;

export function planText(steps: readonly ExplainedStep[]): string {
  let section: ExplainedStep["section"] | undefined;
  let text = "";
  for (const step of steps) {
    if (step.section !== section) text += `${text === "" ? "" : "\n"}${titles[step.section]}\n`;
    section = step.section;
    const because = step.because === "" ? "" : `  [${step.because}]`;
    text += `${String(step.index + 1).padStart(4)}  ${step.text}${because}\n`;
  }
  return text;
}
