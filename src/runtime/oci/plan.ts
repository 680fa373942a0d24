/** `gantry-oci plan`: what a bundle, or a process that joins a container, would ask of the kernel. Nothing is done. */
import { GantryError } from "../../lib/index.ts";
import { type ExplainedStep, explainPlan } from "../explain-plan.ts";
import { planContainer } from "../plan-container.ts";
import { planExec } from "../plan-exec.ts";
import type { Plan } from "../plan-step.ts";
import { validateProcess } from "../validate-process.ts";
import { readBundle } from "./bundle.ts";
import { readJson } from "./json-file.ts";
import { configReasons } from "./config-reasons.ts";
import { ContainerDir } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { hostCgroups, tryReadText } from "./host-cgroups.ts";
import { type Json, jsonText } from "./json-text.ts";
import { rightsInput, rootlessInput } from "./rootless.ts";
import { systemdScopes } from "./systemd.ts";

export function printPlan(input: VerbInput): number {
  const { flags } = input;
  const format = flags.text("format") ?? "text";
  if (format !== "text" && format !== "json")
    throw new GantryError("invalid", "invalid format option", {
      hint: "use --format text or --format json",
    });
  const plan = flags.text("process") === undefined ? bundlePlan(input) : processPlan(input);
  print(format === "json" ? planJson(plan) : planText(explainPlan(plan)));
  return 0;
}

function bundlePlan({ global, flags }: VerbInput): Plan {
  const [id = "ID"] = expectWords("plan", flags, 0, 1);
  const read = readBundle(flags.text("bundle"), id, global.systemdCgroup);
  const config = global.systemdCgroup ? systemdScopes().placeInSystemd(read.config, id).config : read.config;
  const cgroups = hostCgroups();
  return planContainer({
    config,
    cgroups,
    hooks: { id, bundle: read.path, rootfs: read.rootfs, env: host.env },
    readText: tryReadText,
    systemdCgroup: global.systemdCgroup,
    ...rootlessInput(),
    ...rightsInput(cgroups, config.linux?.cgroupsPath ?? "", global.rootless),
    reasons: configReasons(config),
  }).plan;
}

/** `plan --process FILE ID`: as `exec --process FILE ID` would do it. */
function processPlan({ global, flags }: VerbInput): Plan {
  const [id = ""] = expectWords("plan", flags, 1);
  const stored = new ContainerDir(global.root, id).read();
  const file = flags.text("process") ?? "";
  return planExec({
    process: validateProcess(readJson(file)),
    target: stored.process ?? { pid: 0, startTime: "0" },
    containerConfig: stored.config,
    ...rootlessInput(),
    cgroups: hostCgroups(),
  }).plan;
}

/** Bytes as base64, 64-bit numbers in full. */
export function planJson(plan: Plan): string {
  return `${jsonText(planValue(plan), "  ")}\n`;
}

/** The three sections with their steps, and the words of each. */
export function planValue(plan: Plan): { readonly [section: string]: Json } {
  const words = explainPlan(plan);
  let index = 0;
  const section = (steps: readonly object[]): Json =>
    steps.map((step) => ({ ...(step as { [key: string]: Json }), explanation: words[index++]?.text ?? "" }));
  return {
    monitor: section(plan.monitor),
    ...(plan.hooks === undefined ? {} : { hooks: section(plan.hooks) }),
    container: section(plan.container),
    teardown: section(plan.teardown),
  };
}

const titles = {
  monitor: "On the host:",
  hooks: "On the host, when the mounts are made:",
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
