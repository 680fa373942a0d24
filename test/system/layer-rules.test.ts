/** What a layer's archive may say and do, and what a confined child can. Needs root. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import fc from "fast-check";
import { runChild } from "../../src/image/child.ts";
import { loadSys } from "../../src/kernel/index.ts";
import {
  decodeName,
  fsName,
  type TarEntryInput,
  tarHeader,
  tarPadding,
  tarTrailer,
} from "../../src/lib/index.ts";
import { failure, sh } from "./image-fixture.ts";
import { inSeconds, LayerWorld, seen } from "./layer-world.ts";

setDefaultTimeout(60_000);

const world = new LayerWorld();
const sys = loadSys();
afterAll(() => world[Symbol.dispose]());

type Member = TarEntryInput & { readonly content?: string };

function members(...all: readonly Member[]): Buffer {
  return Buffer.concat([
    ...all.flatMap(({ content = "", ...entry }) => {
      const bytes = Buffer.from(content);
      return [tarHeader({ ...entry, size: bytes.length }), bytes, tarPadding(bytes.length)];
    }),
    tarTrailer,
  ]);
}

const opaque = new Map([["trusted.overlay.opaque", Buffer.from("y")]]);
const isOpaque = (path: string): boolean => sys.listXattrs(path).includes("trusted.overlay.opaque");
const isWhiteout = (path: string): boolean => {
  const stat = fs.lstatSync(path);
  return stat.isCharacterDevice() && stat.rdev === 0;
};

describe("whiteouts", () => {
  test.each([
    [
      "in OCI's spelling",
      members(
        { path: "d", type: "dir" },
        { path: "d/.wh..wh..opq", type: "file" },
        { path: ".wh.gone", type: "file" },
      ),
    ],
    ["in overlay's", members({ path: "d", type: "dir", xattrs: opaque }, { path: "gone", type: "char" })],
  ])("%s", async (_, tar) => {
    const to = await world.apply(tar);
    expect([isOpaque(`${to}/d`), isWhiteout(`${to}/gone`)]).toEqual([true, true]);
    // And both are the same layer when it is written again, in OCI's.
    const again = (await world.tar(to)).toString("latin1");
    expect([again.includes("d/.wh..wh..opq"), again.includes(".wh.gone")]).toEqual([true, true]);
  });

  test("other attributes of overlay's are never taken from an archive", async () => {
    const xattrs = new Map([
      ["trusted.overlay.redirect", Buffer.from("/etc")],
      ["trusted.overlay.metacopy", Buffer.from("")],
      ["trusted.overlay.opaque", Buffer.from("x")],
    ]);
    const to = await world.apply(
      members({ path: "d", type: "dir", xattrs }, { path: "f", type: "file", xattrs }),
    );
    expect([sys.listXattrs(`${to}/d`), sys.listXattrs(`${to}/f`)]).toEqual([[], []]);
  });
});

describe("hard links", () => {
  const inode = (path: string): number => fs.lstatSync(path).ino;

  test("to an entry that comes later, to a later link, across directories", async () => {
    const to = await world.apply(
      members(
        { path: "x/b", type: "hardlink", linkPath: "a" },
        { path: "c", type: "hardlink", linkPath: "./x/b" },
        { path: "taken", type: "hardlink", linkPath: "a" },
        { path: "a", type: "file", content: "content", mode: 0o600 },
        { path: "taken", type: "file", content: "own" },
      ),
    );
    expect([inode(`${to}/x/b`), inode(`${to}/c`)]).toEqual([inode(`${to}/a`), inode(`${to}/a`)]);
    expect(fs.readFileSync(`${to}/taken`, "utf8")).toBe("own");
  });

  test("to a file of a layer below: it comes along, with all that it is", async () => {
    const xattrs = new Map([["user.note", Buffer.from("kept")]]);
    const below = await world.apply(
      members(
        { path: "dir", type: "dir", mode: 0o700, uid: 7 },
        { path: "dir/f", type: "file", content: "below", uid: 5, mode: 0o4711, mtimeNs: 10n ** 18n, xattrs },
      ),
    );
    const to = await world.apply(members({ path: "l", type: "hardlink", linkPath: "dir/f" }), [below]);
    const stat = fs.lstatSync(`${to}/dir/f`);
    expect([stat.ino, stat.uid, stat.mode & 0o7777, stat.mtimeMs]).toEqual([
      inode(`${to}/l`),
      5,
      0o4711,
      1e12,
    ]);
    expect(fs.readFileSync(`${to}/l`, "utf8")).toBe("below");
    expect(Buffer.from(sys.getXattr(`${to}/l`, "user.note")).toString()).toBe("kept");
    expect([fs.lstatSync(`${to}/dir`).uid, fs.lstatSync(`${to}/dir`).mode & 0o777]).toEqual([7, 0o700]);
  });

  test("to nothing, to a directory, to a link that leads outside of the layers below", async () => {
    const below = await world.apply(
      members({ path: "out", type: "symlink", linkPath: "/etc" }, { path: "d", type: "dir" }),
    );
    for (const linkPath of ["nowhere", "d", "out/passwd"])
      expect(await failure(world.apply(members({ path: "l", type: "hardlink", linkPath }), [below]))).toBe(
        `corrupt: hard link "l" to "${linkPath}", which is not in the archive`,
      );
    expect(
      await failure(world.apply(members({ path: "l", type: "hardlink", linkPath: "../x" }), [below])),
    ).toContain("leads outside");
  });
});

describe("entries", () => {
  test("the last of several with one name counts, whatever the first was", async () => {
    const to = await world.apply(
      members(
        { path: "./a", type: "file", content: "1" },
        { path: "a", type: "symlink", linkPath: "b" },
        { path: "d/x", type: "file", content: "x" },
        { path: "./d", type: "fifo" },
        { path: "a", type: "file", content: "3" },
        { path: "d", type: "dir", mode: 0o711 },
      ),
    );
    expect(fs.readFileSync(`${to}/a`, "utf8")).toBe("3");
    expect([fs.readdirSync(`${to}/d`), fs.lstatSync(`${to}/d`).mode & 0o777]).toEqual([[], 0o711]);
  });

  test("times: fractions are kept; what no file system holds is brought to its edge", async () => {
    const to = await world.apply(
      members(
        { path: "fraction", type: "file", mtimeNs: 1_700_000_000_123_456_789n },
        { path: "before", type: "file", mtimeNs: -(10n ** 25n) },
        { path: "after", type: "dir", mtimeNs: 10n ** 25n },
      ),
    );
    const time = (name: string): bigint => fs.lstatSync(`${to}/${name}`, { bigint: true }).mtimeNs;
    expect(time("fraction")).toBe(1_700_000_000_123_456_789n);
    expect(time("before")).toBe(0n);
    expect(time("after")).toBe(2n ** 33n * 10n ** 9n);
  });
});

describe("bombs are refused, clearly and soon", () => {
  const deep = Array.from({ length: 2500 }, () => "d").join("/");
  const attributes = (count: number, bytes: number): Map<string, Buffer> =>
    new Map(Array.from({ length: count }, (_, i) => [`user.a${i}`, Buffer.alloc(bytes, 120)]));
  const huge = tarHeader({ path: "huge", type: "file", size: 2 ** 50 });
  test.each<[string, Buffer, string]>([
    [
      "a file of a petabyte",
      Buffer.concat([huge, Buffer.alloc(4096)]),
      'exhausted: no space left on device: unpack "huge"',
    ],
    [
      "a path of 2,500 directories",
      members({ path: deep, type: "file" }),
      "corrupt: a path in the archive is longer than 4096 bytes",
    ],
    [
      "attributes of 2 MB",
      members({ path: "f", type: "file", xattrs: attributes(40, 60_000) }),
      "corrupt: an extended header of",
    ],
    [
      "an attribute beyond the kernel's size",
      members({ path: "f", type: "file", xattrs: attributes(1, 70_000) }),
      'unpack "f"',
    ],
    ["a name of 300 bytes", members({ path: "n".repeat(300), type: "file" }), "corrupt: unpack"],
  ])("%s", async (_, tar, message) => {
    const begun = performance.now();
    expect(await failure(world.apply(tar))).toContain(message);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test("many attributes that the file system has no room for end in a word, not in a crash", async () => {
    const tar = members({ path: "f", type: "file", xattrs: attributes(3000, 100) });
    expect(await failure(world.apply(tar))).toMatch(
      /^(no error|exhausted: no space left on device: unpack "f")/,
    );
  });

  test("a sparse file may be large without a byte, and counts as what it says it is", async () => {
    const tar = sh(world.dir(), "truncate -s 500G f; tar -S -c f");
    expect(await failure(world.apply(tar, [], 2 ** 30))).toContain("no space left on device");
  });
});

/** Trees as containers leave them in an upper directory: made by steps that fast-check thinks out. */
type Step = {
  readonly what: number;
  readonly where: number;
  readonly name: number;
  readonly number: number;
  readonly text: string;
};

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.nat(9),
  where: fc.nat(30),
  name: fc.nat(40),
  number: fc.nat(2 ** 31 - 2),
  text: fc.string({ maxLength: 40 }),
});

