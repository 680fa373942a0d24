import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import {
  GantryError,
  type TarEntry,
  type TarEntryInput,
  tarHeader,
  type TarLimits,
  tarPadding,
  TarReader,
  tarTrailer,
} from "./index.ts";

/** GNU tar is the outside oracle: what it writes we read, what we write it reads. */
let dir = "";
beforeAll(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "gantry-tar-"));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

function run(command: string, input?: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync("sh", ["-ec", command], {
    cwd: dir,
    input: input ?? "",
    maxBuffer: 1 << 28,
    env: { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC" },
  });
  if (status !== 0) throw new Error(`${command}: ${stderr.toString()}`);
  return stdout;
}

interface ReadFile {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

/** Reads an archive in pieces of `pieceBytes`. */
function readAll(archive: Uint8Array, pieceBytes = 1 << 16, limits: Partial<TarLimits> = {}): ReadFile[] {
  const reader = new TarReader(limits);
  const files: ReadFile[] = [];
  let content = Buffer.alloc(0);
  const take = (piece: Uint8Array): void => {
    for (const event of reader.push(piece)) {
      if (event.kind === "entry") content = Buffer.alloc(Math.min(event.entry.size, 1 << 24));
      else if (event.kind === "data") content.set(event.bytes, event.offset);
      else files.push({ entry: event.entry, content });
    }
  };
  for (let at = 0; at < archive.length; at += pieceBytes) take(archive.subarray(at, at + pieceBytes));
  reader.finish();
  return files;
}

function pack(...files: readonly (TarEntryInput & { readonly content?: string })[]): Buffer {
  const parts = files.flatMap(({ content = "", ...entry }) => {
    const bytes = Buffer.from(content);
    return [tarHeader({ ...entry, size: bytes.length }), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, tarTrailer]);
}

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof GantryError ? `${error.code}: ${error.message}` : `not ours: ${String(error)}`;
  }
  return "no error";
};

const longName = `${"d".repeat(90)}/${"e".repeat(120)}/${"f".repeat(200)}`;

describe("archives of GNU tar", () => {
  test.each(["v7", "ustar", "gnu", "oldgnu", "posix"])(
    "format %s: types, modes, owners, times, content",
    (format) => {
      const archive = run(
        `rm -rf a && mkdir -p a/dir && cd a && printf hello >dir/file && chmod 4751 dir/file && ln dir/file zhard
       ln -s ../elsewhere link && chmod 1777 dir && touch -d @1700000000 dir/file
       ${format === "v7" ? "" : "mkfifo fifo"}
       tar --format=${format} --owner=:12 --group=:34 --sort=name -c .`,
      );
      for (const pieceBytes of [1, 511, 512, 513, 1 << 20]) {
        const files = new Map(readAll(archive, pieceBytes).map((file) => [file.entry.path, file]));
        expect([...files.keys()]).toEqual([
          "./",
          "./dir/",
          "./dir/file",
          ...(format === "v7" ? [] : ["./fifo"]),
          "./link",
          "./zhard",
        ]);
        const file = files.get("./dir/file");
        expect(file?.content.toString()).toBe("hello");
        expect(file?.entry).toMatchObject({
          type: "file",
          mode: 0o4751,
          uid: 12,
          gid: 34,
          mtimeNs: 1700000000n * 10n ** 9n,
        });
        expect(files.get("./dir/")?.entry).toMatchObject({ type: "dir", mode: 0o1777 });
        expect(files.get("./link")?.entry).toMatchObject({ type: "symlink", linkPath: "../elsewhere" });
        expect(files.get("./zhard")?.entry).toMatchObject({
          type: "hardlink",
          linkPath: "./dir/file",
          size: 0,
        });
        if (format !== "v7") expect(files.get("./fifo")?.entry.type).toBe("fifo");
      }
    },
  );

  test.each(["gnu", "posix"])("format %s: long names and link targets, non-ASCII names", (format) => {
    const archive = run(
      `rm -rf b && mkdir -p "b/$(dirname ${longName})" && cd b && printf x >${longName} && ln -s ${longName} l && ln ${longName} hard
       printf y >'Főtanúsítvány=%3D.crt' && tar --format=${format} --sort=name -c *`,
    );
    const files = readAll(archive, 700);
    const paths = files.map(({ entry }) => entry.path);
    expect(paths).toContain(longName);
    expect(paths).toContain("Főtanúsítvány=%3D.crt");
    expect(files.find(({ entry }) => entry.path === "l")?.entry.linkPath).toBe(longName);
    expect(files.find(({ entry }) => entry.path === "hard")?.entry).toMatchObject({
      type: "hardlink",
      linkPath: longName,
    });
  });

  test.each([
    ["gnu", "--format=gnu"],
    ["posix 0.0", "--format=posix --sparse-version=0.0"],
    ["posix 0.1", "--format=posix --sparse-version=0.1"],
    ["posix 1.0", "--format=posix --sparse-version=1.0"],
  ])("sparse files: %s", (_, flags) => {
    run(
      `rm -rf s && mkdir s && cd s && truncate -s 3000000 sparse && for i in $(seq 0 29); do
       printf "part$i" | dd of=sparse bs=1 seek=$((i * 98304)) conv=notrunc 2>/dev/null; done; truncate -s 100000 hole; printf end >after`,
    );
    const archive = run(`tar ${flags} -S -C s -c sparse hole after`);
    expect(archive.length).toBeLessThan(400_000);
    for (const pieceBytes of [97, 1 << 16]) {
      const [sparse, hole, after] = readAll(archive, pieceBytes);
      expect(sparse?.entry.path).toBe("sparse");
      expect(sparse?.content.equals(fs.readFileSync(join(dir, "s/sparse")))).toBe(true);
      expect(hole?.content.equals(Buffer.alloc(100_000))).toBe(true);
      expect(after?.content.toString()).toBe("end");
    }
  });

  test("extended attributes with every byte in value, times of nanoseconds, pax globals", () => {
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const archive = run(
      `rm -rf x && mkdir x && cd x && printf x >f && touch -d '2001-02-03 04:05:06.789012345' f
       setfattr -n user.bytes -v 0x${everyByte.toString("hex")} f && setfattr -n user.a=b%c -v 1 f
       tar --format=posix --xattrs --pax-option='globexthdr.name=g,comment=hi' -c f`,
    );
    const [file] = readAll(archive);
    expect(file?.entry.mtimeNs).toBe(981173106_789012345n);
    expect(file?.entry.xattrs.get("user.bytes")).toEqual(new Uint8Array(everyByte));
    expect(Buffer.from(file?.entry.xattrs.get("user.a=b%c") ?? []).toString()).toBe("1");
  });

  test.each(["gnu", "posix"])("format %s: large owners", (format) => {
    const archive = run(
      `rm -rf o && mkdir o && printf x >o/f && tar --format=${format} --owner=:3000000000 --group=:2999999999 -C o -c f`,
    );
    expect(readAll(archive)[0]?.entry).toMatchObject({ uid: 3_000_000_000, gid: 2_999_999_999 });
  });

  test("concatenated directories of an incremental backup", () => {
    const archive = run(
      `rm -rf i && mkdir -p i/d && printf 1 >i/d/f && tar --listed-incremental=snap -C i -c .`,
    );
    expect(readAll(archive).map(({ entry }) => `${entry.type} ${entry.path}`)).toEqual([
      "dir ./",
      "dir ./d/",
      "file ./d/f",
    ]);
  });
});

describe("our archives, read by GNU tar", () => {
  test("names, links, attributes, numbers", () => {
    const archive = pack(
      { path: "d", type: "dir", mode: 0o1755 },
      {
        path: `d/${longName}`,
        type: "file",
        content: "long",
        mode: 0o640,
        uid: 7,
        gid: 8,
        mtimeNs: 1_700_000_000_500_000_000n,
      },
      { path: "d/große Datei", type: "file", content: "x".repeat(513) },
      { path: "d/link", type: "symlink", linkPath: longName },
      { path: "d/hard", type: "hardlink", linkPath: "d/große Datei" },
      { path: "d/attr", type: "file", content: "", xattrs: new Map([["user.a=b", Buffer.from("\0\n=")]]) },
      { path: "d/old", type: "file", mtimeNs: -1_500_000_000n },
    );
    run("rm -rf out && mkdir out && tar --xattrs -C out -xf -", archive);
    const at = (name: string): string => join(dir, "out/d", name);
    expect(fs.readFileSync(at(longName), "utf8")).toBe("long");
    expect(fs.statSync(at(longName), { bigint: true }).mtimeNs).toBe(1_700_000_000_500_000_000n);
    expect(fs.statSync(at(longName)).mode & 0o7777).toBe(0o640);
    expect(fs.readlinkSync(at("link"))).toBe(longName);
    expect(fs.statSync(at("hard")).ino).toBe(fs.statSync(at("große Datei")).ino);
    expect(fs.statSync(at("hard")).size).toBe(513);
    expect(run("getfattr --only-values -n user.a=b out/d/attr").toString()).toBe("\0\n=");
    expect(fs.statSync(at("old"), { bigint: true }).mtimeNs).toBe(-1_500_000_000n);
    expect(run("tar -tv --numeric-owner -f -", archive).toString()).toContain("7/8");
  });

  test("devices and large numbers are listed as they are", () => {
    const archive = Buffer.concat([
      tarHeader({ path: "null", type: "char", devMajor: 1, devMinor: 3, uid: 4_000_000_000 }),
      tarHeader({ path: "loop", type: "block", devMajor: 7, devMinor: 1000 }),
      tarTrailer,
    ]);
    const list = run("tar -tv --numeric-owner -f -", archive).toString();
    expect(list).toMatch(/crw-r--r-- 4000000000\/0 +1,3 .* null/);
    expect(list).toMatch(/brw-r--r-- 0\/0 +7,1000 .* loop/);
  });

  test("a size beyond octal is written as a PAX record", () => {
    const header = tarHeader({ path: "big", type: "file", size: 2 ** 40 });
    const reader = new TarReader();
    const [event] = reader.push(header);
    expect(event).toMatchObject({ kind: "entry", entry: { path: "big", size: 2 ** 40 } });
  });
});

test("what is written is read, for any entry", () => {
  const name = fc
    .string({ minLength: 1, maxLength: 300, unit: "grapheme" })
    .filter((text) => !/[\0/]/.test(text) && text.isWellFormed());
  const entry = fc.record({
    path: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
    content: fc.string({ maxLength: 2000 }),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 0xffff_fffe }),
    mtimeNs: fc.bigInt({ min: -(2n ** 40n), max: 2n ** 66n }),
    xattrs: fc
      .array(fc.tuple(name, fc.uint8Array({ maxLength: 50 })), { maxLength: 3 })
      .map((list) => new Map(list)),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 5 }), fc.integer({ min: 1, max: 3000 }), (files, pieceBytes) => {
      const read = readAll(pack(...files.map((file) => ({ ...file, type: "file" as const }))), pieceBytes);
      expect(read.map((file) => ({ ...file.entry, content: file.content.toString() }))).toEqual(
        files.map((file) => ({
          ...file,
          type: "file",
          gid: 0,
          size: Buffer.byteLength(file.content),
          linkPath: "",
          devMajor: 0,
          devMinor: 0,
        })),
      );
    }),
    { numRuns: 60 },
  );
});

