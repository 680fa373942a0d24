/**
 * One short proof for features of docs/runtime/features.md that no other test has in its title.
 * As root: scripts/bun test test/system/oci-features.test.ts
 */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { OciBundles, runBounded } from "../lib/oci-bundle.ts";
import { ociRuntime, type Ran } from "../lib/oci-world.ts";

setDefaultTimeout(60_000);

const bundles = new OciBundles("features");
afterAll(() => bundles.cleanUp());

const types = ["mount", "pid", "network", "ipc", "uts", "user", "cgroup", "time"] as const;
const files: Readonly<Record<string, string>> = { mount: "mnt", network: "net" };
const identity = [{ containerID: 0, hostID: 0, size: 65_536 }];
const oneToOne = { uidMappings: identity, gidMappings: identity };
/** Runs a shell in a container and returns what it printed. */
const shell = (script: string, linux: object, config: object = {}): string => {
  const ran = bundles.run({ args: ["sh", "-c", script], linux, config });
  expect([ran.code, ran.err]).toEqual([0, ""]);
  return ran.out;
};

test("all eight namespaces are new", () => {
  const names = types.map((type) => files[type] ?? type);
  const out = shell(`for n in ${names.join(" ")}; do readlink /proc/self/ns/$n; done`, {
    namespaces: types.map((type) => ({ type })),
    ...oneToOne,
  });
  const links = out.trim().split("\n");
  expect(links).toHaveLength(8);
  for (const [index, name] of names.entries())
    expect(links[index]).not.toBe(readlinkSync(`/proc/self/ns/${name}`));
});

test("namespaces of another container are joined by path", () => {
  const { id } = bundles.start({});
  const { pid } = JSON.parse(bundles.runtime("state", id).out);
  const joined = ["pid", "network", "ipc", "uts", "cgroup"] as const;
  const names = joined.map((type) => files[type] ?? type);
  const out = shell(
    `for n in ${names.join(" ")}; do readlink /proc/self/ns/$n; done`,
    {
      namespaces: [
        { type: "mount" },
        ...joined.map((type) => ({ type, path: `/proc/${pid}/ns/${files[type] ?? type}` })),
      ],
    },
    { hostname: "" },
  );
  expect(out.trim().split("\n")).toEqual(names.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)));
});

test("a time namespace with offsets", () => {
  const uptime = (text: string): number => Number(text.split(" ")[0]);
  const inside = shell(
    "cat /proc/uptime",
    {
      namespaces: ["mount", "pid", "time"].map((type) => ({ type })),
      timeOffsets: { boottime: { secs: 1_000_000 } },
    },
    { hostname: "" },
  );
  const difference = uptime(inside) - uptime(readFileSync("/proc/uptime", "utf8"));
  expect(Math.abs(difference - 1_000_000)).toBeLessThan(60);
});

test("host name and domain name", () => {
  expect(
    shell("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname", {}, { domainname: "of.test" }),
  ).toBe("box\nof.test\n");
});

test("an idmapped mount with a map of its own", () => {
  const dir = `${bundles.dir}/mapped`;
  mkdirSync(dir);
  writeFileSync(`${dir}/file`, "");
  chownSync(`${dir}/file`, 5000, 5000);
  const ran = bundles.run({
    args: ["stat", "-c", "%u:%g", "/mnt/file"],
    mounts: [
      {
        destination: "/mnt",
        type: "bind",
        source: dir,
        options: ["rbind", "ridmap"],
        uidMappings: [{ containerID: 5000, hostID: 7000, size: 10 }],
        gidMappings: [{ containerID: 5000, hostID: 7001, size: 10 }],
      },
    ],
  });
  expect(ran).toEqual({ code: 0, out: "7000:7001\n", err: "" });
});

test("user namespaces with several maps", () => {
  const maps = [
    { containerID: 0, hostID: 100_000, size: 10 },
    { containerID: 10, hostID: 300_000, size: 5 },
  ];
  const root = bundles.rootfs();
  runBounded(["chown", "-R", "100000:100000", root]);
  const ran = bundles.run({
    root: { path: root },
    args: ["sh", "-c", "id -u; cat /proc/self/uid_map"],
    linux: {
      namespaces: ["mount", "pid", "network", "ipc", "uts", "user", "cgroup"].map((type) => ({
        type,
      })) as never,
      uidMappings: maps,
      gidMappings: maps,
    },
  });
  expect(ran.err).toBe("");
  expect(ran.out.replace(/ +/g, " ")).toBe("0\n 0 100000 10\n 10 300000 5\n");
});

