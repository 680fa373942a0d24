/** `gantry-oci exec`. */
import { readFileSync } from "node:fs";
import { detectCgroups, loadSys } from "../../kernel/index.ts";
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { OciCapabilities, OciProcess, OciUser } from "../oci-types.ts";
import { planExec } from "../plan-exec.ts";
import { validateProcess } from "../validate-config.ts";
import { preserveCount, terminalOptions } from "./begin.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords, type ParsedFlags } from "./flags.ts";
import { followToEnd, SignalForwarder } from "./follow.ts";
import { launchRun } from "./launch.ts";
import { shownState } from "./oci-state.ts";

export async function exec({ global, flags }: VerbInput): Promise<number> {
  const fromFile = flags.text("process");
  const [id = "", ...command] = expectWords(
    "exec",
    flags,
    fromFile === undefined ? 2 : 1,
    Number.POSITIVE_INFINITY,
  );
  if (flags.has("cgroup")) throw new GantryError("unsupported", "gantry-oci does not offer exec --cgroup");
  const dir = new ContainerDir(global.root, id);
  const stored = dir.read();
  const { status } = await shownState(dir, stored);
  if (status === "stopped" || stored.process === undefined)
    throw new GantryError("conflict", "cannot exec in a stopped container");
  if (status === "paused" && !flags.is("ignore-paused"))
    throw new GantryError("conflict", "cannot exec in a paused container (use --ignore-paused to override)");
  const process = fromFile === undefined ? processOf(stored, command, flags) : readProcess(fromFile);
  const detach = flags.is("detach");
  const options = terminalOptions({ ...stored.config, process }, flags, detach);
  const { plan } = planExec({
    process,
    target: stored.process,
    containerConfig: stored.config,
    cgroups: detectCgroups(),
    ...(flags.has("pid-file") ? { pidFile: flags.text("pid-file") ?? "" } : {}),
  });
  const sys = loadSys();
  if (process.terminal === true && !detach) {
    const { launchSession, relay } = await import("./run-terminal.ts");
    const { session } = await launchSession(sys, plan, options);
    return await relay(sys, session);
  }
  using signals = new SignalForwarder();
  const running = await launchRun(sys, {
    plan,
    options: { ...options, ...(detach ? { detach: true } : {}) },
    preserveFds: preserveCount(flags),
  });
  signals.to(running.runnerPid);
  if (!detach) return await followToEnd(running);
  running.control.close();
  return 0;
}

function readProcess(file: string): OciProcess {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw toGantryError(error, `read the process of ${file}`);
  }
  return validateProcess(value);
}

/** The container's own process with what the flags change. */
function processOf(stored: StoredState, args: readonly string[], flags: ParsedFlags): OciProcess {
  const base: OciProcess = stored.config.process ?? { cwd: "/" };
  const cwd = flags.text("cwd");
  const { consoleSize: _size, ...rest } = base;
  return validateProcess({
    ...rest,
    args,
    ...(cwd === undefined ? {} : { cwd }),
    terminal: flags.is("tty"),
    env: [...(base.env ?? []), ...flags.list("env")],
    user: userOf(base.user ?? { uid: 0, gid: 0 }, flags),
    noNewPrivileges: flags.is("no-new-privs") || base.noNewPrivileges === true,
    ...(flags.has("cap")
      ? { capabilities: withCapabilities(base.capabilities ?? {}, flags.list("cap")) }
      : {}),
  });
}

function userOf(base: OciUser, flags: ParsedFlags): OciUser {
  const given = flags.text("user");
  const groups = flags.list("additional-gids").map((word) => wholeNumber("--additional-gids", word));
  const user = given === undefined ? base : parseUser(given);
  return groups.length === 0
    ? user
    : { ...user, additionalGids: [...(user.additionalGids ?? []), ...groups] };
}

/** `UID[:GID]`, numbers only, as runc. */
function parseUser(text: string): OciUser {
  const [uid = "", gid = "0"] = text.split(":");
  return { uid: wholeNumber("--user", uid), gid: wholeNumber("--user", gid) };
}

function wholeNumber(flag: string, word: string): number {
  if (!/^[0-9]+$/.test(word))
    throw new GantryError("invalid", `${flag}: ${JSON.stringify(word)} is not a number`);
  return Number(word);
}

/** As runc: a --cap is added to every set but the ambient one. */
function withCapabilities(base: OciCapabilities, names: readonly string[]): OciCapabilities {
  const add = (set: readonly string[] = []): readonly string[] => [...new Set([...set, ...names])];
  return {
    ...base,
    bounding: add(base.bounding),
    effective: add(base.effective),
    permitted: add(base.permitted),
    inheritable: add(base.inheritable),
  };
}