describe("damaged and hostile archives", () => {
  const good = pack(
    { path: "a", type: "file", content: "x".repeat(2000) },
    { path: "b", type: "file", content: "y" },
  );

  test("cut off anywhere: truncated, never silence", () => {
    // Behind the first of the two zero blocks GNU tar is content, and so are we.
    for (let length = 0; length < good.length - 512; length += 97) {
      expect(codeOf(() => readAll(good.subarray(0, length)))).toBe("corrupt: the archive is truncated");
    }
    expect(readAll(good.subarray(0, good.length - 512))).toHaveLength(2);
  });

  test("without end mark only where the caller vouches for the length", () => {
    const bare = good.subarray(0, good.length - 1024);
    expect(codeOf(() => readAll(bare))).toStartWith("corrupt");
    expect(readAll(bare, 512, { missingTrailer: true })).toHaveLength(2);
    expect(readAll(bare.subarray(0, -511), 100, { missingTrailer: true })).toHaveLength(2);
    expect(codeOf(() => readAll(bare.subarray(0, -512), 100, { missingTrailer: true }))).toStartWith(
      "corrupt",
    );
    expect(codeOf(() => readAll(good.subarray(0, 1000), 512, { missingTrailer: true }))).toStartWith(
      "corrupt",
    );
  });

  test("any flipped bit of a header is found", () => {
    for (const at of [0, 99, 104, 125, 140, 148, 156, 257, 345]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      expect(codeOf(() => readAll(bad))).toStartWith("corrupt: bad checksum");
    }
  });

  const withRecords = (text: string): Buffer => {
    const pax = Buffer.from(text);
    const header = Buffer.from(tarHeader({ path: "pax", type: "file", size: pax.length }));
    header.write("x", 156);
    header.fill(" ", 148, 156);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return Buffer.concat([header, pax, tarPadding(pax.length), good]);
  };
  const record = (body: string): string => {
    const rest = body.length + 2;
    const digits = rest + 1 > 9 ? (rest + 2 > 99 ? 3 : 2) : 1;
    return `${rest + digits} ${body}\n`;
  };

  test.each([
    ["a record longer than the header", "999 path=x\n", "malformed PAX header"],
    ["a record without newline", "11 path=abcd", "malformed PAX header"],
    ["a record without equals sign", "9 pathxx\n", "malformed PAX header"],
    ["a negative length", "-11 path=ab\n", "malformed PAX header"],
    ["a size that is no number", record("size=12x"), "malformed number"],
    ["a negative size", record("size=-1"), "malformed number"],
    ["a size beyond 2^53", record("size=99999999999999999"), "malformed number"],
    [
      "a sparse map outside the file",
      record("GNU.sparse.size=10") + record("GNU.sparse.map=5,2000"),
      "invalid sparse map",
    ],
    [
      "a sparse map that overlaps",
      record("GNU.sparse.size=9000") + record("GNU.sparse.map=0,1500,100,500"),
      "invalid sparse map",
    ],
    [
      "an odd sparse map",
      record("GNU.sparse.size=9000") + record("GNU.sparse.map=0,1500,100"),
      "odd sparse map",
    ],
    ["a time that is none", record("mtime=yesterday"), "malformed time"],
    ["an owner beyond 32 bits", record("uid=4294967296"), "out of range"],
    ["NUL in a path", record("path=a\0b"), "NUL in the path"],
    ["a path of 5000 bytes", (() => `5010 path=${"p".repeat(4999)}\n`)(), "longer than 4096"],
  ])("%s", (_, records, message) => {
    const result = codeOf(() => readAll(withRecords(records)));
    expect(result).toStartWith("corrupt");
    expect(result).toContain(message);
  });

  const patched = (offset: number, text: string): Buffer => {
    const header = Buffer.from(tarHeader({ path: "f", type: "file" }));
    header.write(text, offset, "latin1");
    header.fill(" ", 148, 156);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return Buffer.concat([header, tarTrailer]);
  };
  test.each([
    ["an unknown type", patched(156, "Z"), 'unsupported: entry "f" is of type "Z"'],
    ["a number of letters", patched(124, "zzz"), "corrupt: invalid number"],
    [
      "a negative size in base 256",
      patched(124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
      "corrupt: negative size",
    ],
    [
      "an immense size in base 256",
      patched(124, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
      "corrupt: number out of range",
    ],
    [
      "an 8 exabyte file that is not there",
      patched(124, "77777777777\0"),
      "corrupt: the archive is truncated",
    ],
  ])("%s", (_, archive, message) => expect(codeOf(() => readAll(archive))).toStartWith(message));

  test("limits: entries, extended headers, data behind the end", () => {
    const many = pack(...Array.from({ length: 20 }, (_, i) => ({ path: `f${i}`, type: "file" as const })));
    expect(codeOf(() => readAll(many, 512, { maxEntries: 10 }))).toContain("more than 10 entries");
    expect(
      codeOf(() => readAll(withRecords(record("comment=1234567890")), 512, { maxHeaderBytes: 8 })),
    ).toStartWith("corrupt");
    const tail = Buffer.concat([good, Buffer.alloc(4096, 1)]);
    expect(readAll(tail)).toHaveLength(2);
    expect(codeOf(() => readAll(tail, 512, { maxTrailingBytes: 100 }))).toContain(
      "too much data after the end",
    );
  });

  test("bytes of chance never throw anything but our errors, and end", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 512, maxLength: 4096 }),
        fc.integer({ min: 0, max: 511 }),
        (noise, at) => {
          const mixed = Buffer.concat([good.subarray(0, 512), noise]);
          mixed[at] = noise[0] ?? 0;
          expect(codeOf(() => readAll(mixed))).not.toStartWith("not ours");
        },
      ),
      { numRuns: 200 },
    );
  });
});
