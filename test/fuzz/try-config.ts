/** What must hold for any config: findings or a plan, quickly, and no other error than ours. */
import { GantryError } from "../../src/lib/index.ts";
import { encodePlan } from "../../src/runtime/encode-plan.ts";
import { explainPlan } from "../../src/runtime/explain-plan.ts";
import type { OciConfig } from "../../src/runtime/index.ts";
import { planContainer } from "../../src/runtime/plan-container.ts";
import { planExec } from "../../src/runtime/plan-exec.ts";
import type { Plan } from "../../src/runtime/plan-step.ts";
import { hybridLayout, v1Layout, v2Layout } from "../../src/runtime/sample.test-data.ts";
import { validateConfig } from "../../src/runtime/validate-config.ts";
import type { Json } from "./config-arbitrary.ts";

const slowMs = 3000;
const hooks = { id: "fuzz", bundle: "/b", rootfs: "/b/rootfs", env: ["A=1"] };

export interface Tried {
  /** Encoded plans; none for a config that was refused. */
  readonly plans: readonly Uint8Array[];
  readonly valid: boolean;
}

/** @throws what is not a GantryError, and when it took too long */
export function tryConfig(value: Json): Tried {
  const begun = performance.now();
  const config = gantryErrors(() => validateConfig(value));
  const plans = config === undefined ? [] : plansOf(config);
  const took = performance.now() - begun;
  if (took > slowMs) throw new Error(`it took ${took} ms`);
  return { plans, valid: config !== undefined };
}

function plansOf(config: OciConfig): readonly Uint8Array[] {
  const readText = (path: string): string | undefined =>
    /cpuset\.(cpus|mems)/.test(path) ? "0-1\n" : undefined;
  const makers = [v1Layout, hybridLayout, v2Layout].flatMap((cgroups): (() => Plan)[] => [
    () => planContainer({ config, cgroups, hooks, startFifo: "/b/fifo", readText }).plan,
    () =>
      planExec({
        // Without a process there is nothing to run, which planContainer says.
        process: config.process ?? { cwd: "/", args: ["true"] },
        target: { pid: 2, startTime: "7" },
        containerConfig: config,
        cgroups,
      }).plan,
  ]);
  return makers.flatMap((make) => {
    const bytes = gantryErrors(() => {
      const plan = make();
      explainPlan(plan);
      return encodePlan(plan, { detach: true });
    });
    return bytes === undefined ? [] : [bytes];
  });
}

function gantryErrors<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof GantryError && error.code !== "internal") return undefined;
    throw error;
  }
}

/** Asks gantry-init's decoder, built with sanitizers, about plans. Those it refuses, with its words. */
export function refusedByDecoder(program: string, plans: readonly Uint8Array[]): readonly string[] {
  const ran = Bun.spawnSync([program, "check"], {
    stdin: Buffer.concat(plans),
    stdout: "pipe",
    stderr: "pipe",
  });
  if (ran.exitCode !== 0) return [`exit ${ran.exitCode}: ${ran.stderr.toString()}`];
  const lines = ran.stdout.toString().trimEnd().split("\n");
  if (lines.length !== plans.length) return [`${lines.length} answers for ${plans.length} plans`];
  return lines.filter((line) => line !== "ok");
}
