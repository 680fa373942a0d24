/** Seccomp filters of containers on the real kernel. As root: scripts/bun test test/system/oci-seccomp.test.ts */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { compileSeccomp, type SeccompProfile } from "../../src/kernel/index.ts";
import { OciWorld } from "./oci-program.ts";

const oci = new OciWorld();
const { dir } = oci.world;
const agents: Bun.Subprocess[] = [];
let count = 0;

beforeAll(() => {
  const built = Bun.spawnSync([
    "cc",
    "-O1",
    "-o",
    `${dir}/agent`,
    resolve(import.meta.dir, "seccomp-agent.c"),
  ]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
});

afterAll(async () => {
  await oci.cleanUp();
  for (const agent of agents) {
    agent.kill();
    await agent.exited;
  }
});

/** Runs `sh -c script` under a filter. */
function run(seccomp: object, script: string, change: object = {}): ReturnType<OciWorld["call"]> {
  const name = `filtered${count++}`;
  return oci.call("run", "--bundle", oci.bundle(name, ["sh", "-c", script], change, { seccomp }), name);
}

const only = (rule: object, more: object = {}): object => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir"], ...rule }],
  ...more,
});

describe("actions", () => {
  test.each([
    ["SCMP_ACT_ERRNO", { action: "SCMP_ACT_ERRNO" }, 1, "Operation not permitted"],
    ["its errno", { action: "SCMP_ACT_ERRNO", errnoRet: 28 }, 1, "No space left on device"],
    ["SCMP_ACT_KILL", { action: "SCMP_ACT_KILL" }, 159, ""],
    ["SCMP_ACT_KILL_PROCESS", { action: "SCMP_ACT_KILL_PROCESS" }, 159, ""],
    ["SCMP_ACT_TRAP", { action: "SCMP_ACT_TRAP" }, 159, ""],
    ["SCMP_ACT_TRACE without a tracer", { action: "SCMP_ACT_TRACE" }, 1, "not implemented"],
    ["SCMP_ACT_LOG", { action: "SCMP_ACT_LOG" }, 0, ""],
    ["SCMP_ACT_ALLOW", { action: "SCMP_ACT_ALLOW" }, 0, ""],
  ])("%s", (_, rule, code, words) => {
    const answer = run(only(rule), `mkdir /tmp/made${count}`);
    expect([answer.code, answer.stderr]).toEqual([code, expect.stringContaining(words)]);
  });

  test("arguments: chmod of one mode only", () => {
    const args = [{ index: 1, value: 0o777, op: "SCMP_CMP_EQ" }];
    const rule = { names: ["chmod", "fchmodat"], action: "SCMP_ACT_ERRNO", errnoRet: 13 };
    const second = [{ index: 2, value: 0o777, op: "SCMP_CMP_EQ" }];
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { ...rule, names: ["chmod"], args },
        { ...rule, names: ["fchmodat"], args: second },
      ],
    };
    const chmod = (mode: string): string => `/bin/busybox chmod ${mode} /tmp/a && echo ${mode};`;
    const answer = run(seccomp, `touch /tmp/a; ${chmod("755")} ${chmod("777")} ${chmod("4777")}`);
    expect(answer.stdout).toBe("755\n4777\n");
    expect(answer.stderr).toContain("Permission denied");
  });

  test("flags, a filter without no_new_privs, and one of an unprivileged user with it", () => {
    const flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
    const rule = only({ action: "SCMP_ACT_ERRNO" }, { flags });
    for (const noNewPrivileges of [false, true])
      for (const uid of [0, 1000]) {
        const process = { noNewPrivileges, user: { uid, gid: uid } };
        const answer = run(rule, "grep Seccomp: /proc/self/status; mkdir /tmp/x", { process });
        expect([answer.stdout.trim(), answer.stderr]).toEqual([
          "Seccomp:\t2",
          expect.stringContaining("not permitted"),
        ]);
      }
  });

  test("an exec has the container's filter", () => {
    const bundle = oci.bundle("long", ["sleep", "60"], {}, { seccomp: only({ action: "SCMP_ACT_ERRNO" }) });
    expect(oci.call("run", "-d", "--bundle", bundle, "long").code).toBe(0);
    const answer = oci.call("exec", "long", "mkdir", "/tmp/y");
    expect([answer.code, answer.stderr]).toEqual([1, expect.stringContaining("not permitted")]);
  });
});