function grow(root: string, steps: readonly Step[]): void {
  const dirs = [root];
  const files: string[] = [];
  steps.forEach(({ what, where, name, number, text }, at) => {
    const dir = dirs[where % dirs.length] ?? root;
    const base = [
      `${name}`,
      `ü${name}`,
      decodeName(Buffer.from([0xe9, 0x30 + (name % 10)])),
      `${"long".repeat(30)}${name}`,
    ][name % 4];
    const path = `${dir}/${base}`;
    if (fs.lstatSync(fsName(path), { throwIfNoEntry: false }) !== undefined) return;
    const file = files[where % Math.max(1, files.length)];
    if (what <= 1) dirs.push(path);
    if (what <= 1) fs.mkdirSync(fsName(path));
    else if (what <= 3) fs.writeFileSync(fsName(path), text.repeat(number % 300));
    else if (what === 4) fs.symlinkSync(fsName(text.replaceAll("\0", "") || "x"), fsName(path));
    else if (what === 5 && file !== undefined) fs.linkSync(fsName(file), fsName(path));
    else if (what === 6)
      sys.mknod(
        fsName(path),
        [0o020600, 0o060600, 0o010600][number % 3] ?? 0,
        1 + (number % 500),
        number % 2 ** 20,
      );
    else if (what === 7) sys.mknod(fsName(path), 0o020000, 0, 0);
    else fs.writeFileSync(fsName(path), "");
    if (what >= 2 && what !== 7) files.push(path);
    if (what === 7) return;
    fs.lchownSync(fsName(path), number, at);
    if (!fs.lstatSync(fsName(path)).isSymbolicLink()) fs.chmodSync(fsName(path), number % 0o10000);
    if (what <= 3 && number % 3 === 0) sys.setXattr(fsName(path), `user.${name}=%`, Buffer.from(text));
    if (what === 2 && number % 3 === 1)
      sys.setXattr(
        fsName(path),
        "security.capability",
        Buffer.from("0100000200200000000000000000000000000000", "hex"),
      );
    if (what === 1 && number % 2 === 0)
      sys.setXattr(fsName(path), "trusted.overlay.opaque", Buffer.from("y"));
    sys.setTimes(fsName(path), 0n, BigInt(number) * 1_000_000_007n);
  });
  for (const dir of dirs.reverse()) sys.setTimes(fsName(dir), 0n, 1_600_000_000_000_000_000n);
}

