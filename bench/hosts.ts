/**
 * Gantry's engine and dockerd, each in a network namespace and in directories of its own, so that neither sees the other
 * and the machine itself is not touched.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { output } from "./run-command.ts";

export interface Host {
  readonly pid: number;
  /** The client's command line up to its first word. */
  readonly client: readonly string[];
  stop(): Promise<void>;
}

const root = new URL("..", import.meta.url).pathname;
const gantryBinary = join(root, "dist/gantry");
export const gantryOci: string = join(root, "dist/gantry-oci");

/** A network namespace with a working loopback. */
export function makeNamespace(name: string): Disposable {
  output("ip", "netns", "add", name);
  output("ip", "-n", name, "link", "set", "lo", "up");
  return { [Symbol.dispose]: () => void output("ip", "netns", "delete", name) };
}

/** Only the network is another: `ip netns exec` would mount a new /sys as well, without its cgroups. */
export const inNamespace = (name: string): string[] => ["nsenter", `--net=/run/netns/${name}`];

async function until(what: string, test: () => boolean, timeoutMs: number): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !test(); await Bun.sleep(20)) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s`);
  }
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  await Promise.race([child.exited, Bun.sleep(20_000).then(() => child.kill("SIGKILL"))]);
}

export interface GantryHost extends Host {
  /** Milliseconds from the start of the process to the word `ready`. */
  readonly readyMs: number;
  readonly socket: string;
}

/** Starts `gantry engine` in `dir` inside the namespace and waits for the word `ready`. */
export async function startGantry(dir: string, namespace: string): Promise<GantryHost> {
  mkdirSync(dir, { recursive: true });
  const places = ["--root", join(dir, "lib"), "--state", join(dir, "run")];
  const started = performance.now();
  const child = Bun.spawn([...inNamespace(namespace), gantryBinary, "engine", ...places], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: Bun.file(join(dir, "engine.log")),
  });
  let ready = false;
  for await (const piece of child.stdout) {
    ready ||= Buffer.from(piece).toString().includes("ready");
    if (ready) break;
  }
  if (!ready)
    throw new Error(`the engine did not start: ${readFileSync(join(dir, "engine.log"), "utf8").slice(-500)}`);
  return {
    pid: child.pid,
    readyMs: performance.now() - started,
    socket: join(dir, "run/engine.sock"),
    client: [gantryBinary, "--no-autostart", ...places],
    stop: () => end(child),
  };
}

export interface DockerHost extends Host {
  readonly containerdPid: number;
}

/** Starts Debian's dockerd, which starts its containerd. */
export async function startDocker(dir: string, namespace: string): Promise<DockerHost> {
  mkdirSync(dir, { recursive: true });
  const socket = `unix://${join(dir, "docker.sock")}`;
  const words = [
    "--data-root",
    join(dir, "data"),
    "--exec-root",
    join(dir, "exec"),
    "-p",
    join(dir, "pid"),
    "-H",
    socket,
  ];
  const child = Bun.spawn([...inNamespace(namespace), "dockerd", ...words], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(dir, "dockerd.log")),
  });
  const client = ["/usr/bin/docker", "-H", socket];
  const answers = (): boolean =>
    Bun.spawnSync([...client, "version"], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
  await until("dockerd's first answer", answers, 60_000);
  const containerdPid = Number(readFileSync(join(dir, "exec/containerd/containerd.pid"), "utf8"));
  return { pid: child.pid, containerdPid, client, stop: () => end(child) };
}

/** What docker.io and podman leave on the machine although they were ended: empty control groups, a mount. */
export function removeTraces(podmanRoot: string): void {
  Bun.spawnSync(["umount", "-l", join(podmanRoot, "overlay")], { stderr: "ignore" });
  for (const hierarchy of readdirSync("/sys/fs/cgroup")) {
    for (const name of ["docker", "libpod_parent"]) {
      try {
        rmdirSync(join("/sys/fs/cgroup", hierarchy, name));
      } catch {
        // ENOENT: it was never made here. EBUSY: another dockerd of this machine uses it.
      }
    }
  }
}
