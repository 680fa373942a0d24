/** What the config says of a process, seen from inside, on the real kernel. As root: scripts/bun test test/system/oci-process.test.ts */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gantryOci, OciWorld } from "./oci-program.ts";

const oci = new OciWorld();
let count = 0;

afterAll(() => oci.cleanUp());

interface Change {
  readonly process?: object;
  readonly linux?: object;
  /** Runs gantry-oci under another program, such as taskset. */
  readonly program?: readonly string[];
}

/** Runs `sh -c script` in a container of its own. */
function run(
  script: string,
  { process = {}, linux = {}, program }: Change = {},
): ReturnType<OciWorld["call"]> {
  const name = `process${count++}`;
  const bundle = oci.bundle(name, ["sh", "-c", script], { process }, linux);
  return oci.callWith(program === undefined ? {} : { program }, "run", "--bundle", bundle, name);
}

/** A container that stays. */
function start(change: Change = {}): string {
  const name = `process${count++}`;
  const bundle = oci.bundle(name, ["sleep", "100"], { process: change.process ?? {} }, change.linux ?? {});
  const answer = oci.call("run", "-d", "--bundle", bundle, name);
  if (answer.code !== 0) throw new Error(answer.stderr);
  return name;
}

const gantryOciOn = (cpu: number): readonly string[] => ["taskset", "-c", String(cpu), gantryOci];
const status = (field: string): string => `grep ^${field}: /proc/self/status | /bin/busybox cut -f2`;
const namespaces = (extra: readonly string[]): readonly { readonly type: string }[] =>
  ["mount", "pid", "ipc", "uts", ...extra].map((type) => ({ type }));

describe("capabilities", () => {
  const sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
  const all = sets.map(status).join("; ");
  const words = (...masks: readonly number[]): string =>
    masks.map((mask) => `${mask.toString(16).padStart(16, "0")}\n`).join("");

  test("five sets of their own, the ambient one kept by another user's program", () => {
    const capabilities = {
      bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
      permitted: ["CAP_KILL", "CAP_NET_RAW"],
      effective: ["CAP_KILL"],
      inheritable: ["CAP_NET_RAW"],
      ambient: ["CAP_NET_RAW"],
    };
    const answer = run(all, { process: { capabilities, user: { uid: 1000, gid: 1000 } } });
    expect(answer.stdout).toBe(words(0x2000, 0x2000, 0x2000, 0x2021, 0x2000));
  });

  test("unknown names are passed over", () => {
    const capabilities = Object.fromEntries(
      ["bounding", "permitted", "effective"].map((set) => [set, ["CAP_KILL", "CAP_TIME_TRAVEL", "kill"]]),
    );
    const answer = run(all, { process: { capabilities } });
    expect([answer.code, answer.stdout]).toEqual([0, words(0, 0x20, 0x20, 0x20, 0)]);
  });
});

