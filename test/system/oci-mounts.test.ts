/** Mounts of a container on the real kernel, as it sees them. As root: scripts/bun test test/system/oci-mounts.test.ts */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { defaultMounts } from "../../src/runtime/defaults.ts";
import type { OciMount } from "../../src/runtime/oci-types.ts";
import { type BundleChange, OciBundles, parseMountInfo, runBounded } from "../lib/oci-bundle.ts";

// Many containers a test, on a machine that may be busy.
setDefaultTimeout(60_000);

const world = new OciBundles("mounts");
const volume = `${world.dir}/volume`;
const must = (...words: readonly string[]): string => {
  const ran = runBounded(words);
  if (ran.code !== 0) throw new Error(`${words.join(" ")}: ${ran.err}`);
  return ran.out;
};
/** The flags of the host's mount, anew: none but these. */
const dressVolume = (flags: string): void => {
  must("mount", "-o", "remount,bind,rw,suid,dev,exec,symfollow,diratime,strictatime", volume);
  if (flags !== "") must("mount", "-o", `remount,bind,${flags}`, volume);
};

beforeAll(() => {
  mkdirSync(volume);
  must("mount", "-t", "tmpfs", "volume", volume);
  mkdirSync(`${volume}/below`);
  must("mount", "-t", "tmpfs", "below", `${volume}/below`);
  writeFileSync(`${volume}/file`, "from the host\n");
  writeFileSync(`${volume}/below/file`, "from below\n");
  symlinkSync("file", `${volume}/link`);
});
afterAll(() => world.cleanUp(), 60_000);

const tmpfs = (...options: readonly string[]): OciMount => ({
  destination: "/mnt",
  type: "tmpfs",
  source: "tmpfs",
  options,
});
const bind = (...options: readonly string[]): OciMount => ({
  destination: "/mnt",
  type: "bind",
  source: volume,
  options,
});
const modes = ["ro", "rw", "nosuid", "nodev", "noexec", "noatime", "relatime", "nodiratime", "nosymfollow"];
const modesAt = (path: string, mounts: readonly OciMount[]): readonly string[] =>
  world
    .mountAt(path, { mounts })
    .options.filter((word) => modes.includes(word))
    .toSorted();

describe("a new file system has the flags that it is given", () => {
  test.each([
    [[], ["relatime", "rw"]],
    [["ro"], ["relatime", "ro"]],
    [
      ["nosuid", "nodev", "noexec"],
      ["nodev", "noexec", "nosuid", "relatime", "rw"],
    ],
    [
      ["nosuid", "suid", "nodev", "dev", "noexec", "exec", "ro", "rw"],
      ["relatime", "rw"],
    ],
    [["noatime"], ["noatime", "rw"]],
    [["strictatime"], ["rw"]],
    [
      ["noatime", "relatime"],
      ["relatime", "rw"],
    ],
    [["nodiratime"], ["nodiratime", "relatime", "rw"]],
    [["nosymfollow"], ["nosymfollow", "relatime", "rw"]],
    [
      ["rro", "rnosuid", "rstrictatime"],
      ["nosuid", "ro"],
    ],
    [
      ["defaults", "async", "nomand", "loud", "noiversion", "nolazytime", "silent", "iversion"],
      ["relatime", "rw"],
    ],
  ])("%j", (options, expected) => {
    expect(modesAt("/mnt", [tmpfs(...options)])).toEqual(expected);
  });

  test("what is the file system's own goes to it", () => {
    const { superOptions } = world.mountAt("/mnt", {
      mounts: [tmpfs("size=1m", "nr_inodes=77", "mode=0700", "uid=5")],
    });
    expect(superOptions).toEqual(expect.arrayContaining(["size=1024k", "nr_inodes=77", "mode=700", "uid=5"]));
    for (const word of ["sync", "dirsync"])
      expect(world.mountAt("/mnt", { mounts: [tmpfs(word)] }).superOptions).toContain(word);
  });
});

