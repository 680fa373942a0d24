/** Hooks as gantry-oci's commands run them. As root: scripts/bun test test/system/oci-hook-commands.test.ts */
import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import type { OciHook, OciHooks } from "../../src/runtime/index.ts";
import { isAlive } from "./native-harness.ts";
import { cgroupLeftovers, World } from "./runtime-world.ts";

const world = new World();
const program = resolve(import.meta.dir, "../../dist/gantry-oci");
const root = `${world.dir}/state`;
const log = `${world.dir}/log`;
const kinds = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;
let count = 0;

afterAll(async () => {
  for (const id of existsSync(root) ? readdirSync(root) : []) oci("delete", "--force", id);
  await world.cleanUp();
});

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Output goes to files: a container that stays would keep a pipe open. */
function oci(...words: string[]): Answer {
  const paths = [`${world.dir}/out`, `${world.dir}/err`] as const;
  const fds = [openSync(paths[0], "w"), openSync(paths[1], "w")] as const;
  const ran = Bun.spawnSync([program, "--root", root, ...words], {
    stdin: "ignore",
    stdout: fds[0],
    stderr: fds[1],
    env: { PATH: "/usr/bin:/bin", OWN: "1" },
    timeout: 20_000,
  });
  for (const fd of fds) closeSync(fd);
  return {
    code: ran.exitCode,
    stdout: readFileSync(paths[0], "utf8"),
    stderr: readFileSync(paths[1], "utf8"),
  };
}

interface Made {
  readonly id: string;
  readonly bundle: string;
  readonly cgroupsPath: string;
}

function container(hooks: OciHooks, script = "echo program >> /log; echo Hello"): Made {
  const id = `hooked${count++}`;
  const bundle = `${world.dir}/${id}`;
  const cgroupsPath = `${world.prefix}/${id}`;
  mkdirSync(bundle);
  writeFileSync(log, "");
  const { config } = world.container({ args: ["sh", "-c", script] });
  const mounts = [
    ...(config.mounts ?? []),
    { destination: "/log", source: log, type: "bind", options: ["bind"] },
  ];
  const linux = { ...config.linux, cgroupsPath };
  writeFileSync(
    `${bundle}/config.json`,
    JSON.stringify({ ...config, root: { path: world.rootfs }, mounts, linux, hooks }),
  );
  return { id, bundle, cgroupsPath };
}

const shell = (script: string, more: Partial<OciHook> = {}): OciHook => ({
  path: "/bin/sh",
  args: ["sh", "-c", script],
  ...more,
});
const line = (kind: string): OciHook =>
  shell(`echo "${kind} $PWD $(cat)" >> ${kind === "startContainer" ? "/log" : log}`);
const all = (): OciHooks => Object.fromEntries(kinds.map((kind) => [kind, [line(kind)]]));

function seen(): readonly {
  readonly kind: string;
  readonly cwd: string;
  readonly state: Record<string, unknown>;
}[] {
  return readFileSync(log, "utf8")
    .trim()
    .split("\n")
    .filter((text) => text !== "program")
    .map((text) => {
      const [kind = "", cwd = "", ...state] = text.split(" ");
      return { kind, cwd, state: JSON.parse(state.join(" ")) };
    });
}

test("create, start and delete run each its own kinds, with the state of that moment", () => {
  const { id, bundle } = container(all(), "sleep 60");
  expect(oci("create", "--bundle", bundle, id)).toMatchObject({ code: 0, stderr: "" });
  expect(seen().map(({ kind }) => kind)).toEqual(["prestart", "createRuntime", "createContainer"]);
  expect(oci("start", id)).toMatchObject({ code: 0, stderr: "" });
  expect(oci("delete", "--force", id)).toMatchObject({ code: 0, stderr: "" });
  const hooks = seen();
  expect(hooks.map(({ kind }) => kind)).toEqual([...kinds]);
  expect(hooks.map(({ state }) => state["status"])).toEqual([
    "creating",
    "creating",
    "creating",
    "created",
    "running",
    "stopped",
  ]);
  for (const { state } of hooks) expect(state).toMatchObject({ ociVersion: "1.3.0", id, bundle });
  const [pid] = hooks.map(({ state }) => state["pid"]);
  expect(hooks.map(({ state }) => state["pid"])).toEqual([pid, pid, 1, 1, pid, 0]);
  expect(hooks.map(({ cwd }) => cwd)).toEqual([bundle, bundle, world.rootfs, "/", bundle, bundle]);
});

test("run runs them all", () => {
  const { id, bundle } = container(all());
  expect(oci("run", "--bundle", bundle, id)).toEqual({ code: 0, stdout: "Hello\n", stderr: "" });
  expect(seen().map(({ kind }) => kind)).toEqual([...kinds]);
});

