/** gantry-init's steps one by one, their failures, and mode run. Needs root and busybox-static. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";

import {
  cloneFlags,
  compileDeviceProgram,
  compileSeccomp,
  defaultSeccompProfile,
  mountAttr,
  mountFlags,
  route,
} from "../../src/kernel/index.ts";
import { signalFrame } from "../../src/runtime/frames.ts";
import type { ContainerStep, MonitorStep, Plan } from "../../src/runtime/plan-step.ts";
import {
  all,
  container,
  containerFlags,
  isAlive,
  launch,
  noSanitizerReports,
  type Pieces,
  Sandbox,
} from "./native-harness.ts";

const programs = ["plain", "asan"] as const;
const { MS_RDONLY, MS_NOSUID, MS_REC, MS_PRIVATE } = mountFlags;

afterAll(noSanitizerReports);

/** Runs a shell script in a container of these pieces; its output. */
async function shell(
  box: Sandbox,
  program: (typeof programs)[number],
  script: string,
  pieces: Pieces = {},
): Promise<string> {
  const { control, attached } = await launch(container(box, ["sh", "-c", script], pieces), {
    program,
    attach: [all],
  });
  await control.exited();
  await attached[0]?.exited();
  return attached[0]?.output() ?? "";
}

function before(pivot: readonly ContainerStep[], box: Sandbox, pieces: Pieces = {}): Pieces {
  return { ...pieces, root: [{ do: "root", path: box.root, flags: 0n }, ...pivot] };
}

const noCapabilities = { bounding: 0n, effective: 0n, permitted: 0n, inheritable: 0n, ambient: 0n };