describe("a bind", () => {
  test.each([
    ["ro,noexec,nosymfollow,nodiratime", ["bind"], ["nodiratime", "noexec", "nosymfollow", "relatime", "ro"]],
    ["ro,noexec,nosymfollow", ["bind", "dev"], ["rw"]],
    ["ro", ["bind", "nosuid", "nodev", "rprivate"], ["nodev", "nosuid", "rw"]],
    ["ro", ["bind", "rw", "nosuid"], ["nosuid", "rw"]],
    ["nosuid,nodev,noexec,noatime", ["bind", "dev", "suid", "exec", "atime"], ["noatime", "rw"]],
    ["nodev,nosuid,noexec,noatime", ["bind", "ro"], ["noatime", "ro"]],
    ["nodev,nosymfollow", ["bind", "ro", "symfollow"], ["ro"]],
    ["noatime", ["bind", "relatime"], ["relatime", "rw"]],
    ["noatime", ["bind", "norelatime"], ["noatime", "rw"]],
    ["noatime", ["bind", "nodiratime"], ["nodiratime", "relatime", "rw"]],
    ["nodiratime", ["bind", "strictatime"], ["rw"]],
    ["noatime", ["bind", "nodiratime", "strictatime"], ["nodiratime", "rw"]],
  ])("of a source with %s and the options %j", (source, options, expected) => {
    dressVolume(source);
    expect(modesAt("/mnt", [bind(...options)])).toEqual(expected);
    dressVolume("");
  });

  test("shows what is mounted below only with rbind", () => {
    const read = (word: string) => world.run({ args: ["cat", "/mnt/below/file"], mounts: [bind(word)] });
    expect(read("rbind").out).toBe("from below\n");
    expect(read("bind").code).not.toBe(0);
  });

  test.each([
    ["rro", ["relatime", "ro"]],
    ["rnosuid", ["nosuid", "relatime", "rw"]],
    ["rnodev", ["nodev", "relatime", "rw"]],
    ["rnoexec", ["noexec", "relatime", "rw"]],
    ["rnoatime", ["noatime", "rw"]],
    ["rstrictatime", ["rw"]],
    ["rrelatime", ["relatime", "rw"]],
    ["rnorelatime", ["relatime", "rw"]],
    ["ratime", ["relatime", "rw"]],
    ["rnodiratime", ["nodiratime", "relatime", "rw"]],
    ["rnosymfollow", ["nosymfollow", "relatime", "rw"]],
  ])("%s reaches what is mounted below", (word, expected) => {
    must("mount", "-o", "remount,bind,relatime", volume);
    const mounts = world.mountsOf({ mounts: [bind("rbind", word)] });
    for (const path of ["/mnt", "/mnt/below"])
      expect([path, mounts.find((mount) => mount.path === path)?.options.toSorted()]).toEqual([
        path,
        expected,
      ]);
    dressVolume("");
  });

  test("negations reach it, too", () => {
    must("mount", "-o", "remount,bind,ro,nosuid,nodev,noexec", `${volume}/below`);
    const mounts = world.mountsOf({
      mounts: [bind("rbind", "rrw", "rsuid", "rdev", "rexec", "rdiratime", "rsymfollow")],
    });
    must("mount", "-o", "remount,bind,rw,suid,dev,exec", `${volume}/below`);
    expect(mounts.find(({ path }) => path === "/mnt/below")?.options.toSorted()).toEqual(["relatime", "rw"]);
  });

  test("ro concerns the mount alone, rro all", () => {
    const touch = (...options: readonly string[]) =>
      world.run({
        args: ["sh", "-c", "touch /mnt/x 2>&1; touch /mnt/below/x && echo below"],
        mounts: [bind(...options)],
      }).out;
    expect(touch("rbind", "ro")).toMatch(/Read-only file system\nbelow/);
    expect(touch("rbind", "ro", "rro")).not.toContain("below\n");
    expect(touch("rbind", "nosuid", "rro")).not.toContain("below\n");
  });

  test("of a file, made where it is missing; of a source that is missing: told", () => {
    const file = { destination: "/new/dir/file", type: "bind", source: `${volume}/file`, options: ["bind"] };
    expect(world.run({ args: ["cat", "/new/dir/file"], mounts: [file] }).out).toBe("from the host\n");
    const missing = world.run({ mounts: [{ ...file, source: `${volume}/none` }] });
    expect(missing.code).not.toBe(0);
    expect(missing.err).toContain(`${volume}/none`);
  });
});

