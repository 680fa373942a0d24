/** What Gantry can leave on a machine, as a set of lines, so that tests can compare before and after. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Processes, mounts, links, nftables, cgroups and directories that carry our names. */
export function machineState(): ReadonlySet<string> {
  return new Set([...processes(), ...mounts(), ...links(), ...tables(), ...cgroups(), ...folders()]);
}

/** What is there now and was not before; waits a moment for what is on its way out. */
export async function difference(before: ReadonlySet<string>, patienceMs = 5000): Promise<readonly string[]> {
  for (const deadline = Date.now() + patienceMs; ; await Bun.sleep(100)) {
    const left = [...machineState()].filter((line) => !before.has(line));
    if (left.length === 0 || Date.now() > deadline) return left;
  }
}

function* processes(): Generator<string> {
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const [program = "", ...words] = readOr(`/proc/${pid}/cmdline`).split("\0");
    const isOurs = program.startsWith("gantry-init") || /(^|\/)gantry(-oci)?$/.test(program);
    if (isOurs || words[0]?.endsWith("src/main.ts") === true)
      yield `process ${pid} ${[program, ...words].join(" ").trim().slice(0, 100)}`;
  }
}

function* mounts(): Generator<string> {
  for (const line of readOr("/proc/self/mountinfo").split("\n")) {
    if (/gantry/.test(line)) yield `mount ${line.split(" ")[4] ?? line}`;
  }
}

function* links(): Generator<string> {
  for (const name of readdirSync("/sys/class/net")) {
    if (/^(gantry|g[0-9a-f]{6}\d|gv)/.test(name)) yield `link ${name}`;
  }
}

function* tables(): Generator<string> {
  const done = Bun.spawnSync(["nft", "list", "tables"], { stdout: "pipe", stderr: "ignore" });
  for (const line of done.stdout.toString().split("\n")) if (/gantry/.test(line)) yield line;
}

function* cgroups(): Generator<string> {
  for (const hierarchy of ["", ...readdirOr("/sys/fs/cgroup")]) {
    for (const name of readdirOr(`/sys/fs/cgroup/${hierarchy}`)) {
      if (name.startsWith("gantry")) yield `cgroup /sys/fs/cgroup/${hierarchy}/${name}`;
    }
  }
}

function* folders(): Generator<string> {
  for (const path of ["/run/gantry", "/var/lib/gantry", "/run/gantry-oci"])
    if (existsSync(path)) yield `folder ${path}`;
  for (const name of readdirOr("/tmp")) if (name.startsWith("gantry")) yield `folder /tmp/${name}`;
}

/** The text of a file that may vanish while the machine is looked at. */
function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // ENOENT, ESRCH: the process has just ended.
    return "";
  }
}

function readdirOr(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // ENOENT, ENOTDIR: not a folder here.
    return [];
  }
}
