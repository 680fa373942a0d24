/**
 * Fuzzing by hand, `make fuzz`: config-fuzz.ts MINUTES [SEED]. Configs first, then gantry-init's plan decoder under
 * sanitizers, half of the time each. Ends with status 1 and the config, made as small as it can be, that broke a rule.
 */
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { configs, type Json } from "./config-arbitrary.ts";
import { seedConfigs, seedPlanFiles } from "./seeds.ts";
import { refusedByDecoder, tryConfig } from "./try-config.ts";

const decoder = resolve(import.meta.dir, "../../build/plan-fuzz");
const batchRuns = 500;

export interface FuzzCount {
  configs: number;
  valid: number;
  plans: number;
}

/** One batch of configs; the same for the same seed. @throws with the shrunk config when a rule is broken */
export function fuzzConfigs(seed: number, runs: number, count: FuzzCount): void {
  const made: { readonly config: Json; readonly plan: Uint8Array }[] = [];
  const details = fc.check(
    fc.property(configs(seedConfigs), (config) => {
      const { plans, valid } = tryConfig(config);
      count.configs++;
      if (valid) count.valid++;
      for (const plan of plans) made.push({ config, plan });
    }),
    { seed, numRuns: runs, endOnFailure: false },
  );
  if (details.failed) {
    const cause = details.errorInstance;
    throw new Error(
      `seed ${seed}: ${cause instanceof Error ? cause.stack : String(cause)}\nwith ${JSON.stringify(details.counterexample?.[0])}`,
    );
  }
  count.plans += made.length;
  if (
    refusedByDecoder(
      decoder,
      made.map(({ plan }) => plan),
    ).length === 0
  )
    return;
  for (const { config, plan } of made) {
    const [refused] = refusedByDecoder(decoder, [plan]);
    if (refused !== undefined)
      throw new Error(`the decoder says ${refused} to the plan of ${JSON.stringify(config)}`);
  }
}

/** Mutated plans. @throws with the sanitizer's report */
export function fuzzPlans(seed: number, seconds: number): string {
  const { dir, files } = seedPlanFiles();
  try {
    const ran = Bun.spawnSync([decoder, String(seconds), String(seed), ...files], {
      stdout: "pipe",
      stderr: "pipe",
      timeout: (seconds + 60) * 1000,
    });
    if (ran.exitCode !== 0)
      throw new Error(`plan-fuzz with seed ${seed}: ${ran.exitCode} ${ran.stderr.toString()}`);
    return ran.stdout.toString().trim();
  } finally {
    rmSync(dir, { recursive: true });
  }
}

if (import.meta.main) {
  const minutes = Number(process.argv[2] ?? 10);
  const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
  const count: FuzzCount = { configs: 0, valid: 0, plans: 0 };
  const until = performance.now() + minutes * 30_000;
  process.stdout.write(`seed ${seed}\n`);
  for (let batch = 0; performance.now() < until; batch++) fuzzConfigs(seed + batch, batchRuns, count);
  process.stdout.write(`${count.configs} configs, ${count.valid} of them valid, ${count.plans} plans\n`);
  process.stdout.write(`${fuzzPlans(seed, Math.round(minutes * 30))}\n`);
}