describe("symlinks", () => {
  const link = (...options: readonly string[]): OciMount => ({
    destination: "/mnt/x",
    type: "bind",
    source: `${volume}/link`,
    options: ["bind", ...options],
  });

  test("are followed at the source, and with src-nofollow and dest-nofollow are bound themselves", () => {
    expect(world.run({ args: ["cat", "/mnt/x"], mounts: [link()] }).out).toBe("from the host\n");
    const root = world.rootfs();
    symlinkSync("elsewhere", `${root}/mnt/x`);
    const mounts = [link("src-nofollow", "dest-nofollow")];
    expect(world.run({ args: ["readlink", "/mnt/x"], mounts, root: { path: root } }).out).toBe("file\n");
    expect(existsSync(`${root}/mnt/elsewhere`)).toBe(false);
  });

  test("copy-symlink makes the same one, and a bind of what is none", () => {
    expect(world.run({ args: ["readlink", "/mnt/x"], mounts: [link("copy-symlink")] }).out).toBe("file\n");
    const mounts = [{ ...link("copy-symlink"), source: `${volume}/file` }];
    expect(world.run({ args: ["cat", "/mnt/x"], mounts }).out).toBe("from the host\n");
  });

  test("in a destination lead to places in the root, also where nothing is yet", () => {
    const root = world.rootfs();
    mkdirSync(`${root}/real`);
    symlinkSync("/real", `${root}/abs`);
    symlinkSync("../../../../../real/made", `${root}/etc/dangling`);
    const paths = world
      .mountsOf({
        root: { path: root },
        mounts: [
          { ...tmpfs(), destination: "/abs/a/b" },
          { ...tmpfs(), destination: "/etc/dangling" },
        ],
      })
      .map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(["/real/a/b", "/real/made"]));
  });

  test("a destination without a slash before is taken from /, one with the root's path from the root", () => {
    const root = world.rootfs();
    const mounts = [
      { ...tmpfs(), destination: "mnt/rel" },
      { ...tmpfs(), destination: `${root}/mnt/abs` },
    ];
    const paths = world.mountsOf({ root: { path: root }, mounts }).map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(["/mnt/rel", "/mnt/abs"]));
  });
});

describe("a tmpfs", () => {
  test("has the mode of the directory that it covers, and 1777 where there was none", () => {
    const root = world.rootfs();
    chmodSync(`${root}/mnt`, 0o710);
    const mode = (...mounts: readonly OciMount[]) =>
      world
        .run({ args: ["stat", "-c", "%a", mounts[0]?.destination ?? ""], root: { path: root }, mounts })
        .out.trim();
    expect(mode(tmpfs())).toBe("710");
    expect(mode(tmpfs("mode=1500"))).toBe("1500");
    expect(mode({ ...tmpfs(), destination: "/non/existent" })).toBe("1777");
    expect(statSync(`${root}/non/existent`).mode & 0o7777).toBe(0o755);
  });

  test("with tmpcopyup begins with what the image has there: modes, owners, links, times", () => {
    const root = world.rootfs();
    mkdirSync(`${root}/mnt/dir/deeper`, { recursive: true });
    chmodSync(`${root}/mnt/dir`, 0o2777);
    writeFileSync(`${root}/mnt/dir/deeper/file`, "x".repeat(100_000), { mode: 0o4755 });
    chmodSync(`${root}/mnt/dir/deeper/file`, 0o4755);
    symlinkSync("/etc/passwd", `${root}/mnt/link`);
    must("mkfifo", `${root}/mnt/fifo`);
    must("chown", "7:8", `${root}/mnt/dir`);
    must("touch", "-d", "2001-02-03 04:05:06 UTC", `${root}/mnt/dir/deeper/file`);
    must("setfattr", "-n", "user.note", "-v", "kept", `${root}/mnt/dir/deeper/file`);
    const script =
      "cd /mnt; stat -c '%a %u %g' dir; stat -c '%a %s %Y' dir/deeper/file; readlink link; test -p fifo && echo fifo; touch here; rm -r dir; grep ' /mnt ' /proc/mounts | head -c 5";
    const ran = world.run({ args: ["sh", "-c", script], root: { path: root }, mounts: [tmpfs("tmpcopyup")] });
    expect(ran.err).toBe("");
    expect(ran.out.split("\n")).toEqual([
      "2777 7 8",
      "4755 100000 981173106",
      "/etc/passwd",
      "fifo",
      "tmpfs",
    ]);
    expect(readdirSync(`${root}/mnt`).toSorted()).toEqual(["dir", "fifo", "link"]);
  });

  test("that is full while it is copied to is told, and nothing runs", () => {
    const root = world.rootfs();
    writeFileSync(`${root}/mnt/big`, Buffer.alloc(1 << 20));
    const ran = world.run({
      args: ["echo", "ran"],
      root: { path: root },
      mounts: [tmpfs("tmpcopyup", "size=64k")],
    });
    expect(ran).toMatchObject({ out: "" });
    expect(ran.code).not.toBe(0);
    expect(ran.err).toMatch(/no space left/i);
  });

  test("read-only, it still takes the mounts inside it, which stay writable", () => {
    const mounts = [tmpfs("ro"), { ...tmpfs(), destination: "/mnt/inner" }];
    const script = "touch /mnt/x 2>&1; touch /mnt/inner/x && echo inner";
    expect(world.run({ args: ["sh", "-c", script], mounts }).out).toMatch(/Read-only file system\ninner\n$/);
  });

  test("remount changes what an earlier entry has made", () => {
    const mounts = [tmpfs("size=1m"), tmpfs("remount", "size=2m", "noexec")];
    const { superOptions, options } = world.mountAt("/mnt", { mounts });
    expect(superOptions).toContain("size=2048k");
    expect(options).toContain("noexec");
  });
});