describe("limits", () => {
  test("every name of setrlimit(2)", () => {
    const names = [
      ["CPU", "Max cpu time"],
      ["FSIZE", "Max file size"],
      ["DATA", "Max data size"],
      ["STACK", "Max stack size"],
      ["CORE", "Max core file size"],
      ["RSS", "Max resident set"],
      ["NPROC", "Max processes"],
      ["NOFILE", "Max open files"],
      ["MEMLOCK", "Max locked memory"],
      ["AS", "Max address space"],
      ["LOCKS", "Max file locks"],
      ["SIGPENDING", "Max pending signals"],
      ["MSGQUEUE", "Max msgqueue size"],
      ["RTTIME", "Max realtime timeout"],
    ] as const;
    // Large enough to run in, small enough to be allowed.
    const value = (index: number): number => 700 + index + ([1, 2, 3, 9].includes(index) ? 2 ** 28 : 0);
    const mine = readFileSync("/proc/self/limits", "utf8");
    const rlimits = names.flatMap(([name, words], index) => {
      const hard = new RegExp(`^${words}\\s+\\S+\\s+(\\S+)`, "m").exec(mine)?.[1] ?? "0";
      const most = hard === "unlimited" ? Infinity : Number(hard);
      return value(index) > most ? [] : [{ type: `RLIMIT_${name}`, soft: value(index), hard: value(index) }];
    });
    expect(rlimits.length).toBeGreaterThan(10);
    const { stdout } = run("cat /proc/self/limits", { process: { rlimits } });
    for (const { type, soft } of rlimits) {
      const words = names.find(([name]) => type === `RLIMIT_${name}`)?.[1] ?? "";
      expect(stdout).toMatch(new RegExp(`^${words}\\s+${soft}\\s+${soft}\\s`, "m"));
    }
  });

  test("a hard limit above the caller's names it, where the caller may not raise it", () => {
    const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    const capable =
      (BigInt(`0x${/^CapEff:\s+(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]}`) >> 24n) & 1n;
    const more = Number(hard) + 1;
    const answer = run("true", { process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 10, hard: more }] } });
    if (capable === 1n) return expect(answer.code).toBe(0);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain("RLIMIT_NOFILE");
    expect(answer.stderr).toContain(String(more));
  });
});

describe("the OOM score", () => {
  test("is the config's, and an exec's own, whatever lies over the container's /proc", () => {
    expect(run("cat /proc/self/oom_score_adj", { process: { oomScoreAdj: 321 } }).stdout).toBe("321\n");
    const name = start({ process: { oomScoreAdj: 200 } });
    expect(oci.call("exec", name, "cat", "/proc/self/oom_score_adj").stdout).toBe("200\n");
  });
});

describe("the scheduler", () => {
  const policy = "grep -E '^(policy|prio) ' /proc/self/sched | /bin/busybox tr -d ' \\t'";
  test.each([
    [{ policy: "SCHED_OTHER", nice: 7 }, "policy:0\nprio:127\n"],
    [{ policy: "SCHED_BATCH", nice: 3 }, "policy:3\nprio:123\n"],
    [{ policy: "SCHED_IDLE" }, "policy:5\nprio:120\n"],
    [{ policy: "SCHED_FIFO", priority: 5 }, "policy:1\nprio:94\n"],
    [{ policy: "SCHED_RR", priority: 9 }, "policy:2\nprio:90\n"],
  ])("%j", (scheduler, want) => {
    const answer = run(policy, { process: { scheduler } });
    // Real time needs a share of the group's, which a host with such groups has given to nobody.
    if (answer.stderr.includes("SCHED_FIFO") || answer.stderr.includes("SCHED_RR")) {
      expect(answer.stderr).toContain("operation not permitted");
      return;
    }
    expect([answer.stderr, answer.stdout]).toEqual(["", want]);
  });

  test("the flag that children do not inherit it", () => {
    const scheduler = { policy: "SCHED_OTHER", nice: -5, flags: ["SCHED_FLAG_RESET_ON_FORK"] };
    expect(run(policy, { process: { scheduler } }).stdout).toBe("policy:0\nprio:120\n");
    expect(run(policy, { process: { scheduler: { ...scheduler, flags: [] } } }).stdout).toContain("prio:115");
  });
});

test("I/O priority", () => {
  const ioPriority = { class: "IOPRIO_CLASS_IDLE", priority: 0 };
  expect(run("/bin/busybox ionice -p 1", { process: { ioPriority } }).stdout).toContain("idle");
  const best = { class: "IOPRIO_CLASS_BE", priority: 6 };
  expect(run("/bin/busybox ionice -p 1", { process: { ioPriority: best } }).stdout).toMatch(/best-effort.*6/);
});

test("memory policy", () => {
  const memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] };
  const answer = run("head -1 /proc/self/numa_maps", { linux: { memoryPolicy } });
  // Not every kernel is built for several nodes.
  if (readdirSync("/proc/self").includes("numa_maps")) expect(answer.stdout).toContain("bind=static:0");
  else expect(answer.stderr).toContain("memory policy");
});