describe.each(programs)("steps (%s)", (program) => {
  test("overlay of layers: top layer first, writes go to the upper one, the host sees no mount", async () => {
    using box = new Sandbox();
    for (const name of ["low", "high,with:signs", "upper", "work", "merged"]) mkdirSync(box.path(name));
    writeFileSync(box.path("low/a"), "low");
    writeFileSync(box.path("high,with:signs/a"), "high");
    const overlay: ContainerStep = {
      do: "overlay",
      target: box.path("merged"),
      lowers: [box.path("high,with:signs"), box.path("low"), box.root],
      upper: box.path("upper"),
      work: box.path("work"),
      options: "",
    };
    const root: ContainerStep[] = [overlay, { do: "root", path: box.path("merged"), flags: 0n }];
    expect(await shell(box, program, "cat /a; echo new > /b", { root })).toBe("high");
    expect(readFileSync(box.path("upper/b"), "utf8")).toBe("new\n");
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(box.dir);
  });

  test("bind: source kinds, read-only, missing targets", async () => {
    using box = new Sandbox();
    mkdirSync(box.path("data"));
    writeFileSync(box.path("data/f"), "f");
    writeFileSync(box.path("file"), "file");
    const bind = (source: string, inside: string, attrSet = 0n): ContainerStep => ({
      do: "bind",
      source: box.path(source),
      inside,
      flags: 0n,
      attrSet,
      attrClear: 0n,
      recursive: true,
      makeTarget: "as-source",
      propagation: MS_PRIVATE | MS_REC,
    });
    const pieces = before(
      [
        bind("data", "/mnt/deep/data"),
        bind("data", "/mnt/ro", mountAttr.MOUNT_ATTR_RDONLY),
        bind("file", "/etc/hosts"),
      ],
      box,
    );
    const script =
      "cat /mnt/deep/data/f /mnt/ro/f /etc/hosts; echo x > /mnt/deep/data/g; (echo x > /mnt/ro/h) 2>/dev/null || echo ' refused'";
    expect(await shell(box, program, script, pieces)).toBe("fffile refused\n");
    expect(readdirSync(box.path("data"))).toEqual(["f", "g"]);
  });

  test("a hostile image's links lead nowhere outside", async () => {
    using box = new Sandbox();
    const outside = box.path("outside");
    mkdirSync(outside);
    writeFileSync(box.path("file"), "mine");
    symlinkSync(outside, `${box.root}/absolute`);
    symlinkSync("../../../../../../../../tmp", `${box.root}/up`);
    symlinkSync("/made/by/link", `${box.root}/dangling`);
    symlinkSync(`${outside}/node`, `${box.root}/work/node`);
    symlinkSync("/etc/target", `${box.root}/work/target`);
    const bind = (inside: string): ContainerStep => ({
      do: "bind",
      source: box.path("file"),
      inside,
      flags: 0n,
      attrSet: 0n,
      attrClear: 0n,
      recursive: false,
      makeTarget: "file",
      propagation: 0n,
    });
    const pieces = before(
      [
        bind("/absolute/one"),
        bind("/up/two"),
        bind("/dangling/three"),
        bind("/work/target"),
        { do: "make-inside-dir", inside: "/absolute/../x/../../../dir", mode: 0o750, uid: 5, gid: 6 },
        { do: "make-node", inside: "/work/node", mode: 0o20600, major: 1, minor: 3, uid: 7, gid: 8 },
        { do: "symlink", target: "any/where", inside: "/up/link" },
      ],
      box,
    );
    const script = `cat ${outside}/one /tmp/two /made/by/link/three /etc/target; stat -c '%a %u %g' /dir; stat -c '%F %u' /work/node; readlink /tmp/link`;
    expect(await shell(box, program, script, pieces)).toBe(
      "mineminemine" + "mine750 5 6\ncharacter special file 7\nany/where\n",
    );
    expect(readdirSync(outside)).toEqual([]);
    expect(existsSync("/tmp/two")).toBe(false);
    expect(lstatSync(`${box.root}/work/node`).isCharacterDevice()).toBe(true);
  });

  test("mask and read-only hide, a missing path is fine, /dev/null must be the real one", async () => {
    using box = new Sandbox();
    mkdirSync(`${box.root}/work/secret`);
    writeFileSync(`${box.root}/work/secret/a`, "a");
    writeFileSync(`${box.root}/work/key`, "key");
    symlinkSync("key", `${box.root}/work/alias`);
    const late: ContainerStep[] = [
      ...["/work/secret", "/work/key", "/proc/kcore", "/proc/no/such", "/sys/firmware"].map(
        (path) => ({ do: "mask", path }) as const,
      ),
      { do: "read-only", path: "/proc/sys" },
      { do: "read-only", path: "/no/such" },
    ];
    const script =
      "ls /work/secret /sys/firmware; cat /work/key; stat -c %t,%T /work/key; echo 1 > /proc/sys/kernel/hostname; touch /work/secret/x; true";
    expect(await shell(box, program, `(${script}) 2>&1`, { late })).toBe(
      "/sys/firmware:\n\n/work/secret:\n1,3\nsh: can't create /proc/sys/kernel/hostname: Read-only file system\ntouch: /work/secret/x: Read-only file system\n",
    );
    const link: Pieces = { late: [{ do: "mask", path: "/work/alias" }] };
    expect(await shell(box, program, "cat /work/alias /work/key", link)).toBe("");
    const fake: Pieces = before([], box, {
      late: [
        {
          do: "bind",
          source: "/proc/version",
          inside: "/dev/null",
          flags: 0n,
          attrSet: 0n,
          attrClear: 0n,
          recursive: false,
          makeTarget: "no",
          propagation: 0n,
        },
        { do: "mask", path: "/work/key" },
      ],
    });
    const { control } = await launch(container(box, ["true"], fake), { program });
    expect(await control.failed()).toMatchObject({ errno: 19, context: "mask /work/key" });
  });

  test("a tmpfs with what the directory held, read-only once it is filled; remounted; a shared root", async () => {
    using box = new Sandbox();
    mkdirSync(`${box.root}/work/deep/er`, { recursive: true });
    for (let i = 0; i < 60; i++) writeFileSync(`${box.root}/work/deep/er/file${i}`, "x".repeat(i * 100));
    symlinkSync("deep", `${box.root}/work/link`);
    const tmpfs = {
      do: "mount",
      source: "t",
      fstype: "tmpfs",
      flags: 0n,
      data: "size=1m",
      makeTarget: true,
    } as const;
    const early: ContainerStep[] = [
      { do: "private-parent", path: box.root },
      { do: "root", path: box.root, flags: 0n },
      { ...tmpfs, inside: "/work", copyUp: true, keep: true, inheritMode: true },
      { ...tmpfs, inside: "/work/inner" },
      { do: "remount", inside: "/work/inner", set: 8n, clear: 0n, unset: 4n, data: "size=2m" },
      {
        do: "mount",
        source: "o",
        inside: "/tmp",
        fstype: "overlay",
        flags: 0n,
        data: `lowerdir=${box.root}${"/.".repeat(150)}/etc:${box.root}/bin`,
        makeTarget: true,
      },
    ];
    const late: ContainerStep[] = [
      { do: "mount-attributes", inside: "/work", set: 1n, clear: 0n },
      { do: "root-propagation", flags: mountFlags.MS_SHARED | mountFlags.MS_REC },
    ];
    const script =
      "ls /work/deep/er | wc -l; stat -c %s /work/link/er/file59; touch /work/x; touch /work/inner/x && echo inner; grep -c 'shared:' /proc/self/mountinfo; grep ' /work/inner ' /proc/mounts";
    const pieces = { root: early, late } satisfies Pieces;
    const lines = (await shell(box, program, `(${script}) 2>&1`, pieces)).split("\n");
    expect(lines.slice(0, 4)).toEqual(["60", "5900", "touch: /work/x: Read-only file system", "inner"]);
    expect(Number(lines[4])).toBeGreaterThan(6);
    expect(lines[5]).toMatch(/^t \/work\/inner tmpfs rw,noexec,relatime,size=2048k/);
  });

  test("rights: ids, groups, umask, capabilities, no_new_privs, seccomp, limits, oom score", async () => {
    using box = new Sandbox();
    const netBind = 1n << 10n;
    const sets = {
      bounding: netBind,
      effective: netBind,
      permitted: netBind,
      inheritable: netBind,
      ambient: netBind,
    };
    const seccomp = compileSeccomp(defaultSeccompProfile([]));
    const late: ContainerStep[] = [
      { do: "oom-score", value: 500 },
      { do: "rlimit", resource: 7, soft: 100n, hard: 200n },
      { do: "capabilities", sets, phase: "bound" },
      { do: "ids", uid: 1000, gid: 1001, groups: [7, 1002], umask: 0o27 },
      { do: "capabilities", sets, phase: "set" },
      { do: "no-new-privs" },
      { do: "seccomp", ...seccomp },
    ];
    const script =
      "id; umask; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; while read k v; do case $k in Cap*|NoNew*|Seccomp:) echo $k $v;; esac; done < /proc/self/status; echo ok > /dev/null; echo re > /proc/self/fd/1";
    expect(await shell(box, program, script, { late })).toBe(
      [
        "uid=1000 gid=1001 groups=7,1002",
        "0027",
        "100",
        "200",
        "500",
        ...["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"].map((name) => `${name} 0000000000000400`),
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "re",
        "",
      ].join("\n"),
    );
  });

  test("names, kernel parameters, working directory, environment", async () => {
    using box = new Sandbox();
    const late: ContainerStep[] = [
      { do: "hostname", name: "web" },
      { do: "domainname", name: "example" },
      { do: "sysctl", key: "net.ipv4.ip_forward", value: "1" },
      { do: "sysctl", key: "net/ipv4/conf/lo/forwarding", value: "0" },
      { do: "keyring", name: "k", rights: 0, label: "" },
      { do: "chdir", path: "/made/here", make: true },
      { do: "set-session" },
    ];
    const script = "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward; pwd; echo $A-$B";
    expect(await shell(box, program, script, { late, env: ["PATH=/bin", "A=1", "B=x y"] })).toBe(
      "web\nexample\n1\n/made/here\n1-x y\n",
    );
  });

  test.each([
    {
      name: "sysctl with ..",
      late: [{ do: "sysctl", key: "net/../../1/oom_score_adj", value: "1" }],
      errno: 18,
    },
    { name: "sysctl unknown", late: [{ do: "sysctl", key: "no.such", value: "1" }], errno: 2 },
    {
      name: "chdir through a magic link",
      late: [{ do: "chdir", path: "/proc/self/fd/3", make: false }],
      errno: 40,
    },
    { name: "chdir missing", late: [{ do: "chdir", path: "/no/such", make: false }], errno: 2 },
    {
      name: "limit above the hard one",
      late: [{ do: "rlimit", resource: 7, soft: 1n, hard: 1n << 63n }],
      errno: 1,
    },
    {
      name: "seccomp program of wrong size",
      late: [{ do: "seccomp", program: new Uint8Array(9), flags: 0 }],
      errno: 22,
    },
    {
      name: "unknown file system",
      late: [
        { do: "mount", source: "x", inside: "/tmp", fstype: "nofs", flags: 0n, data: "", makeTarget: false },
      ],
      errno: 19,
    },
    {
      name: "unknown option",
      late: [
        {
          do: "mount",
          source: "x",
          inside: "/tmp",
          fstype: "tmpfs",
          flags: 0n,
          data: "size=1m,bogus",
          makeTarget: false,
        },
      ],
      errno: 22,
    },
    {
      name: "bind source missing",
      late: [
        {
          do: "bind",
          source: "/no/such",
          inside: "/tmp",
          flags: 0n,
          attrSet: 0n,
          attrClear: 0n,
          recursive: false,
          makeTarget: "no",
          propagation: 0n,
        },
      ],
      errno: 2,
    },
  ] as const)("fails by name: $name", async ({ late, errno }) => {
    using box = new Sandbox();
    const plan = container(box, ["true"], { late });
    const { control } = await launch(plan, { program });
    const index = plan.monitor.length + plan.container.findIndex((step) => step.do === "pivot-root") + 1;
    expect(await control.failed()).toMatchObject({ index, errno });
  });

  test.each([
    { argv: ["nope"], env: ["PATH=/bin"], errno: 2 },
    { argv: ["/bin/nope"], env: [], errno: 2 },
    { argv: ["/bin"], env: [], errno: 21 },
    { argv: ["/work/plain"], env: [], errno: 13 },
    { argv: ["/work/text"], env: [], errno: 8 },
    { argv: [""], env: [], errno: 2 },
  ])("exec of $argv fails with errno $errno", async ({ argv, env, errno }) => {
    using box = new Sandbox();
    writeFileSync(`${box.root}/work/plain`, "x", { mode: 0o644 });
    writeFileSync(`${box.root}/work/text`, "no format", { mode: 0o755 });
    const plan = container(box, argv, { env });
    const { control } = await launch(plan, { program });
    expect(await control.failed()).toEqual({
      index: plan.monitor.length + plan.container.length - 1,
      errno,
      context: argv[0] ?? "",
    });
  });

  test("without PATH in env the default one is searched", async () => {
    using box = new Sandbox();
    const { control } = await launch(container(box, ["true"], { env: [] }), { program });
    expect((await control.exited()).exitCode).toBe(0);
  });

  test("a failure at each step kills the child, runs every teardown step, names the step, writes the status", async () => {
    using box = new Sandbox();
    const bad = {
      monitor: { do: "write-file", path: "/no/such/file", data: "x" },
      container: { do: "rlimit", resource: 99, soft: 0n, hard: 0n },
    } as const;
    const good = container(box, ["sleep", "60"], {
      before: [{ do: "make-dir", path: box.path("made/deep"), mode: 0o700, parents: true }],
      monitor: [{ do: "write-file", path: box.path("made/file"), data: "x", openFlags: 0o1101 }],
      teardown: [
        { do: "remove-file", path: box.path("made/file") },
        { do: "remove-file", path: "/proc/self" },
        { do: "write-file", path: box.path("undone"), data: "y", openFlags: 0o3101 },
      ],
    });
    const variants: { plan: Plan; index: number }[] = [];
    for (let i = 0; i <= good.monitor.length; i++)
      variants.push({
        index: i,
        plan: { ...good, monitor: [...good.monitor.slice(0, i), bad.monitor, ...good.monitor.slice(i)] },
      });
    for (let i = 0; i < good.container.length; i++)
      variants.push({
        index: good.monitor.length + i,
        plan: {
          ...good,
          container: [...good.container.slice(0, i), bad.container, ...good.container.slice(i)],
        },
      });
    for (const { plan, index } of variants) {
      writeFileSync(box.path("undone"), "");
      const { control, attached } = await launch(plan, {
        program,
        attach: [all],
        options: {
          statusPath: box.path("status"),
          socketPath: box.path("socket"),
          processTitle: `gantry-test ${box.dir}`,
        },
      });
      const failed = await control.failed();
      expect(failed.index).toBe(index);
      await attached[0]?.closed();
      await control.closed();
      expect(readFileSync(box.path("status"), "utf8")).toBe(`failed ${index} ${failed.errno}\n`);
      expect(existsSync(box.path("made/file"))).toBe(false);
      // Appended, once.
      expect(readFileSync(box.path("undone"), "utf8")).toBe("y");
      expect(existsSync(box.path("socket"))).toBe(false);
      expect(processesOf(box.root)).toEqual([]);
    }
  });

  test("an optional step may fail", async () => {
    using box = new Sandbox();
    const optional = { optional: true } as const;
    const pieces: Pieces = {
      before: [{ do: "write-file", path: "/no/such", data: "", ...optional }],
      late: [{ do: "sysctl", key: "no.such", value: "1", ...optional }],
    };
    expect(await shell(box, program, "echo fine", pieces)).toBe("fine\n");
  });

  test("netlink in the container and in the monitor; the error names the message", async () => {
    using box = new Sandbox();
    const describe = (
      message: Uint8Array,
      description: string,
    ): { message: Uint8Array; description: string } => ({ message, description });
    const up: ContainerStep = { do: "netlink", protocol: 0, messages: [describe(route.linkUp(1), "lo up")] };
    expect(
      await shell(box, program, "cat /sys/class/net/lo/operstate; cat /sys/class/net/lo/flags", {
        late: [up],
      }),
    ).toBe("unknown\n0x9\n");
    const missing: MonitorStep = {
      do: "netlink",
      protocol: 0,
      messages: [describe(route.linkUp(999_999), "set nothing up")],
    };
    const { control } = await launch(container(box, ["true"], { monitor: [missing] }), { program });
    expect(await control.failed()).toEqual({ index: 1, errno: 19, context: "set nothing up" });
  });

  test("a veth made by the monitor with its peer in the container", async () => {
    using box = new Sandbox();
    const name = `gt${process.pid}`;
    const made = route.createVethInto(name, "eth0", {});
    const veth: MonitorStep = { do: "netlink", protocol: 0, messages: [{ ...made, description: "veth" }] };
    expect(await shell(box, program, "ls /sys/class/net", { monitor: [veth] })).toBe("eth0\nlo\n");
  });

  test("device program on a v2 cgroup", async () => {
    using box = new Sandbox();
    const dir = `/sys/fs/cgroup/unified/gantry-native-${process.pid}-${program}`;
    const denyAll = compileDeviceProgram([{ allow: false, access: "rwm" }]);
    const pieces: Pieces = {
      before: [
        { do: "make-dir", path: dir, mode: 0o755, parents: true },
        { do: "cgroup-devices", dir, program: denyAll },
      ],
      monitor: [{ do: "join-cgroup", dir }],
      teardown: [{ do: "remove-cgroup", dir }],
    };
    // mknod is refused, so the host's node is bound; opening it is refused as well.
    expect(await shell(box, program, "cat /dev/null 2>&1", pieces)).toBe(
      "cat: can't open '/dev/null': Operation not permitted\n",
    );
    expect(existsSync(dir)).toBe(false);
  });

  test("clone into a v2 cgroup; namespaces joined by path", async () => {
    using box = new Sandbox();
    const dir = `/sys/fs/cgroup/unified/gantry-native-into-${process.pid}-${program}`;
    mkdirSync(dir);
    const base = container(box, ["sleep", "60"], { teardown: [{ do: "remove-cgroup", dir }] });
    const plan: Plan = { ...base, monitor: [{ do: "clone", flags: containerFlags, intoCgroup: dir }] };
    const { control } = await launch(plan, { program });
    const { pid } = await control.started();
    expect(readFileSync(`${dir}/cgroup.procs`, "utf8").trim()).toBe(String(pid));
    const early: ContainerStep[] = [
      {
        do: "join-paths",
        namespaces: [
          { path: `/proc/${pid}/ns/net`, flag: cloneFlags.CLONE_NEWNET },
          { path: `/proc/${pid}/ns/pid`, flag: cloneFlags.CLONE_NEWPID },
        ],
      },
    ];
    const second = await launch(container(box, ["sleep", "60"], { early, flags: cloneFlags.CLONE_NEWNS }), {
      program,
    });
    const joined = await second.control.started();
    for (const ns of ["net", "pid"])
      expect(readlinkSync(`/proc/${joined.pid}/ns/${ns}`)).toBe(readlinkSync(`/proc/${pid}/ns/${ns}`));
    await control.channel.write(signalFrame(9));
    await control.exited();
    expect((await second.control.exited()).signal).toBe(9);
    expect(existsSync(dir)).toBe(false);
  });

  test("read-only root", async () => {
    using box = new Sandbox();
    const late: ContainerStep[] = [{ do: "remount-root", flags: MS_RDONLY | MS_NOSUID }];
    expect(
      await shell(
        box,
        program,
        "touch /x 2>&1; grep=1; while read a b c d e f g; do [ $e = / ] && echo ${f%%,relatime}; done < /proc/self/mountinfo",
        { late },
      ),
    ).toMatch(/^touch: \/x: Read-only file system\nro,nosuid/);
  });

  test("capabilities none, then nothing may be mounted", async () => {
    using box = new Sandbox();
    const late: ContainerStep[] = [
      { do: "capabilities", sets: noCapabilities, phase: "bound" },
      { do: "capabilities", sets: noCapabilities, phase: "set" },
    ];
    expect(await shell(box, program, "mount -t tmpfs x /tmp 2>&1", { late })).toContain("ermission denied");
  });
});