const python = Bun.which("python3");

/** A command whose container stays: it has the stdio of the command, so that no pipe could end. */
const detached = (dir: string, ...words: string[]): Ran => {
  const script = '"$@" > "$0" 2>&1 < /dev/null; code=$?; cat "$0" >&2; exit $code';
  return runBounded(["sh", "-c", script, `${dir}/out`, ...bundles.command(...words)]);
};

/** Accepts one connection, takes one fd from it and tells what it is. */
const fdReceiver = `
import socket, sys, os, array
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.bind(sys.argv[1]); s.listen(1); s.settimeout(20)
print("ready", flush=True)
c, _ = s.accept(); msg, fds, _, _ = socket.recv_fds(c, 4096, 1)
print(os.readlink("/proc/self/fd/%d" % fds[0]), flush=True)
if sys.argv[2] == "read": print(os.read(fds[0], 100).decode().strip(), flush=True)
`;

async function receive(socket: string, mode: "read" | "look", run: () => Ran): Promise<readonly string[]> {
  const child = Bun.spawn([python ?? "", "-c", fdReceiver, socket, mode], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  expect(run()).toMatchObject({ code: 0, err: "" });
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text.trim().split("\n");
    text += new TextDecoder().decode(value);
  }
}

test.skipIf(python === null)("--pidfd-socket gets a pidfd of the first process", async () => {
  const { dir, id } = bundles.bundle({ args: ["sleep", "100"] });
  const socket = `${dir}/pidfd.sock`;
  const words = await receive(socket, "look", () =>
    detached(dir, "create", "--bundle", dir, "--pidfd-socket", socket, id),
  );
  expect(words[0]).toMatch(/pidfd/);
  expect(bundles.runtime("delete", "--force", id).code).toBe(0);
});

test.skipIf(python === null)("--console-socket gets the terminal", async () => {
  const { dir, id } = bundles.bundle({ args: ["echo", "on a terminal"], process: { terminal: true } });
  const socket = `${dir}/console.sock`;
  const words = await receive(socket, "read", () =>
    detached(dir, "run", "--detach", "--bundle", dir, "--console-socket", socket, id),
  );
  expect(words).toEqual(
    ["/dev/ptmx", "on a terminal"].map((word) => expect.stringContaining(word.replace("/dev/", ""))),
  );
  expect(bundles.runtime("delete", "--force", id).code).toBe(0);
});

test("--preserve-fds and LISTEN_FDS go on to the program", () => {
  const { dir, id } = bundles.bundle({
    args: ["sh", "-c", "cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID"],
  });
  writeFileSync(`${dir}/one`, "one\n");
  writeFileSync(`${dir}/two`, "two\n");
  const script = `LISTEN_FDS=1 exec "$@" 3<${dir}/one 4<${dir}/two`;
  const ran = runBounded([
    "sh",
    "-c",
    script,
    "sh",
    ...bundles.command("run", "--bundle", dir, "--preserve-fds", "1", id),
  ]);
  expect(ran).toEqual({ code: 0, out: "one\ntwo\n1 1\n", err: "" });
});

test.skipIf(python === null)(
  "NOTIFY_SOCKET: readiness of the program reaches the caller's socket",
  async () => {
    const socket = `${bundles.dir}/notify.sock`;
    const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(20); print("ready", flush=True)
text = ""
while "READY=1" not in text: text += s.recv(1000).decode()
print(text, flush=True); sys.stdin.read()
`;
    const child = Bun.spawn([python ?? "", "-c", receiver, socket], { stdin: "pipe", stdout: "pipe" });
    const reader = child.stdout.getReader();
    await reader.read();
    const root = bundles.rootfs();
    const sender = `import socket,os
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"]); s.send(b"READY=1")`;
    const { dir, id } = bundles.bundle({
      root: { path: root },
      args: ["/usr/bin/python3", "-c", sender],
      mounts: ["/usr", "/lib", "/lib64"].map((path) => ({
        destination: path,
        type: "bind",
        source: path,
        options: ["rbind", "ro"],
      })),
    });
    const ran = runBounded([...bundles.command("run", "--bundle", dir, id)], { NOTIFY_SOCKET: socket });
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(new TextDecoder().decode((await reader.read()).value)).toContain("READY=1");
    child.stdin.end();
    await child.exited;
  },
);