test("execution domain", () => {
  const uname = "/bin/busybox uname -m";
  expect(run(uname, { linux: { personality: { domain: "LINUX32" } } }).stdout).toBe("i686\n");
  expect(run(uname, { linux: { personality: { domain: "LINUX" } } }).stdout).toBe("x86_64\n");
  const name = start({ linux: { personality: { domain: "LINUX32" } } });
  expect(oci.call("exec", name, "/bin/busybox", "uname", "-m").stdout).toBe("i686\n");
});

describe.skipIf(navigator.hardwareConcurrency < 2)("CPU affinity", () => {
  const allowed = status("Cpus_allowed_list");
  const every = run(allowed).stdout;

  test("is not the caller's, but all of the cpuset", () => {
    for (const cpu of [0, 1]) expect(run(allowed, { program: gantryOciOn(cpu) }).stdout).toBe(every);
    expect(
      run(allowed, { linux: { resources: { cpu: { cpus: "1" } } }, program: gantryOciOn(0) }).stdout,
    ).toBe("1\n");
  });

  test.each([
    [{}, "all"],
    [{ final: "1" }, "1\n"],
    [{ initial: "0", final: "1" }, "1\n"],
  ] as const)("of an exec with %j", (execCPUAffinity, want) => {
    const name = start({ process: { execCPUAffinity } });
    const answer = oci.callWith({ program: gantryOciOn(0) }, "exec", name, "sh", "-c", allowed);
    expect([answer.stderr, answer.stdout]).toEqual(["", want === "all" ? every : want]);
  });
});

describe("labels, where the kernel has no such module", () => {
  const has = (module: string): boolean => {
    try {
      return readFileSync("/sys/kernel/security/lsm", "utf8").includes(module);
    } catch {
      return false; // not mounted: no module
    }
  };

  test.skipIf(has("apparmor"))("an AppArmor profile is refused, but for unconfined", () => {
    const answer = run("true", { process: { apparmorProfile: "docker-default" } });
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain("docker-default");
    expect(answer.stderr).toContain("AppArmor is not enabled");
    expect(run("true", { process: { apparmorProfile: "unconfined" } }).code).toBe(0);
  });

  test.skipIf(has("selinux"))("an SELinux label is refused", () => {
    const answer = run("true", { process: { selinuxLabel: "system_u:system_r:container_t:s0" } });
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain("SELinux is disabled or not supported");
  });
});

test("user, groups, umask and no_new_privs", () => {
  const process = { user: { uid: 5, gid: 6, umask: 0o77, additionalGids: [7, 8] }, noNewPrivileges: true };
  const answer = run(`id; umask; ${status("NoNewPrivs")}`, { process });
  expect(answer.stdout).toBe("uid=5 gid=6 groups=7,8\n0077\n1\n");
});

test("HOME is the user's of the container's /etc/passwd, unless the config has one", () => {
  const passwd = `${oci.world.rootfs}/etc/passwd`;
  const env = ["PATH=/bin"];
  const home = (uid: number, extra: readonly string[] = []): string =>
    run("echo $HOME", { process: { env: [...env, ...extra], user: { uid, gid: 0 } } }).stdout;
  expect(home(5)).toBe("/\n");
  writeFileSync(passwd, `root:x:0:0::/root:/bin/sh\n${"x".repeat(5000)}\nbad\nme:x:5:5:I:/home/me:/bin/sh`);
  expect([home(0), home(5), home(6), home(5, ["HOME="]), home(5, ["HOME=", "HOME=/own"])]).toEqual([
    "/root\n",
    "/home/me\n",
    "/\n",
    "/home/me\n",
    "/own\n",
  ]);
  rmSync(passwd);
  const name = start();
  expect(oci.call("exec", "--user", "7", name, "sh", "-c", "echo $HOME").stdout).toBe("/\n");
});