test("apply(diff(x)) is x, and diff(apply(diff(x))) is diff(x) byte for byte", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const upper = world.dir();
      grow(upper, steps);
      const tar = await world.tar(upper);
      expect((await world.tar(upper)).equals(tar)).toBe(true);
      const again = await world.apply(tar);
      expect(inSeconds(whiteoutsAlike(again))).toEqual(inSeconds(whiteoutsAlike(upper)));
      expect((await world.tar(again)).equals(tar)).toBe(true);
    }),
    { numRuns: 25 },
  );
});

/** A whiteout has no attributes but that it is one: its time and owner are not kept. */
function whiteoutsAlike(dir: string): ReturnType<typeof seen> {
  return seen(dir).map((one) => (one.dev === "0:0" ? { ...one, ns: "0", uid: 0, gid: 0, mode: "" } : one));
}

describe("a confined child", () => {
  test("has no network, no other IPC, few rights, another root, and can gain nothing", async () => {
    const target = world.dir();
    const { promise, resolve } = Promise.withResolvers<void>();
    async function* stalling(): AsyncGenerator<Uint8Array> {
      yield tarHeader({ path: "here", type: "dir" });
      await promise;
      yield tarTrailer;
    }
    const running = runChild(world.unpacking(target, stalling()));
    try {
      const until = performance.now() + 20_000;
      while (!fs.existsSync(`${target}/here`) && performance.now() < until) await Bun.sleep(5);
      const pid = childWorkingOn();
      for (const kind of ["net", "mnt", "ipc"])
        expect(fs.readlinkSync(`/proc/${pid}/ns/${kind}`)).not.toBe(fs.readlinkSync(`/proc/self/ns/${kind}`));
      // Of every thread, not only of the one that works.
      const home = `/proc/${pid}/task`;
      for (const thread of fs.readdirSync(home)) {
        for (const kind of ["net", "ipc"])
          expect(fs.readlinkSync(`${home}/${thread}/ns/${kind}`)).toBe(
            fs.readlinkSync(`/proc/${pid}/ns/${kind}`),
          );
        const bounds =
          /^CapBnd:\s*(\S+)/m.exec(fs.readFileSync(`${home}/${thread}/status`, "utf8"))?.[1] ?? "";
        // net_admin, net_raw, sys_module, sys_rawio, sys_ptrace, sys_boot, bpf
        for (const bit of [12n, 13n, 16n, 17n, 19n, 22n, 39n])
          expect((BigInt(`0x${bounds}`) >> bit) & 1n).toBe(0n);
      }
      const links = fs
        .readFileSync(`/proc/${pid}/net/dev`, "utf8")
        .split("\n")
        .slice(2)
        .filter((line) => line !== "");
      expect(links.map((line) => line.split(":")[0]?.trim())).toEqual(["lo"]);
      expect(fs.readFileSync(`/proc/${pid}/net/route`, "utf8").trim().split("\n")).toHaveLength(1);
      const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
      const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
      // chown, dac_override, dac_read_search, fowner, fsetid, sys_admin, mknod, setfcap
      const kept = [0, 1, 2, 3, 4, 21, 27, 31].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
      for (const name of ["CapPrm", "CapEff", "CapBnd"]) expect(BigInt(`0x${field(name)}`) & ~kept).toBe(0n);
      expect([field("CapInh"), field("NoNewPrivs")]).toEqual(["0".repeat(16), "1"]);
      expect(fs.readdirSync(`/proc/${pid}/root`)).toEqual(["here"]);
    } finally {
      resolve();
      await running;
    }
  });

  function childWorkingOn(): string {
    const found = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOurs(name));
    expect(found).toHaveLength(1);
    return found[0] ?? "";
  }

  function isOurs(pid: string): boolean {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      return (
        parent === process.pid && fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("internal\0tree")
      );
    } catch {
      // ENOENT: it has ended meanwhile.
      return false;
    }
  }
});