describe("/dev", () => {
  const look = (baseMounts?: readonly OciMount[]) =>
    world.run({
      args: [
        "sh",
        "-c",
        "ls -ln /dev; cat /dev/null; head -c 4 /dev/zero | wc -c; cat /dev/fd/0 < /etc/../bin/true | head -c 0",
      ],
      ...(baseMounts === undefined ? {} : { baseMounts }),
    });

  test("has the default devices and links", () => {
    const { out, err } = look();
    expect(err).toBe("");
    for (const device of ["null", "zero", "full", "random", "urandom", "tty"])
      expect(out).toMatch(new RegExp(`crw-rw-rw-.* ${device}\\n`));
    for (const link of [
      "fd -> /proc/self/fd",
      "stdin -> /proc/self/fd/0",
      "stdout -> /proc/self/fd/1",
      "stderr -> /proc/self/fd/2",
      "ptmx -> pts/ptmx",
      "core -> /proc/kcore",
    ])
      expect(out).toContain(`${link}\n`);
  });

  test("read-only is read-only, what is mounted in it is not", () => {
    const baseMounts = defaultMounts.map((mount) =>
      mount.destination === "/dev" ? { ...mount, options: [...(mount.options ?? []), "ro"] } : mount,
    );
    const script = "touch /dev/x 2>&1; touch /dev/shm/x && echo shm; echo x > /dev/null && echo null";
    expect(world.run({ args: ["sh", "-c", script], baseMounts }).out).toMatch(
      /Read-only file system\nshm\nnull\n$/,
    );
  });

  test("of the host stays as it is", () => {
    const before = readdirSync("/dev").toSorted();
    const baseMounts = [
      ...defaultMounts.filter(({ destination }) => !destination.startsWith("/dev")),
      { destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] },
    ];
    const ran = world.run({ args: ["ls", "/dev"], baseMounts });
    expect(ran.out.trim().split("\n").toSorted()).toEqual(before);
    expect(readdirSync("/dev").toSorted()).toEqual(before);
  });

  test("a link that the image has in place of one of ours is no hindrance", () => {
    const root = world.rootfs();
    mkdirSync(`${root}/dev/fd`, { recursive: true });
    writeFileSync(`${root}/dev/ptmx`, "");
    const baseMounts = defaultMounts.filter(({ destination }) => destination !== "/dev");
    const ran = world.run({ args: ["readlink", "/dev/ptmx"], baseMounts, root: { path: root } });
    expect(ran).toMatchObject({ code: 0, out: "pts/ptmx\n" });
  });

  test("a device /dev/ptmx of the config is the container's own", () => {
    const linux = { devices: [{ path: "/dev/ptmx", type: "c" as const, major: 5, minor: 2 }] };
    expect(world.run({ args: ["stat", "-Lc", "%t:%T", "/dev/ptmx"], linux })).toMatchObject({
      code: 0,
      out: "5:2\n",
    });
  });
});

