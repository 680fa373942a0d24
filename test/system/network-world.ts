/** A small world for network.test.ts: this process's own network namespace is the host, others are containers and neighbours. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadSys, Netlink, type Sys } from "../../src/kernel/index.ts";
import { createLogger, Database } from "../../src/lib/index.ts";
import { type Attachment, type AttachRequest, Networks } from "../../src/network/index.ts";
import type { ContainerStep, MonitorStep } from "../../src/runtime/index.ts";

export const sys: Sys = loadSys();
const peerScript = resolve(import.meta.dir, "network-peer.ts");
export const scratch: string = mkdtempSync(join(tmpdir(), "gantry-network-"));
writeFileSync(join(scratch, "resolv.conf"), "nameserver 127.0.0.1\n");
const children: Bun.Subprocess[] = [];
export const logged: string[] = [];
export const logger = createLogger("debug", (line) => void logged.push(line));

/** A process in a network namespace of its own. */
export interface Place {
  readonly pid: number;
  /** Runs the peer script inside and returns its output. */
  ask(...words: readonly string[]): Promise<string>;
  serve(name: string, port: number): Promise<void>;
  end(): Promise<void>;
}

async function spawnPeer(prefix: readonly string[], words: readonly string[]): Promise<string> {
  const child = Bun.spawn([...prefix, process.execPath, peerScript, ...words], {
    stdout: "pipe",
    stderr: "inherit",
    timeout: 20_000,
  });
  return (await new Response(child.stdout).text()).trim();
}

export const askHere = (...words: readonly string[]): Promise<string> => spawnPeer([], words);

async function startServer(prefix: readonly string[], name: string, port: number): Promise<Bun.Subprocess> {
  const child = Bun.spawn([...prefix, process.execPath, peerScript, "serve", name, String(port)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  children.push(child);
  for await (const _ready of child.stdout) break;
  return child;
}

export async function newPlace(): Promise<Place> {
  const holder = Bun.spawn(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 600"], { stdout: "pipe" });
  children.push(holder);
  for await (const _ready of holder.stdout) break;
  const enter = ["nsenter", "-t", String(holder.pid), "-n"];
  const servers: Bun.Subprocess[] = [];
  return {
    pid: holder.pid,
    ask: (...words) => spawnPeer(enter, words),
    serve: async (name, port) => void servers.push(await startServer(enter, name, port)),
    end: async () => {
      for (const child of [...servers, holder]) child.kill("SIGKILL");
      await Promise.all([...servers, holder].map((child) => child.exited));
    },
  };
}

/** Does what gantry-init would: sends the messages of netlink steps. */
export function runSteps(
  steps: readonly (MonitorStep | ContainerStep)[],
  pid: number,
  netnsPath?: string,
): void {
  for (const step of steps) {
    if (step.do !== "netlink") throw new Error(`unexpected step ${step.do}`);
    using netlink = new Netlink(sys, step.protocol, netnsPath);
    for (const { message, pidOffset, description } of step.messages) {
      const bytes = Uint8Array.from(message);
      if (pidOffset !== undefined) new DataView(bytes.buffer).setUint32(pidOffset, pid, true);
      try {
        netlink.request([{ message: bytes, description }]);
      } catch (error) {
        if (step.optional !== true) throw error;
      }
    }
  }
}

export interface Plugged extends Place {
  readonly attachment: Attachment;
  /** What the monitor does at a container's end. */
  teardown(): void;
}

/** A container: a place that is plugged into a network. */
export async function plug(
  networks: Networks,
  request: Omit<AttachRequest, "aliases" | "ports"> & Partial<AttachRequest>,
): Promise<Plugged> {
  const attachment = await networks.attach({ aliases: [], ports: [], ...request });
  const place = await newPlace();
  runSteps(attachment.steps.monitor, place.pid);
  runSteps(attachment.steps.container, place.pid, `/proc/${place.pid}/ns/net`);
  return {
    ...place,
    attachment,
    teardown: () => {
      runSteps(attachment.steps.teardown, place.pid);
      for (const fd of attachment.holdFds) sys.close(fd);
    },
  };
}

export function run(...words: readonly string[]): string {
  const done = Bun.spawnSync([...words], { stderr: "pipe", timeout: 20_000 });
  if (done.exitCode !== 0) throw new Error(`${words.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout.toString();
}

/** All that can be left behind in a network namespace. */
export function kernelState(): string {
  const links = run("ip", "-o", "link").replaceAll(/@\S+|<.*/g, "");
  return [links, run("ip", "-o", "-4", "addr"), run("ip", "route"), run("nft", "list", "ruleset")].join("\n");
}

/** Makes a place send what is for 127.0.0.1 to a neighbour, as a hostile one with root would. */
export function routeLoopback(pid: number, via: string): () => void {
  const inside = (...words: readonly string[]): string => run("nsenter", "-t", String(pid), "-n", ...words);
  inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet");
  inside("ip", "route", "add", "127.0.0.1", "via", via, "dev", "eth0", "table", "100");
  inside("ip", "rule", "add", "pref", "5", "lookup", "100");
  inside("ip", "rule", "add", "pref", "10", "lookup", "local");
  inside("ip", "rule", "del", "pref", "0");
  return () => {
    inside("ip", "rule", "add", "pref", "0", "lookup", "local");
    inside("ip", "rule", "del", "pref", "5");
    inside("ip", "rule", "del", "pref", "10");
  };
}

export async function openNetworks(
  instance: string,
  path = ":memory:",
): Promise<{ networks: Networks; db: Database }> {
  const db = new Database(path);
  const networks = await Networks.open({
    db,
    sys,
    logger,
    instance,
    resolvConfPath: join(scratch, "resolv.conf"),
  });
  return { networks, db };
}

export const newContainerId = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");

export async function endWorld(): Promise<void> {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
  rmSync(scratch, { recursive: true, force: true });
}
