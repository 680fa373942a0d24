/** The processes of a container, as ps(1) would print them: from its cgroup and /proc. */
import { readFileSync } from "node:fs";
import { GantryError, isErrno } from "../../lib/index.ts";
import { cgroupPids } from "../../runtime/index.ts";
import { isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { cgroupPath } from "../paths.ts";
import { parsePasswd } from "../users/account-files.ts";
import {
  type Machine,
  parseColumns,
  type ProcessFacts,
  parseProcess,
  renderColumn,
} from "./process-columns.ts";

export interface ProcessTable {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

/** More processes than this are not listed. */
const maxRows = 4096;

/**
 * @param psArgs `-ef` (the default), `-eo`/`-o COLUMN,…`, or `aux`
 * @throws {GantryError} "conflict" when it does not run, "unsupported" for other arguments
 */
export function topContainer(
  { cgroups, paths }: EngineContext,
  { record, state }: StoredContainer,
  psArgs: string,
): ProcessTable {
  if (!isAlive(state.status)) throw new GantryError("conflict", `container ${record.id} is not running`);
  const columns = parseColumns(psArgs);
  const machine = readMachine();
  const rows: (readonly string[])[] = [];
  for (const pid of cgroupPids(cgroups, cgroupPath(paths, record)).slice(0, maxRows)) {
    const facts = readProcess(pid);
    if (facts !== undefined) rows.push(columns.map((column) => renderColumn(column, facts, machine)));
  }
  return { Titles: columns.map(({ title }) => title), Processes: rows };
}

/** Undefined for a process that has ended meanwhile. */
function readProcess(pid: number): ProcessFacts | undefined {
  try {
    const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, "utf8");
    return parseProcess(read("stat"), read("status"), read("cmdline"));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}

function readMachine(): Machine {
  const bootSeconds = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? 0);
  const memoryKb = Number(/^MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 1);
  return { bootMs: bootSeconds * 1000, nowMs: Date.now(), memoryKb, userNames: readUserNames() };
}

function readUserNames(): ReadonlyMap<number, string> {
  try {
    return new Map(parsePasswd(readFileSync("/etc/passwd", "utf8")).map(({ uid, name }) => [uid, name]));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return new Map();
    throw error;
  }
}