describe("file systems of the kernel", () => {
  test("proc takes its options", () => {
    const baseMounts = defaultMounts.map((mount) =>
      mount.type === "proc" ? { ...mount, options: ["nosuid", "hidepid=2", "ro"] } : mount,
    );
    const { options, superOptions } = world.mountAt("/proc", {
      baseMounts,
      linux: { maskedPaths: [], readonlyPaths: [] },
    });
    expect(options).toEqual(expect.arrayContaining(["ro", "nosuid"]));
    expect(superOptions.join()).toMatch(/hidepid=(2|invisible)/);
  });

  test("cgroups are the container's own, read-only where asked, with a namespace of theirs and without", () => {
    for (const withNamespace of [true, false]) {
      const namespaces = (["mount", "pid", "network", "ipc", "uts", "cgroup"] as const)
        .filter((type) => withNamespace || type !== "cgroup")
        .map((type) => ({ type }));
      const mounts = world
        .mountsOf({ linux: { namespaces } })
        .filter(({ path }) => path.startsWith("/sys/fs/cgroup"));
      expect(mounts.length).toBeGreaterThan(0);
      for (const { path, options } of mounts) expect([path, options.includes("ro")]).toEqual([path, true]);
    }
  });

  test("mqueue, an overlay, a ramfs", () => {
    const parts = ["lower", "upper", "work"].map((name) => `${volume}/${name}`);
    for (const part of parts) mkdirSync(part, { recursive: true });
    writeFileSync(`${volume}/lower/x`, "lower\n");
    const [lower, upper, work] = parts;
    const mounts: readonly OciMount[] = [
      {
        destination: "/mnt",
        type: "overlay",
        source: "overlay",
        options: [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`],
      },
      { destination: "/ram", type: "ramfs", source: "ramfs", options: ["nodev"] },
    ];
    const seen = world.mountsOf({ mounts });
    expect(seen.map(({ path, fstype }) => `${path} ${fstype}`)).toEqual(
      expect.arrayContaining(["/mnt overlay", "/ram ramfs", "/dev/mqueue mqueue"]),
    );
    world.run({ args: ["sh", "-c", "cat /mnt/x > /mnt/y"], mounts });
    expect(readFileSync(`${volume}/upper/y`, "utf8")).toBe("lower\n");
  });

  test("an overlay of layers whose list is longer than fsconfig takes", () => {
    const layers = [1, 2, 3].map((n) => `${volume}/${"l".repeat(120)}${n}`);
    for (const [n, layer] of layers.entries()) {
      mkdirSync(layer, { recursive: true });
      writeFileSync(`${layer}/from${n}`, "");
    }
    const mounts = [
      { destination: "/mnt", type: "overlay", source: "overlay", options: [`lowerdir=${layers.join(":")}`] },
    ];
    expect(world.run({ args: ["ls", "/mnt"], mounts }).out).toBe("from0\nfrom1\nfrom2\n");
  });

  test("what the kernel says about a refusal is passed on", () => {
    const ran = world.run({ mounts: [tmpfs("size=nonsense")] });
    expect(ran.code).not.toBe(0);
    expect(ran.err).toMatch(/Bad value for 'size'/);
    const unknown = world.run({ mounts: [{ ...tmpfs(), type: "nofs" }] });
    expect(unknown.err).toContain("nofs");
  });
});

describe("/proc is the kernel's", () => {
  const proc = (destination: string, change: Partial<OciMount> = {}): OciMount => ({
    destination,
    type: "bind",
    source: volume,
    options: ["rbind"],
    ...change,
  });

  test.each(["/proc", "/proc/self", "/proc/1", "/proc/sys/net", "proc/fs"])(
    "nothing is mounted on %s",
    (destination) => {
      const ran = world.run({ args: ["echo", "ran"], mounts: [proc(destination)] });
      expect(ran).toMatchObject({ out: "" });
      expect(ran.code).not.toBe(0);
      expect(ran.err).toContain("cannot be mounted because it is");
    },
  );

  test("nor through a link", () => {
    const root = world.rootfs();
    symlinkSync("/proc", `${root}/harmless`);
    for (const destination of ["/harmless", "/harmless/fs"]) {
      const ran = world.run({ args: ["echo", "ran"], root: { path: root }, mounts: [proc(destination)] });
      expect(ran).toMatchObject({ out: "" });
      expect(ran.code).not.toBe(0);
    }
  });

  test("what lxcfs imitates is allowed, as is another procfs", () => {
    const mounts = [proc("/proc/uptime", { source: `${volume}/file`, options: ["bind"] })];
    expect(world.run({ args: ["cat", "/proc/uptime"], mounts }).out).toBe("from the host\n");
    expect(
      world.run({ args: ["cat", "/proc/1/comm"], mounts: [proc("/proc", { source: "/proc" })] }).out,
    ).toBe(readFileSync("/proc/1/comm", "utf8"));
  });

  test.each(["proc", "sys"])("a link in place of /%s is not followed", (name) => {
    const root = world.rootfs();
    mkdirSync(`${root}/elsewhere`);
    symlinkSync("/elsewhere", `${root}/${name}`);
    const ran = world.run({ args: ["echo", "ran"], root: { path: root } });
    expect(ran).toMatchObject({ out: "" });
    expect(ran.code).not.toBe(0);
    expect(ran.err).toContain("must be mounted on ordinary directory");
  });
});

describe("masked and read-only paths", () => {
  test("hide files and directories once, links where they lead", () => {
    const root = world.rootfs();
    mkdirSync(`${root}/dir`);
    writeFileSync(`${root}/dir/secret`, "secret\n");
    writeFileSync(`${root}/file`, "secret\n");
    writeFileSync(`${root}/target`, "secret\n");
    symlinkSync("target", `${root}/link`);
    const script =
      "cat /file /link /target; ls /dir; touch /dir/x 2>&1; rm /file 2>&1; grep -c ' /file ' /proc/mounts; grep -c ' /dir ' /proc/mounts";
    const linux = { maskedPaths: ["/dir", "/file", "/link", "/dir/", "//file", "/none"], readonlyPaths: [] };
    const ran = world.run({ args: ["sh", "-c", script], root: { path: root }, linux });
    expect(ran.out).not.toContain("secret");
    expect(ran.out).toMatch(/Read-only file system\n.*(busy|Read-only|not permitted).*\n1\n1\n$/s);
  });

  test("are read-only", () => {
    const script = "touch /etc/x 2>&1; touch /tmp/x && echo tmp";
    expect(
      world.run({ args: ["sh", "-c", script], linux: { readonlyPaths: ["/etc", "/none"] } }).out,
    ).toMatch(/Read-only file system\ntmp/);
  });
});

describe("the root", () => {
  test("can be mounted on: what is there then is the root", () => {
    const other = world.rootfs();
    writeFileSync(`${other}/other`, "");
    const mounts = [{ destination: "/", type: "bind", source: other, options: ["rbind"] }];
    expect(world.run({ args: ["ls", "/"], baseMounts: [...mounts, ...defaultMounts] }).out).toContain(
      "other\n",
    );
  });

  test("read-only leaves the volumes writable", () => {
    const script = "touch /x 2>&1; touch /mnt/x && echo volume";
    expect(
      world.run({
        args: ["sh", "-c", script],
        root: { path: world.rootfs(), readonly: true },
        mounts: [tmpfs()],
      }).out,
    ).toMatch(/Read-only file system\nvolume/);
  });
});

describe("propagation", () => {
  /** A host of its own whose volume is shared; the runtime runs there. Prints the container's mounts, then this host's. */
  const onSharedHost = (
    bundle: string,
    id: string,
    before = "true",
  ): { readonly inside: string; readonly host: string } => {
    const script = `mount --make-rprivate / && mount --make-rshared / && mkdir -p ${volume}/shared && mount -t tmpfs s ${volume}/shared && mount --make-shared ${volume}/shared && mkdir -p ${volume}/shared/sub
      ${before} || exit 9; "$@"; echo "exit $?"; echo =====; cat /proc/self/mountinfo`;
    const ran = runBounded([
      "unshare",
      "-m",
      "sh",
      "-c",
      script,
      "sh",
      ...world.command("run", "--bundle", bundle, id),
    ]);
    if (!ran.out.includes("exit 0")) throw new Error(ran.out + ran.err);
    const [inside = "", host = ""] = ran.out.split("=====");
    return { inside, host };
  };
  const shared = (...options: readonly string[]): OciMount => ({
    destination: "/mnt",
    type: "bind",
    source: `${volume}/shared`,
    options,
  });
  const kindsAt = (text: string, path: string): readonly string[] =>
    parseMountInfo(text)
      .find((mount) => mount.path === path)
      ?.propagation.map((word) => word.replace(/:.*/, "")) ?? ["none"];

  test.each([
    [undefined, []],
    ["private", []],
    ["rprivate", []],
    ["slave", ["master"]],
    ["rslave", ["master"]],
    ["shared", ["shared"]],
    ["rshared", ["shared"]],
    ["unbindable", ["unbindable"]],
    ["runbindable", ["unbindable"]],
  ] as const)("of the root: %s; the host sees no mount of the container", (rootfsPropagation, expected) => {
    const linux = rootfsPropagation === undefined ? {} : { rootfsPropagation };
    const { dir, id, root } = world.bundle({ args: ["cat", "/proc/self/mountinfo"], linux });
    const { inside, host } = onSharedHost(dir, id);
    expect(kindsAt(inside, "/")).toEqual([...expected]);
    expect(host).not.toContain(root);
  });

  test.each([false, true])(
    "what is mounted below the root on the host stays there (user namespace: %p)",
    (isMapped) => {
      const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      const types = [
        "mount",
        "pid",
        "network",
        "ipc",
        "uts",
        ...(isMapped ? (["user"] as const) : []),
      ] as const;
      const linux = {
        namespaces: types.map((type) => ({ type })),
        ...(isMapped ? { uidMappings: ids, gidMappings: ids } : {}),
      };
      const { dir, id, root } = world.bundle({
        args: ["cat", "/proc/self/mountinfo"],
        mounts: [{ ...tmpfs(), destination: "/mnt/inner" }],
        linux,
      });
      const before = `chmod 777 ${root} && mount -t tmpfs host ${root}/mnt && mkdir -m 777 ${root}/mnt/inner`;
      const { inside, host } = onSharedHost(dir, id, before);
      expect(kindsAt(inside, "/mnt/inner")).toEqual([]);
      expect(
        parseMountInfo(host)
          .filter(({ path }) => path.startsWith(root))
          .map(({ path }) => path),
      ).toEqual([`${root}/mnt`]);
    },
  );

  test.each([
    ["private", [], []],
    ["rprivate", [], []],
    ["slave", ["master"], []],
    ["rslave", ["master"], []],
    ["shared", ["shared"], ["mnt"]],
    ["rshared", ["shared"], ["mnt"]],
    ["unbindable", ["unbindable"], []],
  ] as const)("of a volume: %s", (word, expected, comesOut) => {
    const mounter = ["CAP_SYS_ADMIN"];
    const process = { capabilities: { bounding: mounter, effective: mounter, permitted: mounter } };
    const { dir, id } = world.bundle({
      args: ["sh", "-c", "mount -t tmpfs inner /mnt/sub; cat /proc/self/mountinfo"],
      process,
      mounts: [shared("bind", word)],
      linux: word.includes("shared") ? { rootfsPropagation: "rshared" } : { rootfsPropagation: "rslave" },
    });
    const { inside, host } = onSharedHost(dir, id);
    expect(kindsAt(inside, "/mnt")).toEqual([...expected]);
    expect(
      parseMountInfo(host)
        .filter(({ source }) => source === "inner")
        .map(({ path }) => path.slice(`${volume}/`.length)),
    ).toEqual(comesOut.map(() => "shared/sub"));
  });
});

test("a start that fails leaves no mount and no directory on the host", () => {
  const before = readFileSync("/proc/self/mountinfo", "utf8");
  const { dir, id } = world.bundle({ mounts: [tmpfs(), { ...tmpfs("size=nonsense"), destination: "/a/b" }] });
  expect(world.runtime("run", "--bundle", dir, id).code).not.toBe(0);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
  expect(lstatSync(dir).isDirectory()).toBe(true);
  expect(world.runtime("state", id).code).not.toBe(0);
});

describe("in a user namespace", () => {
  const namespaces = (["mount", "pid", "network", "ipc", "uts", "cgroup", "user"] as const).map((type) => ({
    type,
  }));
  const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const mapped = (change: BundleChange): BundleChange => {
    const root = world.rootfs();
    must("chown", "-R", "100000:100000", root);
    return {
      root: { path: root },
      ...change,
      linux: { namespaces, uidMappings: ids, gidMappings: ids, ...change.linux },
    };
  };

  test.each([
    ["ro,noexec,nodiratime", ["bind"], ["nodiratime", "noexec", "relatime", "ro"]],
    ["ro,noexec,nosymfollow", ["bind", "dev"], ["noexec", "ro"]],
    ["ro", ["bind", "nosuid", "nodev"], ["nodev", "nosuid", "ro"]],
    ["nodev,nosuid,noexec,noatime", ["bind", "ro"], ["noatime", "nodev", "noexec", "nosuid", "ro"]],
    ["nodev,nosymfollow", ["bind", "ro", "symfollow"], ["nodev", "ro"]],
    ["ro", ["bind", "rw"], undefined],
    ["nosuid,nodev", ["bind", "suid"], undefined],
    ["noatime", ["bind", "strictatime"], undefined],
  ])("flags of the host's mount are locked: %s and %j", (source, options, expected) => {
    dressVolume(source);
    const change = mapped({ mounts: [bind(...options)], args: ["cat", "/proc/self/mountinfo"] });
    const ran = world.run(change);
    dressVolume("");
    const seen = parseMountInfo(ran.out).find(({ path }) => path === "/mnt");
    if (expected === undefined) {
      expect(ran.code).not.toBe(0);
      expect(ran.err).toMatch(/operation not permitted/i);
    } else expect(seen?.options.filter((word) => modes.includes(word)).toSorted()).toEqual(expected);
  });

  test("that does not own the network, /sys is the host's, read-only all the way down", () => {
    const shared = namespaces.filter(({ type }) => type !== "network");
    const baseMounts = defaultMounts
      .filter(({ type }) => type !== "cgroup")
      .map((mount) =>
        mount.type === "sysfs" ? { ...mount, options: ["nosuid", "nodev", "noexec"] } : mount,
      );
    const mounts = world.mountsOf(mapped({ baseMounts, linux: { namespaces: shared } }));
    const below = mounts.filter(({ path }) => path === "/sys" || path.startsWith("/sys/fs/cgroup"));
    expect(below.length).toBeGreaterThan(1);
    for (const { path, options } of below) expect([path, options.includes("ro")]).toEqual([path, true]);
    expect(below.find(({ path }) => path === "/sys")?.fstype).toBe("sysfs");
  });

  test("devices are the host's, bound", () => {
    const ran = world.run(
      mapped({ args: ["sh", "-c", "stat -c %t:%T /dev/null /dev/zero; echo x > /dev/null && echo ok"] }),
    );
    expect(ran).toMatchObject({ code: 0, out: "1:3\n1:5\nok\n" });
  });

  test("tmpcopyup keeps what can be kept", () => {
    const change = mapped({ args: ["stat", "-c", "%a %u", "/mnt/x"], mounts: [tmpfs("tmpcopyup")] });
    writeFileSync(`${change.root?.path}/mnt/x`, "x", { mode: 0o640 });
    must("chown", "100005:100005", `${change.root?.path}/mnt/x`);
    expect(world.run(change)).toMatchObject({ code: 0, out: "640 5\n" });
  });
});
