/**
 * Known attacks on container runtimes, tried on ours. Each test also shows that its attack would work where nothing stands
 * against it: the race is really run, the file could really be written. As root: scripts/bun test test/security/cve.test.ts
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import { defaultCapabilities, defaultMounts } from "../../src/runtime/defaults.ts";
import type { OciMount } from "../../src/runtime/oci-types.ts";
import { OciBundles, parseMountInfo, runBounded } from "../lib/oci-bundle.ts";
import { ociRuntime } from "../lib/oci-world.ts";

// Many containers a test, on a machine that may be busy.
setDefaultTimeout(60_000);

const world = new OciBundles("cve");
const racer = `${world.dir}/race`;
const children: Bun.Subprocess[] = [];
let folders = 0;

const must = (...words: readonly string[]): string => {
  const ran = runBounded(words);
  if (ran.code !== 0) throw new Error(`${words.join(" ")}: ${ran.err}`);
  return ran.out;
};
const folder = (): string => {
  const dir = `${world.dir}/f${folders++}`;
  mkdirSync(dir);
  return dir;
};

beforeAll(() => {
  must("gcc", "-O2", "-static", "-o", racer, resolve(import.meta.dir, "race.c"));
});
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
  world.cleanUp();
}, 60_000);

/** Two names that somebody exchanges all the time while `work` runs. */
async function whileExchanged<T>(a: string, b: string, work: () => T): Promise<T> {
  const child = Bun.spawn([racer, "exchange", a, b], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  children.push(child);
  try {
    const result = work();
    if (child.exitCode !== null) throw new Error("the exchange has ended");
    return result;
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

const all = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", ...defaultCapabilities];
const strong = { capabilities: { bounding: all, effective: all, permitted: all } };
const digest = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("CVE-2019-5736: the runtime's own program is not overwritten from inside", () => {
  test("control: the attack overwrites an ordinary program that ends", async () => {
    const victim = `${folder()}/victim`;
    copyFileSync(racer, victim);
    chmodSync(victim, 0o755);
    // In a pid namespace of their own the two see each other alone.
    const script = `"$1" run-and-end 400 & exec "$0" overwrite "$0 /bin/sh /bin/dash /usr/bin/dash"`;
    const ran = runBounded(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, racer, victim]);
    expect(ran.out).toContain("wrote\n");
    expect(readFileSync(victim, "utf8")).toStartWith("#!gone");
  });

  test("through exec of a script whose interpreter is /proc/self/exe", async () => {
    const root = world.rootfs();
    copyFileSync(racer, `${root}/bin/race`);
    writeFileSync(`${root}/bin/bait`, "#!/proc/self/exe\n", { mode: 0o755 });
    chmodSync(`${root}/bin/bait`, 0o755);
    const before = digest(ociRuntime);
    const { id, dir, ran } = world.start({
      root: { path: root },
      process: strong,
      args: ["sh", "-c", "race overwrite '/bin/race /bin/busybox' > /log; exec sleep 1000"],
    });
    expect(ran).toMatchObject({ code: 0 });
    for (let i = 0; i < 200 && readFileSync(`${root}/log`, "utf8") === ""; i++)
      world.exec(id, i % 2 === 0 ? "/bin/bait" : "/proc/self/exe");
    for (let i = 0; i < 50 && !/wrote|refused|nothing/.test(readFileSync(`${root}/log`, "utf8")); i++)
      await Bun.sleep(100);
    const log = readFileSync(`${root}/log`, "utf8");
    // The runtime was seen in the container, and could not be written to.
    expect(log).toMatch(/^seen .*gantry-init.*\nrefused\n$/);
    expect(digest(ociRuntime)).toBe(before);
    expect(world.exec(id, "echo", "still").out).toBe("still\n");
    expect(existsSync(dir)).toBe(true);
  });

  test("through an entry point that is /proc/self/exe", () => {
    const before = digest(ociRuntime);
    const root = world.rootfs();
    writeFileSync(`${root}/bin/bait`, "#!/proc/self/exe\n", { mode: 0o755 });
    for (const args of [
      ["/bin/bait"],
      ["/proc/self/exe"],
      ["/proc/self/exe", "init", "--", "/bin/echo", "x"],
    ])
      world.run({ root: { path: root }, args, process: strong });
    expect(digest(ociRuntime)).toBe(before);
  });

  test("what is executed of it cannot be written, ever", () => {
    // The program that a container is started with is seen at /proc/PID/exe until its execve: a sealed memory file.
    const script = "exec 3< /proc/self/exe; (echo x > /proc/self/fd/3) 2>&1; readlink /proc/self/exe";
    expect(world.run({ args: ["sh", "-c", script] }).out).toContain("/bin/busybox");
    expect(readFileSync(ociRuntime).subarray(0, 4).toString("latin1")).toBe("\x7fELF");
  });
});

describe("CVE-2019-16884: no volume takes the place of /proc", () => {
  const fake = folder();
  mkdirSync(`${fake}/self/attr`, { recursive: true });
  writeFileSync(`${fake}/marker`, "fake\n");
  const volume = (destination: string): OciMount => ({
    destination,
    type: "bind",
    source: fake,
    options: ["rbind"],
  });

  test("control: the volume is seen elsewhere", () => {
    expect(world.run({ args: ["cat", "/mnt/marker"], mounts: [volume("/mnt")] }).out).toBe("fake\n");
  });

  test.each(["/proc", "/proc/self", "/link", "/link/self", "/dir/../proc"])("on %s", (destination) => {
    const root = world.rootfs();
    symlinkSync("/proc", `${root}/link`);
    for (const order of [defaultMounts, defaultMounts.toReversed()]) {
      const ran = world.run({
        args: ["cat", "/proc/marker"],
        root: { path: root },
        baseMounts: order,
        mounts: [volume(destination)],
      });
      expect(ran.out).not.toContain("fake");
      expect(ran.code).not.toBe(0);
    }
  });
});

describe("CVE-2023-27561, CVE-2023-28642: links in place of /proc and /sys", () => {
  test.each([
    ["proc", "/elsewhere"],
    ["proc", "elsewhere"],
    ["sys", "/elsewhere"],
    ["sys", "../../../../tmp"],
  ])("/%s -> %s is not followed", (name, target) => {
    const root = world.rootfs();
    mkdirSync(`${root}/elsewhere`);
    symlinkSync(target, `${root}/${name}`);
    const ran = world.run({ args: ["echo", "ran"], root: { path: root } });
    expect(ran).toMatchObject({ out: "" });
    expect(ran.code).not.toBe(0);
    rmSync(`${root}/${name}`);
    expect(world.run({ args: ["echo", "ran"], root: { path: root } }).out).toBe("ran\n");
  });

  test("nor when it is exchanged with a directory at every moment", async () => {
    const root = world.rootfs();
    mkdirSync(`${root}/proc`);
    mkdirSync(`${root}/elsewhere`);
    symlinkSync("elsewhere", `${root}/other`);
    const seen = await whileExchanged(`${root}/proc`, `${root}/other`, () => {
      const outcomes = { proc: 0, refused: 0, elsewhere: 0 };
      for (let i = 0; i < 150; i++) {
        const ran = world.run({
          args: ["cat", "/proc/self/mountinfo"],
          root: { path: root },
          linux: { maskedPaths: [], readonlyPaths: [] },
        });
        const procs = parseMountInfo(ran.out).filter(({ fstype }) => fstype === "proc");
        if (ran.code !== 0) outcomes.refused++;
        else if (procs.some(({ path }) => path.includes("elsewhere"))) outcomes.elsewhere++;
        else outcomes.proc++;
      }
      return outcomes;
    });
    // The directory can be the one named `other` by the time of reading; it never is the link's target.
    expect(seen.elsewhere).toBe(0);
    expect(seen.refused).toBeGreaterThan(0);
  }, 120_000);
});

describe("CVE-2021-30465, CVE-2024-45310: a destination that is exchanged with a link to the host", () => {
  /** A volume in which `way` is now a directory, now a link to a directory of the host. */
  const trap = (): { readonly volume: string; readonly host: string } => {
    const [volume, host] = [folder(), folder()];
    mkdirSync(`${volume}/way`);
    symlinkSync(host, `${volume}/bend`);
    return { volume, host };
  };
  const onVolume = (volume: string, inner: OciMount): readonly OciMount[] => [
    { destination: "/vol", type: "bind", source: volume, options: ["rbind"] },
    inner,
  ];

  test("control: who makes the destination by its path on the host ends up there", async () => {
    const { volume, host } = trap();
    const reached = await whileExchanged(`${volume}/way`, `${volume}/bend`, () => {
      for (let i = 0; i < 20_000 && readdirSync(host).length === 0; i++)
        try {
          mkdirSync(`${volume}/way/made`);
          rmSync(`${volume}/way/made`, { recursive: true });
        } catch {
          // ENOENT, EEXIST: lost one of the races
          continue;
        }
      return readdirSync(host).length > 0 || existsSync(`${host}/made`);
    });
    // The directory was made or removed through the link at least once in so many tries.
    expect(reached || existsSync(`${volume}/bend/made`) || existsSync(`${volume}/way/made`)).toBe(true);
  }, 60_000);

  test.each([
    ["a directory", { destination: "/vol/way/made/deep", type: "tmpfs", source: "raced", options: [] }],
    ["a file", { destination: "/vol/way/made", type: "bind", source: "/etc/hostname", options: ["bind"] }],
  ])(
    "%s: in 300 starts the host is never touched, and the mount is always inside",
    async (_, inner) => {
      const { volume, host } = trap();
      const before = readFileSync("/proc/self/mountinfo", "utf8");
      const root = world.rootfs();
      const outcomes = await whileExchanged(`${volume}/way`, `${volume}/bend`, () => {
        const seen = { direct: 0, bent: 0, refused: 0, outside: 0 };
        for (let i = 0; i < 300; i++) {
          const ran = world.run({
            args: ["cat", "/proc/self/mountinfo"],
            root: { path: root },
            mounts: onVolume(volume, inner),
          });
          const paths = parseMountInfo(ran.out).map(({ path }) => path);
          if (ran.code !== 0) seen.refused++;
          else if (paths.some((path) => path.startsWith("/vol/") && path.includes("/made"))) seen.direct++;
          else if (paths.some((path) => path.startsWith(`${host}/made`))) seen.bent++;
          else seen.outside++;
        }
        return seen;
      });
      expect(readdirSync(host)).toEqual([]);
      expect(outcomes.outside).toBe(0);
      // The race was run: both ways were taken. A link that is absolute leads to the same path below the root.
      expect(outcomes.direct).toBeGreaterThan(0);
      expect(outcomes.bent).toBeGreaterThan(0);
      expect(existsSync(`${root}${host}/made`)).toBe(true);
      expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
    },
    240_000,
  );
});

describe("CVE-2022-29162: exec gives no inheritable capabilities", () => {
  const sets = (text: string): Record<string, string> =>
    Object.fromEntries(
      [...text.matchAll(/^Cap(\w+):\s+(\w+)$/gm)].map(([, name = "", mask = ""]) => [name, mask]),
    );

  test("neither by default nor with --cap; control: what the config names is there", () => {
    const { id, ran } = world.start({});
    expect(ran).toMatchObject({ code: 0 });
    for (const extra of [[], ["--cap", "CAP_NET_ADMIN"]]) {
      const found = sets(world.runtime("exec", ...extra, id, "cat", "/proc/self/status").out);
      expect(found).toMatchObject({ Inh: "0000000000000000", Amb: "0000000000000000" });
      expect(found["Eff"]).not.toBe("0000000000000000");
    }
    const named = { ...strong.capabilities, inheritable: ["CAP_CHOWN"] };
    const { out } = world.run({ args: ["cat", "/proc/self/status"], process: { capabilities: named } });
    expect(sets(out)).toMatchObject({ Inh: "0000000000000001" });
  });
});

describe("CVE-2023-25809: the host's cgroups are not writable through a bound /sys", () => {
  const namespaces = (["mount", "pid", "network", "ipc", "uts"] as const).map((type) => ({ type }));
  const sys: OciMount = {
    destination: "/sys",
    type: "none",
    source: "/sys",
    options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
  };
  const others = defaultMounts.filter(({ destination }) => !destination.startsWith("/sys"));
  const cgroup: OciMount = {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  };
  // At the top of each hierarchy that is seen: can it be written?
  const script =
    "for d in /sys/fs/cgroup/*; do mkdir $d/gantry-cve 2>/dev/null && echo wrote $d && rmdir $d/gantry-cve; done; echo end";

  test("control: without a mount of cgroups the host's hierarchies are there and writable", () => {
    const ran = world.run({
      args: ["sh", "-c", script],
      baseMounts: [...others, sys],
      linux: { namespaces },
    });
    expect(ran.out).toContain("wrote /sys/fs/cgroup/");
  });

  test("with one nothing is", () => {
    const ran = world.run({
      args: ["sh", "-c", script],
      baseMounts: [...others, sys, cgroup],
      linux: { namespaces },
    });
    expect(ran).toMatchObject({ code: 0, out: "end\n" });
  });
});

describe("CVE-2024-21626: no directory of the host by a file descriptor that was left open", () => {
  const outside = folder();
  writeFileSync(`${outside}/marker`, "of the host\n");
  /** The command with the host's directory open as fd 7. */
  const withOpenFd = (words: readonly string[]) =>
    runBounded(["bash", "-c", 'exec 7< "$0"; exec "$@"', outside, ...words]);
  const cat = ["sh", "-c", "cat marker ../../../../../../..$0/marker 2>/dev/null; echo end", outside];

  test("control: the fd does lead there", () => {
    expect(withOpenFd(["sh", "-c", "cd /proc/self/fd/7 && cat marker"]).out).toBe("of the host\n");
  });

  test.each([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])("as working directory /proc/self/fd/%d", (fd) => {
    const { dir, id } = world.bundle({ args: cat, process: { cwd: `/proc/self/fd/${fd}` } });
    const ran = withOpenFd(world.command("run", "--bundle", dir, id));
    expect(ran.out).not.toContain("of the host");
    expect(ran.code).not.toBe(0);
  });

  test("even when it is meant to be passed on", () => {
    const { dir, id } = world.bundle({ args: cat, process: { cwd: "/proc/self/fd/7" } });
    const ran = withOpenFd([
      "bash",
      "-c",
      'exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null; exec "$@"',
      "-",
      ...world.command("run", "--preserve-fds", "5", "--bundle", dir, id),
    ]);
    expect(ran.out).not.toContain("of the host");
    expect(ran.code).not.toBe(0);
  });

  test("of exec, too, also through a link of the image", () => {
    const root = world.rootfs();
    for (let fd = 3; fd < 13; fd++) symlinkSync(`/proc/self/fd/${fd}`, `${root}/cwd${fd}`);
    const { id, ran } = world.start({ root: { path: root } });
    expect(ran).toMatchObject({ code: 0 });
    for (let fd = 3; fd < 13; fd++)
      for (const cwd of [`/proc/self/fd/${fd}`, `/cwd${fd}`]) {
        const { out, code } = withOpenFd(world.command("exec", "--cwd", cwd, id, ...cat));
        expect([cwd, out.includes("of the host"), code === 0]).toEqual([cwd, false, false]);
      }
  });

  test("and none is left open in the program", () => {
    const { dir, id } = world.bundle({ args: ["sh", "-c", "ls /proc/1/fd; readlink /proc/1/fd/*"] });
    const { out } = withOpenFd(world.command("run", "--bundle", dir, id));
    expect(out.split("\n").filter((line) => /^[0-9]+$/.test(line))).toEqual(["0", "1", "2"]);
    expect(out).not.toContain(outside);
  });
});

/** A /dev that somebody else can write to, as a volume; with what a container needs. */
function ownDev(): string {
  const dev = folder();
  for (const [name, minor] of [
    ["null", "3"],
    ["zero", "5"],
    ["full", "7"],
    ["random", "8"],
    ["urandom", "9"],
  ] as const)
    must("mknod", "-m", "666", `${dev}/${name}`, "c", "1", minor);
  must("mknod", "-m", "666", `${dev}/tty`, "c", "5", "0");
  mkdirSync(`${dev}/pts`);
  return dev;
}
const onDev = (dev: string, ...more: readonly OciMount[]): readonly OciMount[] => [
  ...defaultMounts.filter(({ destination }) => !destination.startsWith("/dev")),
  { destination: "/dev", type: "bind", source: dev, options: ["rbind"] },
  ...more,
];

describe("CVE-2025-31133: what masks a file is the null device", () => {
  test("though /dev/null is exchanged with a link at every moment", async () => {
    const root = world.rootfs();
    writeFileSync(`${root}/secret`, "secret\n");
    writeFileSync(`${root}/etc/target`, "target\n");
    const dev = ownDev();
    symlinkSync("/etc/target", `${dev}/bait`);
    const linux = { maskedPaths: ["/secret"], readonlyPaths: [] };
    const run = () =>
      world.run({
        args: ["sh", "-c", "cat /secret; echo x > /secret; cat /etc/target"],
        root: { path: root },
        baseMounts: onDev(dev),
        linux,
      });
    expect(run()).toMatchObject({ code: 0, out: "target\n" });
    const outcomes = await whileExchanged(`${dev}/null`, `${dev}/bait`, () => {
      const seen = { masked: 0, refused: 0, wrong: [] as string[] };
      for (let i = 0; i < 200; i++) {
        const ran = run();
        if (ran.code !== 0) seen.refused++;
        else if (ran.out === "target\n") seen.masked++;
        else seen.wrong.push(ran.out);
      }
      return seen;
    });
    expect(outcomes.wrong).toEqual([]);
    expect(outcomes.masked).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(readFileSync(`${root}/etc/target`, "utf8")).toBe("target\n");
  }, 120_000);

  test("nor does another device or a file in its place mask", () => {
    for (const make of [["mknod", "c", "1", "5"], ["touch"]]) {
      const dev = ownDev();
      const [program = "", ...rest] = make;
      rmSync(`${dev}/null`);
      must(program, `${dev}/null`, ...rest);
      const ran = world.run({ args: ["echo", "ran"], baseMounts: onDev(dev) });
      expect(ran).toMatchObject({ out: "" });
      expect(ran.code).not.toBe(0);
    }
  });
});

describe("CVE-2025-52565: the terminal is put at /dev/console and nowhere else", () => {
  const pts = defaultMounts.filter(({ destination }) => destination === "/dev/pts");
  /** A terminal of its own for the command, as a user has. */
  const onTerminal = (words: readonly string[]) =>
    runBounded(["script", "-qec", words.map((word) => `'${word}'`).join(" "), "/dev/null"]);
  const consoleMounts = (dev: string, root: string): string => {
    const { dir, id } = world.bundle({
      args: ["cat", "/proc/self/mountinfo"],
      root: { path: root },
      process: { terminal: true },
      baseMounts: onDev(dev, ...pts),
      linux: { maskedPaths: [], readonlyPaths: [] },
    });
    const { out } = onTerminal(world.command("run", "--bundle", dir, id));
    const found = parseMountInfo(out.replaceAll("\r", "")).filter(
      ({ fstype, path }) => fstype === "devpts" && path !== "/dev/pts",
    );
    return found.length === 0 ? "refused" : found.map(({ path }) => path).join();
  };

  test("though it is exchanged with a link into /proc at every moment", async () => {
    const dev = ownDev();
    const root = world.rootfs();
    writeFileSync(`${dev}/console`, "");
    expect(consoleMounts(dev, root)).toBe("/dev/console");
    symlinkSync("/proc/sys/kernel/core_pattern", `${dev}/bait`);
    const outcomes = await whileExchanged(`${dev}/console`, `${dev}/bait`, () =>
      Array.from({ length: 150 }, () => consoleMounts(dev, root)),
    );
    // A link in its place is covered itself. Exchanged again by the time of reading, the same place has the other name:
    // that both are seen shows the race.
    expect([...new Set(outcomes)].filter((at) => at !== "refused").toSorted()).toEqual([
      "/dev/bait",
      "/dev/console",
    ]);
  }, 120_000);

  test("a /dev/pts that is a link or no devpts gives no terminal", () => {
    const dev = ownDev();
    rmSync(`${dev}/pts`, { recursive: true });
    symlinkSync("/etc", `${dev}/pts`);
    const root = world.rootfs();
    writeFileSync(`${root}/etc/ptmx`, "");
    const { dir, id } = world.bundle({
      args: ["echo", "ran"],
      root: { path: root },
      process: { terminal: true },
      baseMounts: onDev(dev),
    });
    const { out } = onTerminal(world.command("run", "--bundle", dir, id));
    expect(out).not.toMatch(/^ran/m);
    expect(out).toContain("/dev/pts/ptmx");
  });
});

describe("CVE-2025-52881: what is meant for /proc is written to the kernel's /proc", () => {
  test("exec's OOM score, though the container has covered its /proc", async () => {
    const root = world.rootfs();
    mkdirSync(`${root}/fake/self`, { recursive: true });
    mkdirSync(`${root}/fake/thread-self`, { recursive: true });
    writeFileSync(`${root}/fake/self/oom_score_adj`, "untouched\n");
    writeFileSync(`${root}/fake/thread-self/oom_score_adj`, "untouched\n");
    const { id, dir, ran } = world.start({
      root: { path: root },
      process: { ...strong, oomScoreAdj: 500 },
      args: ["sh", "-c", "mount -o bind /fake /proc && touch /covered; exec sleep 1000"],
    });
    expect(ran).toMatchObject({ code: 0 });
    for (let i = 0; i < 100 && !existsSync(`${root}/covered`); i++) await Bun.sleep(20);
    // Control: inside, the false file is what this path leads to.
    expect(world.exec(id, "cat", "/proc/self/oom_score_adj").out).toBe("untouched\n");
    const process = {
      args: ["sh", "-c", "umount /proc; cat /proc/self/oom_score_adj"],
      cwd: "/",
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      ...strong,
      oomScoreAdj: 321,
    };
    writeFileSync(`${dir}/process.json`, JSON.stringify(process));
    expect(world.runtime("exec", "--process", `${dir}/process.json`, id).out).toBe("321\n");
    expect(readFileSync(`${root}/fake/self/oom_score_adj`, "utf8")).toBe("untouched\n");
    expect(readFileSync(`${root}/fake/thread-self/oom_score_adj`, "utf8")).toBe("untouched\n");
  });

  test("a sysctl, though the image has a /proc/sys of its own", () => {
    const root = world.rootfs();
    mkdirSync(`${root}/proc/sys/net/ipv4`, { recursive: true });
    writeFileSync(`${root}/proc/sys/net/ipv4/ip_unprivileged_port_start`, "untouched\n");
    const name = "net.ipv4.ip_unprivileged_port_start";
    const read = ["cat", `/proc/sys/${name.replaceAll(".", "/")}`];
    expect(world.run({ args: read, root: { path: root }, linux: { sysctl: { [name]: "77" } } }).out).toBe(
      "77\n",
    );
    expect(readFileSync(`${root}/proc/sys/net/ipv4/ip_unprivileged_port_start`, "utf8")).toBe("untouched\n");
    // Control: without a mount of proc the image's file is what the container sees; it is still not what is written.
    const baseMounts = defaultMounts.filter(({ type }) => type !== "proc");
    const ran = world.run({
      args: read,
      root: { path: root },
      baseMounts,
      linux: { sysctl: { [name]: "78" }, maskedPaths: [], readonlyPaths: [] },
    });
    expect(ran.out).toBe("untouched\n");
  });

  test("a sysctl is a file of /proc/sys and no link or path out of it", () => {
    for (const name of ["kernel/../../sysrq-trigger", "net/../../self/oom_score_adj"]) {
      const ran = world.run({ args: ["echo", "ran"], linux: { sysctl: { [name]: "0" } } });
      expect(ran).toMatchObject({ out: "" });
      expect(ran.code).not.toBe(0);
    }
  });
});