describe.each(programs)("mode run (%s)", (program) => {
  test("inherits stdio and preserved fds, forwards signals", async () => {
    using box = new Sandbox();
    const out = openSync(box.path("out"), "w+");
    const extra = openSync(box.path("extra"), "w+");
    const script = "trap 'echo got; exit 9' USR1; echo to3 >&3; echo up; while :; do sleep 0.05; done";
    const plan = container(box, ["sh", "-c", script]);
    const { control, pid } = await launch(plan, {
      program,
      mode: "run",
      stdio: [-1, out, out],
      extraFds: [extra],
      options: { preserveFds: 1 },
    });
    await control.started();
    for (let i = 0; i < 100 && !readFileSync(box.path("out"), "utf8").includes("up"); i++)
      await Bun.sleep(10);
    process.kill(pid, "SIGUSR1");
    expect((await control.exited()).exitCode).toBe(9);
    for (const fd of [out, extra]) closeSync(fd);
    expect(readFileSync(box.path("out"), "utf8")).toBe("up\ngot\n");
    expect(readFileSync(box.path("extra"), "utf8")).toBe("to3\n");
  });

  test("create: reported, then waits at the fifo after the root has changed; start lets it run", async () => {
    using box = new Sandbox();
    Bun.spawnSync(["/bin/busybox", "mkfifo", box.path("fifo")]);
    const out = openSync(box.path("out"), "w+");
    const plan = container(box, ["echo", "ran"], {
      monitor: [{ do: "write-pid-file", path: box.path("pid") }],
      late: [{ do: "wait-start", fifo: box.path("fifo") }],
    });
    const { control, pid } = await launch(plan, {
      program,
      mode: "run",
      stdio: [-1, out, out],
      options: { detach: true, statusPath: box.path("status") },
    });
    const started = await control.started();
    await control.closed();
    expect(readFileSync(box.path("pid"), "utf8")).toBe(String(started.pid));
    for (let i = 0; i < 200 && isAlive(pid); i++) await Bun.sleep(10);
    expect(isAlive(pid)).toBe(false);
    expect(isAlive(started.pid)).toBe(true);
    expect(readFileSync(box.path("out"), "utf8")).toBe("");
    expect(readFileSync(box.path("fifo"), "utf8")).toBe("0");
    for (let i = 0; i < 200 && isAlive(started.pid); i++) await Bun.sleep(10);
    closeSync(out);
    expect(readFileSync(box.path("out"), "utf8")).toBe("ran\n");
  });

  test("create refuses a program that is not there", async () => {
    using box = new Sandbox();
    Bun.spawnSync(["/bin/busybox", "mkfifo", box.path("fifo")]);
    const plan = container(box, ["nope"], { late: [{ do: "wait-start", fifo: box.path("fifo") }] });
    const { control } = await launch(plan, { program, mode: "run", options: { detach: true } });
    expect(await control.failed()).toMatchObject({ errno: 2, context: "nope" });
  });

  test("the console goes to the console socket", async () => {
    using box = new Sandbox();
    const connected = Promise.withResolvers<string>();
    const server = createServer((socket) => socket.on("data", (data) => connected.resolve(data.toString())));
    await new Promise<void>((done) => server.listen(box.path("console"), done));
    const plan = container(box, ["true"], { late: [{ do: "console", bindDevConsole: true }] });
    const { control } = await launch(plan, {
      program,
      mode: "run",
      options: { terminal: { rows: 1, cols: 1 }, consoleSocket: box.path("console") },
    });
    expect(await connected.promise).toBe("/dev/ptmx");
    // The receiver dropped the master: the session is hung up, or the program had ended before.
    expect([0, 129]).toContain((await control.exited()).exitCode);
    server.close();
  });
});

/** Processes whose root is `root`. */
function processesOf(root: string): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/root`) === root;
    } catch {
      // ENOENT, ESRCH: it has just ended.
      return false;
    }
  });
}
