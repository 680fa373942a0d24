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

/** A filter of a few rules: docker's has 400 system calls, which say nothing new and take most of the time. */
function shortFilter(config: OciConfig): OciConfig {
  const { seccomp } = config.linux ?? {};
  if (seccomp === undefined) return config;
  const syscalls = [
    { names: ["read", "clone"], action: "SCMP_ACT_ALLOW" } as const,
    ...(seccomp.syscalls ?? []).slice(1),
  ];
  return { ...config, linux: { ...config.linux, seccomp: { ...seccomp, syscalls } } };
}

export const seedConfigs: readonly Json[] = [
  asJson(shortFilter(sampleConfig)),
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
