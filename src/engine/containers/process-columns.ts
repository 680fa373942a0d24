/** One row of ps(1) from /proc/PID/stat, status and cmdline (proc(5)). Pure. */
import { GantryError } from "../../lib/index.ts";

export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  readonly uid: number;
  readonly gid: number;
  readonly state: string;
  readonly nice: number;
  readonly threads: number;
  /** Device number of the controlling terminal; 0: none. */
  readonly tty: number;
  /** Clock ticks. */
  readonly cpuTicks: number;
  readonly startTicks: number;
  readonly virtualBytes: number;
  readonly residentKb: number;
  readonly name: string;
  readonly command: string;
}

export interface Machine {
  readonly bootMs: number;
  readonly nowMs: number;
  readonly memoryKb: number;
  /** As the host names them. */
  readonly userNames: ReadonlyMap<number, string>;
}

/** USER_HZ: 100 on every architecture that Gantry runs on. */
const ticksPerSecond = 100;

export function parseProcess(stat: string, status: string, cmdline: string): ProcessFacts {
  // The name stands in parentheses and may itself hold spaces and parentheses.
  const end = stat.lastIndexOf(")");
  const fields = stat.slice(end + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  const name = stat.slice(stat.indexOf("(") + 1, end);
  const line = (key: string): readonly string[] =>
    new RegExp(`^${key}:\\s+(.*)$`, "m").exec(status)?.[1]?.split(/\s+/) ?? [];
  const command = cmdline.replace(/\0+$/, "").replaceAll("\0", " ");
  return {
    pid: Number(stat.slice(0, stat.indexOf(" "))),
    state: fields[0] ?? "?",
    ppid: field(4),
    pgid: field(5),
    sid: field(6),
    tty: field(7),
    cpuTicks: field(14) + field(15),
    nice: field(19),
    threads: field(20),
    startTicks: field(22),
    virtualBytes: field(23),
    uid: Number(line("Uid")[1] ?? 0),
    gid: Number(line("Gid")[1] ?? 0),
    residentKb: Number(line("VmRSS")[0] ?? 0),
    name,
    command: command === "" ? `[${name}]` : command,
  };
}

export interface Column {
  readonly title: string;
  readonly of: (facts: ProcessFacts, machine: Machine) => string;
}

const pad = (value: number): string => String(Math.floor(value)).padStart(2, "0");
const startMs = (facts: ProcessFacts, machine: Machine): number =>
  machine.bootMs + (facts.startTicks * 1000) / ticksPerSecond;

function hms(seconds: number): string {
  return `${pad(seconds / 3600)}:${pad((seconds / 60) % 60)}:${pad(seconds % 60)}`;
}

function elapsed(facts: ProcessFacts, machine: Machine): string {
  const seconds = Math.max(0, (machine.nowMs - startMs(facts, machine)) / 1000);
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)}-${hms(seconds % 86_400)}`;
  return seconds >= 3600 ? hms(seconds) : `${pad(seconds / 60)}:${pad(seconds % 60)}`;
}

function cpuPercent(facts: ProcessFacts, machine: Machine): number {
  const seconds = (machine.nowMs - startMs(facts, machine)) / 1000;
  return seconds <= 0 ? 0 : (facts.cpuTicks / ticksPerSecond / seconds) * 100;
}

/** `14:05` today, `Nov23` earlier. */
function started(facts: ProcessFacts, machine: Machine): string {
  const at = new Date(startMs(facts, machine));
  if (machine.nowMs - at.getTime() < 86_400_000) return `${pad(at.getHours())}:${pad(at.getMinutes())}`;
  return `${at.toLocaleString("en-US", { month: "short" })}${pad(at.getDate())}`;
}

/** As ps names terminals of Unix98 ptys (admin-guide/devices.txt: majors 136 to 143). */
function terminal({ tty }: ProcessFacts): string {
  if (tty === 0) return "?";
  const major = (tty >> 8) & 0xfff;
  const minor = (tty & 0xff) | ((tty >> 12) & 0xfff00);
  return major >= 136 && major <= 143 ? `pts/${minor + (major - 136) * 256}` : `${major}:${minor}`;
}

function userName({ uid }: ProcessFacts, { userNames }: Machine): string {
  return userNames.get(uid) ?? String(uid);
}

const columns: Readonly<Record<string, Column>> = {
  uid: { title: "UID", of: userName },
  user: { title: "USER", of: userName },
  gid: { title: "GID", of: (p) => String(p.gid) },
  pid: { title: "PID", of: (p) => String(p.pid) },
  ppid: { title: "PPID", of: (p) => String(p.ppid) },
  pgid: { title: "PGID", of: (p) => String(p.pgid) },
  sid: { title: "SID", of: (p) => String(p.sid) },
  c: { title: "C", of: (p, m) => String(Math.min(99, Math.floor(cpuPercent(p, m)))) },
  pcpu: { title: "%CPU", of: (p, m) => cpuPercent(p, m).toFixed(1) },
  pmem: { title: "%MEM", of: (p, m) => ((p.residentKb / m.memoryKb) * 100).toFixed(1) },
  vsz: { title: "VSZ", of: (p) => String(Math.floor(p.virtualBytes / 1024)) },
  rss: { title: "RSS", of: (p) => String(p.residentKb) },
  stime: { title: "STIME", of: started },
  start: { title: "START", of: started },
  etime: { title: "ELAPSED", of: elapsed },
  tty: { title: "TTY", of: terminal },
  time: { title: "TIME", of: (p) => hms(p.cpuTicks / ticksPerSecond) },
  stat: { title: "STAT", of: (p) => p.state },
  state: { title: "S", of: (p) => p.state },
  ni: { title: "NI", of: (p) => String(p.nice) },
  nlwp: { title: "NLWP", of: (p) => String(p.threads) },
  comm: { title: "COMMAND", of: (p) => p.name },
  cmd: { title: "CMD", of: (p) => p.command },
  args: { title: "COMMAND", of: (p) => p.command },
};

const aliases: Readonly<Record<string, string>> = {
  "%cpu": "pcpu",
  "%mem": "pmem",
  command: "args",
  tt: "tty",
  tname: "tty",
  s: "state",
  vsize: "vsz",
  rsz: "rss",
  euid: "uid",
  euser: "user",
  ucmd: "comm",
  lstart: "start",
  nice: "ni",
  thcount: "nlwp",
  pgrp: "pgid",
  sess: "sid",
};

const full = ["uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];
const bsd = ["user", "pid", "pcpu", "pmem", "vsz", "rss", "tty", "stat", "start", "time", "args"];

/**
 * The columns of ps arguments: the default, `-ef`, `aux`, or a list after `-o`, `-eo`.
 * @throws {GantryError} "unsupported"
 */
export function parseColumns(psArgs: string): readonly Column[] {
  const words = psArgs
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "");
  const text = words.join(" ");
  if (text === "" || /^-[efA]+$/.test(text)) return named(full);
  if (/^-?[aux]+$/.test(text)) return named(bsd);
  const list = /^-?[eA]?o\s?(\S.*)$/.exec(text)?.[1];
  if (list !== undefined)
    return named(list.split(/[ ,]+/).map((name) => name.replace(/=.*$/, "").toLowerCase()));
  throw new GantryError("unsupported", `ps arguments are not supported: ${psArgs.slice(0, 100)}`, {
    hint: "one of: -ef, aux, -o COLUMN,… (uid pid ppid pcpu pmem vsz rss tty stat time etime comm args …)",
  });
}

function named(names: readonly string[]): readonly Column[] {
  return names.map((name) => {
    const column = columns[aliases[name] ?? name];
    if (column === undefined) throw new GantryError("unsupported", `unknown ps column: ${name.slice(0, 40)}`);
    return column;
  });
}

export function renderColumn(column: Column, facts: ProcessFacts, machine: Machine): string {
  return column.of(facts, machine);
}