test("exec: --user, --env, --cwd, --cap, --process, --ignore-paused, --cgroup", () => {
  const { id, dir } = bundles.start({});
  const exec = (...words: string[]): Ran => bundles.runtime("exec", ...words);
  expect(
    exec("--user", "12:34", "--env", "A=b", "--cwd", "/tmp", id, "sh", "-c", "id -u; id -g; echo $A; pwd")
      .out,
  ).toBe("12\n34\nb\n/tmp\n");
  const rights = (ran: Ran): bigint => BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(ran.out)?.[1] ?? "0"}`);
  const status = ["grep", "CapEff", "/proc/self/status"];
  expect(rights(exec("--cap", "CAP_SYS_ADMIN", id, ...status)) & (1n << 21n)).not.toBe(0n);
  expect(rights(exec(id, ...status)) & (1n << 21n)).toBe(0n);
  writeFileSync(
    `${dir}/p.json`,
    JSON.stringify({ args: ["sh", "-c", "pwd"], cwd: "/root", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } }),
  );
  expect(exec("--process", `${dir}/p.json`, id)).toEqual({ code: 0, out: "/root\n", err: "" });
  expect(exec("--cgroup", "/nope", id, "true").code).not.toBe(0);
  bundles.runtime("pause", id);
  expect(exec(id, "true")).toMatchObject({ code: 255, err: expect.stringContaining("paused") });
  const child = Bun.spawn([...bundles.command("exec", "--ignore-paused", id, "echo", "later")], {
    stdout: "pipe",
  });
  Bun.sleepSync(300);
  expect(bundles.runtime("resume", id).code).toBe(0);
  expect(child.exited).resolves.toBe(0);
});

test("as an ordinary user, without root's help", () => {
  const home = `${bundles.dir}/home`;
  mkdirSync(`${home}/box`, { recursive: true });
  cpSync(bundles.rootfs(), `${home}/box/rootfs`, { recursive: true, verbatimSymlinks: true });
  const asUser = (...words: string[]): Ran =>
    runBounded(["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups", ...words]);
  chmodSync(bundles.dir, 0o755);
  runBounded(["chown", "-R", "1234:1234", home]);
  const oci = (...words: string[]): Ran => asUser(ociRuntime, "--root", `${home}/state`, ...words);
  expect(oci("spec", "--rootless", "--bundle", `${home}/box`)).toEqual({ code: 0, out: "", err: "" });
  const config = JSON.parse(readFileSync(`${home}/box/config.json`, "utf8"));
  config.process.terminal = false;
  config.process.args = ["sh", "-c", "id -u; echo $$; touch /x && echo wrote"];
  config.root.readonly = false;
  writeFileSync(`${home}/box/config.json`, JSON.stringify(config));
  expect(oci("run", "--bundle", `${home}/box`, "mine")).toEqual({ code: 0, out: "0\n1\nwrote\n", err: "" });
  config.process.args = ["sleep", "100"];
  writeFileSync(`${home}/box/config.json`, JSON.stringify(config));
  expect(
    asUser(
      "sh",
      "-c",
      '"$@" > /dev/null 2>&1 < /dev/null',
      "sh",
      ociRuntime,
      "--root",
      `${home}/state`,
      "run",
      "-d",
      "--bundle",
      `${home}/box`,
      "mine",
    ).code,
  ).toBe(0);
  // It has no cgroups, which only root can make: its first process is known all the same.
  expect(JSON.parse(oci("ps", "-f", "json", "mine").out)).toEqual([JSON.parse(oci("state", "mine").out).pid]);
  expect(oci("list", "-f", "json").out).toContain('"owner":"#1234"');
  expect(oci("delete", "--force", "mine").code).toBe(0);
});
