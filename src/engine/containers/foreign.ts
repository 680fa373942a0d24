/** A container that another OCI runtime makes (`--runtime runc`): its bundle on disk, and the plan that runs the runtime. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newId } from "../../lib/index.ts";
import type { OciConfig, OciProcess } from "../../runtime/index.ts";
import {
  type ForeignRuntime,
  foreignOomPath,
  planForeignContainer,
  planForeignExec,
} from "../../runtime/index.ts";
import type { ContainerPlan, ExtraSteps, OverlayRoot, Plan } from "../../runtime/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { usesInit } from "../engine-defaults.ts";
import { containerPaths, type EnginePaths } from "../paths.ts";
import { initFile } from "./init-file.ts";

/** What we ask for is older than this; crun 1.8 refuses to look at a config of a newer version. */
const bundleVersion = "1.0.2";
/** Where an init of ours stands in the container; docker's name. */
const initInside = "/sbin/docker-init";

export function foreignRuntime(
  { paths }: EngineContext,
  record: ContainerRecord,
  program: string,
): ForeignRuntime {
  return {
    program,
    root: runtimeRoot(paths),
    id: record.id,
    bundle: containerPaths(paths, record.id).bundle,
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  };
}

export interface ForeignRequest {
  readonly record: ContainerRecord;
  readonly program: string;
  readonly config: OciConfig;
  readonly overlay: OverlayRoot;
  readonly network: ExtraSteps | undefined;
}

/** Pure: what `explain` prints, and `launch` executes when the bundle is written. */
export function foreignPlan(context: EngineContext, request: ForeignRequest): ContainerPlan {
  const { record, program, config, overlay, network } = request;
  const oomPath = foreignOomPath(context.cgroups, config.linux?.cgroupsPath ?? "");
  const plan = planForeignContainer({
    runtime: foreignRuntime(context, record, program),
    overlay,
    terminal: record.config.Tty,
    cgroups: context.cgroups,
    ...(network === undefined ? {} : { network }),
  });
  return { plan, warnings: [], notes: [], ...(oomPath === undefined ? {} : { oomPath }) };
}

/** Anew at every start: a bundle of an earlier one may be of another network, or cut off. */
export function writeBundle(context: EngineContext, record: ContainerRecord, config: OciConfig): void {
  const { bundle } = containerPaths(context.paths, record.id);
  clearForeign(context, record.id);
  mkdirSync(bundle, { recursive: true, mode: 0o700 });
  const complete = usesInit(context.defaults, record) ? withInit(config, initFile(context)) : config;
  writeFileSync(join(bundle, "config.json"), JSON.stringify({ ...complete, ociVersion: bundleVersion }), {
    mode: 0o600,
  });
}

/** What another runtime knows of a container, and its bundle. Its processes and cgroups are cleared away as ours are. */
export function clearForeign({ paths }: EngineContext, id: string): void {
  rmSync(join(runtimeRoot(paths), id), { recursive: true, force: true });
  rmSync(containerPaths(paths, id).bundle, { recursive: true, force: true });
}

function runtimeRoot(paths: EnginePaths): string {
  return join(paths.state, "oci");
}

/** Pure. */
export function withInit(config: OciConfig, source: string): OciConfig {
  const { process } = config;
  if (process === undefined) return config;
  const mount = { destination: initInside, type: "bind", source, options: ["bind", "ro"] };
  return {
    ...config,
    process: { ...process, args: [initInside, "init", "--", ...(process.args ?? [])] },
    mounts: [...(config.mounts ?? []), mount],
  };
}

/** The plan of an exec; the process's file is written, and removed by the plan's teardown. */
export function foreignExec(
  context: EngineContext,
  record: ContainerRecord,
  program: string,
  process: OciProcess,
): Plan {
  const runtime = foreignRuntime(context, record, program);
  const processFile = join(runtime.bundle, `x${newId().slice(0, 8)}`);
  writeFileSync(`${processFile}.new`, JSON.stringify(process), { mode: 0o600 });
  renameSync(`${processFile}.new`, processFile);
  return planForeignExec({
    runtime,
    processFile,
    terminal: process.terminal === true,
    cgroups: context.cgroups,
  });
}