test("there is one session keyring for a container and its execs", () => {
  const name = start({ linux: { maskedPaths: [] } });
  const { stdout } = oci.call("exec", name, "grep", "-o", "_ses[^:]*", "/proc/keys");
  // Those of other containers of the same user are seen, too.
  expect(stdout.split("\n").filter((line) => line === `_ses.${name}`)).toHaveLength(1);
});

test("the terminal has the config's size", () => {
  const consoleSize = { height: 33, width: 77 };
  const answer = run("stty size; true", { process: { terminal: true, consoleSize } });
  expect(answer.stdout).toContain("33 77");
});

describe("kernel settings", () => {
  test("of the container's own namespaces are set", () => {
    const sysctl = {
      "net.ipv4.ip_forward": "1",
      "kernel.shmmni": "1234",
      "fs.mqueue.msg_max": "11",
      "kernel.domainname": "dom",
    };
    const files = ["net/ipv4/ip_forward", "kernel/shmmni", "fs/mqueue/msg_max", "kernel/domainname"];
    const answer = run(files.map((file) => `cat /proc/sys/${file}`).join(";"), {
      linux: { sysctl, namespaces: namespaces(["network"]) },
    });
    expect([answer.stderr, answer.stdout]).toEqual(["", "1\n1234\n11\ndom\n"]);
  });

  test.each([
    ["vm.swappiness", ["network"], "vm.swappiness"],
    ["net.ipv4.ip_forward", [], "net.ipv4.ip_forward"],
    ["kernel.hostname", ["network"], "kernel.hostname"],
  ] as const)("%s in %j is refused", (key, extra, words) => {
    const answer = run("true", { linux: { sysctl: { [key]: "1" }, namespaces: namespaces(extra) } });
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain(words);
  });
});

describe("network devices", () => {
  const ip = (...words: readonly string[]): string => {
    const ran = Bun.spawnSync(["ip", ...words]);
    if (ran.exitCode !== 0) throw new Error(`ip ${words.join(" ")}: ${ran.stderr.toString()}`);
    return ran.stdout.toString();
  };
  const device = `gt${process.pid % 100_000}`;
  const look = "/bin/busybox ip -o addr; /bin/busybox ip -o link; cat /proc/net/if_inet6";

  function withDevice(work: () => void): void {
    ip("link", "add", `${device}h`, "type", "veth", "peer", "name", `${device}c`);
    try {
      ip("link", "set", `${device}c`, "mtu", "1400");
      ip("addr", "add", "10.99.7.2/24", "dev", `${device}c`);
      ip("addr", "add", "fd00:77::2/64", "dev", `${device}c`, "nodad");
      ip("link", "set", `${device}h`, "up");
      ip("link", "set", `${device}c`, "up");
      work();
    } finally {
      Bun.spawnSync(["ip", "link", "del", `${device}h`]);
    }
  }

  test.each([
    ["its own name", {}, `${device}c`],
    ["another", { name: "eth7" }, "eth7"],
  ])("move by %s, with addresses and mtu, and are up", (_, options, inside) => {
    withDevice(() => {
      const answer = run(look, {
        linux: { netDevices: { [`${device}c`]: options }, namespaces: namespaces(["network"]) },
      });
      expect(answer.stderr).toBe("");
      expect(answer.stdout).toMatch(new RegExp(`${inside}\\s+inet 10\\.99\\.7\\.2/24`));
      expect(answer.stdout).toMatch(new RegExp(`fd000077000000000000000000000002 .* ${inside}`));
      expect(answer.stdout).toMatch(new RegExp(`${inside}[@:].*UP.*mtu 1400`));
    });
  });

  test("one that is missing is named, and one without a network of the container's", () => {
    const netDevices = { [`${device}x`]: {} };
    const missing = run("true", { linux: { netDevices, namespaces: namespaces(["network"]) } });
    expect([missing.code === 0, missing.stderr]).toEqual([false, expect.stringContaining(`${device}x`)]);
    const shared = run("true", { linux: { netDevices, namespaces: namespaces([]) } });
    expect([shared.code === 0, shared.stderr]).toEqual([false, expect.stringContaining("network namespace")]);
  });
});