test.each(["prestart", "createRuntime", "createContainer"] as const)(
  "create: a failing %s hook is told in runc's words and leaves nothing",
  (kind) => {
    const { id, bundle, cgroupsPath } = container({
      [kind]: [{ path: "/bin/true" }, shell("echo why; exit 3")],
      poststop: [line("poststop")],
    });
    const pidFile = `${world.dir}/pid`;
    const answer = oci("create", "--bundle", bundle, "--pid-file", pidFile, id);
    expect(answer.code).toBe(1);
    expect(answer.stderr).toContain(`error running ${kind} hook #1: /bin/sh: exit status 3`);
    expect(answer.stderr).toContain("why");
    expect(cgroupLeftovers(cgroupsPath)).toEqual([]);
    expect(existsSync(`${root}/${id}`)).toBe(false);
    expect(existsSync(pidFile)).toBe(false);
  },
);

test("run: a failing hook of every kind but poststop", () => {
  for (const kind of kinds.slice(0, -1)) {
    const { id, bundle, cgroupsPath } = container(
      { [kind]: [{ path: "/bin/sh", args: ["sh", "-c", "true"] }, shell("exit 1")] },
      "sleep 1; echo Hello",
    );
    const answer = oci("run", "--bundle", bundle, id);
    expect(answer.code).toBe(1);
    expect(answer.stdout).toBe("");
    expect(answer.stderr).toContain(`error running ${kind} hook #1:`);
    expect(cgroupLeftovers(cgroupsPath)).toEqual([]);
    expect(existsSync(`${root}/${id}`)).toBe(false);
  }
});

test.each(["startContainer", "poststart"] as const)(
  "start: a failing %s hook fails it and stops the container",
  (kind) => {
    const { id, bundle } = container({ [kind]: [shell("exit 1")] }, "sleep 60");
    expect(oci("create", "--bundle", bundle, id).code).toBe(0);
    const { pid } = JSON.parse(oci("state", id).stdout);
    const answer = oci("start", id);
    expect(answer.code).toBe(1);
    expect(answer.stderr).toContain(`error running ${kind} hook #0: /bin/sh: exit status 1`);
    expect(JSON.parse(oci("state", id).stdout).status).toBe("stopped");
    expect(isAlive(pid)).toBe(false);
    expect(oci("delete", id)).toMatchObject({ code: 0, stderr: "" });
  },
);

test("a failing poststop hook is a warning, and the next ones run", () => {
  const { id, bundle } = container({ poststop: [shell("exit 1"), line("poststop")] });
  const answer = oci("run", "--bundle", bundle, id);
  expect(answer.code).toBe(0);
  expect(answer.stderr).toContain("error running poststop hook #0: /bin/sh: exit status 1");
  expect(seen().map(({ kind }) => kind)).toEqual(["poststop"]);
  expect(existsSync(`${root}/${id}`)).toBe(false);
});

test("a poststart hook that takes too long is killed with what it started", () => {
  const { id, bundle } = container(
    { poststart: [shell(`sleep 60 & echo $! > ${world.dir}/child; wait`, { timeout: 1 })] },
    "sleep 60",
  );
  expect(oci("create", "--bundle", bundle, id).code).toBe(0);
  expect(oci("start", id).stderr).toContain(
    "error running poststart hook #0: /bin/sh: hook ran past specified timeout of 1s",
  );
  expect(isAlive(Number(readFileSync(`${world.dir}/child`, "utf8")))).toBe(false);
  oci("delete", "--force", id);
});

test("a hook without an environment has gantry-oci's, one of startContainer the program's", () => {
  const env = (to: string): OciHook => shell(`env | grep -E '^(OWN|PATH)=' | sort | tr '\\n' ' ' >> ${to}`);
  const { id, bundle } = container({
    createRuntime: [env(log)],
    startContainer: [env("/log")],
    poststart: [env(log)],
  });
  expect(oci("run", "--bundle", bundle, id).code).toBe(0);
  const text = readFileSync(log, "utf8").replace("program\n", "");
  expect(text).toBe("OWN=1 PATH=/usr/bin:/bin PATH=/bin OWN=1 PATH=/usr/bin:/bin ");
});

test("a program that cannot be executed after all fails start", () => {
  const { id, bundle } = container({ startContainer: [shell("chmod 600 /work/gone")] });
  const config = JSON.parse(readFileSync(`${bundle}/config.json`, "utf8"));
  writeFileSync(`${world.rootfs}/work/gone`, "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(
    `${bundle}/config.json`,
    JSON.stringify({ ...config, process: { ...config.process, args: ["/work/gone"] } }),
  );
  expect(oci("create", "--bundle", bundle, id).code).toBe(0);
  const answer = oci("start", id);
  expect(answer.code).toBe(1);
  expect(answer.stderr).toContain("exec /work/gone: permission denied");
  expect(oci("delete", id).code).toBe(0);
});