describe("what is refused, with nothing left", () => {
  test.each([
    [only({ action: "SCMP_ACT_NOPE" }), "linux.seccomp.syscalls[0].action"],
    [only({ action: "SCMP_ACT_ERRNO" }, { architectures: ["Z80"] }), "linux.seccomp.architectures[0]"],
    [only({ action: "SCMP_ACT_NOTIFY" }), "seccomp listenerPath is not set"],
    [
      only({ names: ["write"], action: "SCMP_ACT_NOTIFY" }, { listenerPath: "/run/x" }),
      "SCMP_ACT_NOTIFY cannot be used for the write syscall",
    ],
    [
      { defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/run/x" },
      "SCMP_ACT_NOTIFY cannot be used as default action",
    ],
    [only({ action: "SCMP_ACT_NOTIFY" }, { listenerPath: "/run/nobody-is-there" }), "/run/nobody-is-there"],
  ])("%#", (seccomp, words) => {
    const answer = run(seccomp, "true");
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain(words);
    expect(oci.call("list", "-q").stdout).not.toContain(`filtered${count - 1}`);
  });
});

describe("a listener", () => {
  /** A socket where every question gets this answer, and what it was told. */
  async function agent(errno: number): Promise<{ readonly socket: string; told(n: number): Promise<Told> }> {
    const folder = `${dir}/agent${agents.length}`;
    mkdirSync(folder);
    const socket = `${folder}/socket`;
    agents.push(Bun.spawn([`${dir}/agent`, socket, folder, String(errno)]));
    for (let i = 0; i < 200 && !existsSync(socket); i++) await Bun.sleep(10);
    return {
      socket,
      async told(n) {
        for (let i = 0; i < 200 && !existsSync(`${folder}/${n}`); i++) await Bun.sleep(10);
        return JSON.parse(readFileSync(`${folder}/${n}`, "utf8")) as Told;
      },
    };
  }

  interface Told {
    readonly fds: readonly string[];
    readonly pid: number;
    readonly metadata?: string;
    readonly state: {
      readonly id: string;
      readonly status: string;
      readonly pid: number;
      readonly bundle: string;
    };
  }

  const asks = (socket: string, names: readonly string[]): object => ({
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath: socket,
    listenerMetadata: "of the test",
    syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
  });

  test.each([[false], [true]])("answers for the process (no_new_privs %p)", async (noNewPrivileges) => {
    const { socket, told } = await agent(123);
    const name = `filtered${count}`;
    const answer = run(asks(socket, ["mkdir"]), "mkdir /tmp/asked", { process: { noNewPrivileges } });
    expect(answer.stderr).toContain("No medium found");
    expect(answer.code).toBe(1);
    const state = await told(0);
    expect(state).toMatchObject({
      fds: ["seccompFd"],
      metadata: "of the test",
      state: { id: name, status: "creating", bundle: `${dir}/${name}` },
    });
    expect(state.pid).toBe(state.state.pid);
    expect(state.pid).toBeGreaterThan(1);
  });

  test("lets calls go on, also those of the way into the container", async () => {
    const { socket } = await agent(0);
    const names = ["mkdir", "close", "sendmsg", "wait4", "read", "execve", "setresuid", "capset", "prctl"];
    const answer = run(asks(socket, names), "mkdir /tmp/asked && echo made", {
      process: { noNewPrivileges: false },
    });
    expect([answer.code, answer.stdout, answer.stderr]).toEqual([0, "made\n", ""]);
  });

  test("is told of each exec, with the state of the container", async () => {
    const { socket, told } = await agent(123);
    const bundle = oci.bundle("asking", ["sleep", "60"], {}, { seccomp: asks(socket, ["mkdir"]) });
    expect(oci.call("run", "-d", "--bundle", bundle, "asking")).toMatchObject({ code: 0 });
    const answer = oci.call("exec", "asking", "mkdir", "/tmp/y");
    expect([answer.code, answer.stderr]).toEqual([1, expect.stringContaining("No medium found")]);
    const state = await told(1);
    expect(state.state).toMatchObject({ id: "asking", status: "running" });
    expect(state.state.pid).toBe(Number(oci.state("asking")["pid"]));
    expect(state.pid).not.toBe(state.state.pid);
  });

  test("there is no process beside the container's own afterwards", async () => {
    const { socket } = await agent(0);
    const answer = run(asks(socket, ["mkdir"]), "ls -d /proc/[0-9]*; ls /proc/self/fd");
    expect(answer.stdout.split("\n").filter((line) => line.startsWith("/proc/"))).toEqual(["/proc/1"]);
  });
});

test.skipIf(Bun.spawnSync(["/usr/bin/python3", "-c", "import seccomp"]).exitCode !== 0)(
  "decisions are those of libseccomp's programs",
  async () => {
    const lines = Array.from({ length: 200 }, (_, seed) => comparison(seed + 1)).join("\n");
    const oracle = Bun.spawn(["/usr/bin/python3", resolve(import.meta.dir, "seccomp-oracle.py")], {
      stdin: new TextEncoder().encode(lines),
      stdout: "pipe",
    });
    expect(await new Response(oracle.stdout).text()).toBe(`checked ${200 * 100}\n`);
  },
);

/** A random profile with our program for it, and calls to try. */
function comparison(seed: number): string {
  let state = seed;
  const below = (limit: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor(state / 65_536) % limit;
  };
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const half = (): bigint => pick([0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn]);
  const numbers = {
    read: 0,
    write: 1,
    open: 2,
    close: 3,
    mmap: 9,
    clone3: 435,
    mkdir: 83,
    execve: 59,
    ptrace: 101,
  };
  const words = ["ERRNO", "KILL", "KILL_PROCESS", "TRAP", "TRACE", "ALLOW", "LOG"];
  const operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
  // One action a call: of several that hold libseccomp takes one by an order of its own. And several rules for one call only
  // with values of 32 bits: those of 64 it merges wrongly (2.5.4).
  const wide = seed % 2 === 0;
  const value = (): string => (((wide ? half() : 0n) << 32n) | half()).toString();
  const actions = new Map<string, object>();
  const syscalls = Array.from({ length: 1 + below(8) }, (_, index) => {
    const name = wide ? (Object.keys(numbers)[index] ?? "") : pick(Object.keys(numbers));
    const made = { action: `SCMP_ACT_${pick(words)}`, errnoRet: 1 + below(100) };
    const action = actions.get(name) ?? made;
    actions.set(name, action);
    const indexes = [0, 1, 2, 3, 4, 5].filter(() => below(3) === 0);
    const args = indexes.map((index) => ({
      index,
      value: value(),
      valueTwo: value(),
      op: `SCMP_CMP_${pick(operators)}`,
    }));
    return { names: [name], ...action, args };
  });
  const profile = { defaultAction: pick(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"]), syscalls };
  const exact: SeccompProfile = JSON.parse(JSON.stringify(profile), (key, value: unknown) =>
    key === "value" || key === "valueTwo" ? BigInt(String(value)) : value,
  );
  const { program } = compileSeccomp(exact, "SCMP_ARCH_X86_64");
  const calls = Array.from({ length: 100 }, () => [
    pick([...Object.values(numbers), 39, 500]),
    0xc000003e,
    Array.from({ length: 6 }, () => ((half() << (below(2) === 0 ? 32n : 0n)) | half()).toString()),
  ]);
  return JSON.stringify({ profile, program: Buffer.from(program).toString("base64"), calls });
}
