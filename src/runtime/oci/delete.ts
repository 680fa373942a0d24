/** `gantry-oci delete`. */
import { existsSync } from "node:fs";
import { detectCgroups, loadSys, type Sys } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import { killCgroup, removeCgroup } from "../cgroup-files.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { signalFirst } from "./kill.ts";
import { isAlive } from "./process-identity.ts";

const sigKill = 9;
const endDeadlineMs = 10_000;
const endPollMs = 5;

export async function deleteContainer({ global, flags }: VerbInput): Promise<number> {
  const [id = ""] = expectWords("delete", flags, 1);
  const force = flags.is("force");
  const dir = new ContainerDir(global.root, id);
  if (force && !existsSync(dir.path)) return 0;
  const sys = loadSys();
  await dir.locked(sys, async () => {
    const stored = readOrForce(dir, force);
    if (stored !== undefined) await end(sys, dir, stored, force);
    dir.remove();
  });
  return 0;
}

/** With --force a state file that is missing or broken (a create killed half-way) hinders nobody. */
function readOrForce(dir: ContainerDir, force: boolean): StoredState | undefined {
  try {
    return dir.read();
  } catch (error) {
    if (force && error instanceof GantryError) return undefined;
    throw error;
  }
}

async function end(sys: Sys, dir: ContainerDir, stored: StoredState, force: boolean): Promise<void> {
  const status = dir.statusOf(stored);
  if (status === "running" && !force)
    throw new GantryError("conflict", `cannot delete container ${stored.id} that is not stopped: running`, {
      hint: `stop it first, or use: gantry-oci delete --force ${stored.id}`,
    });
  const cgroups = detectCgroups();
  const path = stored.config.linux?.cgroupsPath ?? "";
  if (status !== "stopped") {
    signalFirst(sys, stored, sigKill);
    await killCgroup(cgroups, path);
    await untilEnded(stored);
  }
  await removeCgroup(cgroups, path);
  const hooks = stored.config.hooks?.poststop;
  if (hooks === undefined) return;
  const [{ runHooks }, { shownState }] = await Promise.all([import("./hooks.ts"), import("./oci-state.ts")]);
  await runHooks("poststop", hooks, await shownState(dir, stored));
}

async function untilEnded({ id, process: first }: StoredState): Promise<void> {
  const until = performance.now() + endDeadlineMs;
  while (first !== undefined && isAlive(first)) {
    if (performance.now() > until)
      throw new GantryError(
        "timeout",
        `the first process of container ${id} did not end within ${endDeadlineMs / 1000} s of SIGKILL`,
      );
    await Bun.sleep(endPollMs);
  }
}
