/** What fuzzing starts from: valid configs, and the plans of them. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { encodePlan } from "../../src/runtime/encode-plan.ts";
import { everyStep } from "../../src/runtime/every-step.test-data.ts";
import type { OciConfig } from "../../src/runtime/index.ts";
import { exampleConfig, rootlessConfig } from "../../src/runtime/oci/example-config.ts";
import { sampleConfig } from "../../src/runtime/sample.test-data.ts";
import type { Json } from "./config-arbitrary.ts";
import { tryConfig } from "./try-config.ts";

const asJson = (config: OciConfig): Json => JSON.parse(JSON.stringify(config)) as Json;

function withCgroup(config: OciConfig): OciConfig {
  return { ...config, root: { path: "/rootfs" }, linux: { ...config.linux, cgroupsPath: "/fuzz/a" } };
}

export const seedConfigs: readonly Json[] = [
  asJson(sampleConfig),
  asJson(withCgroup(exampleConfig(true))),
  asJson(withCgroup(rootlessConfig(exampleConfig(true), 1000, 1000))),
  asJson({
    ociVersion: "1.0.2",
    root: { path: "/rootfs" },
    process: { cwd: "/", args: ["true"] },
    linux: { cgroupsPath: "/fuzz/b", namespaces: [{ type: "mount" }, { type: "pid" }] },
  }),
];

/** Encoded plans as files below a new directory, for plan-fuzz. */
export function seedPlanFiles(): { readonly dir: string; readonly files: readonly string[] } {
  const dir = mkdtempSync("/tmp/gantry-fuzz-");
  const plans = [
    encodePlan(everyStep, {
      socketPath: "/s",
      statusPath: "/t",
      log: { path: "/l", maxBytes: 1000, maxFiles: 2 },
      terminal: { rows: 1, cols: 2 },
      stdin: { once: true },
      oomPath: "/o",
      attach: [{ stdin: true, stdout: true, stderr: false }],
      consoleSocket: "/c",
      processTitle: "title",
      preserveFds: 3,
    }),
    ...seedConfigs.flatMap((config) => tryConfig(config).plans),
  ];
  const files = plans.map((plan, index) => {
    const file = `${dir}/plan${index}`;
    writeFileSync(file, plan);
    return file;
  });
  return { dir, files };
}
