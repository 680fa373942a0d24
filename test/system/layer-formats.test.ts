/** Layers as other tools write them: each is applied as it was meant, told by Python's eyes. Needs root. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { sh } from "./image-fixture.ts";
import { inSeconds, LayerWorld, type Seen, seen } from "./layer-world.ts";

setDefaultTimeout(60_000);

const world = new LayerWorld();
afterAll(() => world[Symbol.dispose]());

/** All that a layer may hold. Names in Latin 1, of 200 bytes in directories of 200 bytes, and with what formats use. */
const everything = `
  mkdir -p a/b z "$(printf 'caf\\351')"
  printf hello >a/file; chmod 4751 a/file; chown 3000000:2097152 a/file
  ln a/file z/hard; ln a/file "$(printf 'caf\\351/hard\\377')"
  printf x >"$(printf 'caf\\351/\\345\\344')"; ln -s "$(printf 'to\\351')" "$(printf 'link\\351')"
  L=$(printf 'n%.0s' $(seq 200)); mkdir -p "$L/$L"; printf deep >"$L/$L/$L"; ln -s "$L/$L/$L" long; ln "$L/$L/$L" long-hard
  printf y >'F\u0151tan\u00fas\u00edtv\u00e1ny=%3D 1.crt'
  mkfifo fifo; mknod null c 1 3; mknod loop b 7 200; mknod big c 511 1048575
  truncate -s 3000000 sparse; for i in 0 1 2 3 4 5 6; do printf "part$i" | dd of=sparse bs=1 seek=$((i * 400000)) conv=notrunc status=none; done
  truncate -s 50000 hole; : >empty
  setfattr -n user.note -v 'a=b%' a/file; setfattr -n user.empty z; setfattr -n trusted.own -v t a/b
  cp /bin/true a/ping; setcap cap_net_raw+ep a/ping 2>/dev/null || setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 a/ping
  chmod 1777 z; chmod 2755 a/b
  touch -d @1700000000.123456789 a/file empty; touch -h -d @1600000000.5 long; touch -d @5000000000 hole
  touch -d @1650000000 a z a/b
`;

function source(): string {
  const dir = world.dir();
  sh(dir, everything);
  return dir;
}

const without = (all: readonly Seen[], ...keys: readonly (keyof Seen)[]): object[] =>
  all.map((one) =>
    Object.fromEntries(Object.entries(one).filter(([key]) => !keys.includes(key as keyof Seen))),
  );
/** Files made by somebody at some time, in whole seconds, whatever the first name of a shared file is. */
const coarse = (all: readonly Seen[]): object[] => without(inSeconds(all), "attrs");

describe("written by GNU tar", () => {
  const from = source();
  test.each([
    ["posix", "--format=posix --xattrs --xattrs-include=* --sort=name -S --sparse-version=1.0", true],
    [
      "posix, sparse 0.1",
      "--format=posix --xattrs --xattrs-include=* --sort=name -S --sparse-version=0.1",
      true,
    ],
    [
      "posix, sparse 0.0",
      "--format=posix --xattrs --xattrs-include=* --sort=name -S --sparse-version=0.0",
      true,
    ],
    ["gnu", "--format=gnu --sort=name -S", false],
    ["oldgnu", "--format=oldgnu --sort=name -S", false],
  ])("%s", async (_, flags, exact) => {
    const to = await world.apply(sh(from, `tar ${flags} -c .`));
    if (exact) expect(seen(to)).toEqual(seen(from));
    else expect(coarse(seen(to))).toEqual(coarse(seen(from)));
  });

  test.each(["v7", "ustar"])("%s, what it can hold", async (format) => {
    const small = world.dir();
    sh(
      small,
      "mkdir d; printf hello >d/f; ln d/f h; ln -s d l; printf x >\"$(printf 'caf\\351')\"; touch -d @1700000000 d l h",
    );
    const to = await world.apply(sh(small, `tar --format=${format} --sort=name -c .`));
    expect(coarse(seen(to))).toEqual(coarse(seen(small)));
  });
});

describe("written by bsdtar", () => {
  const from = source();
  test.each([
    ["pax", "--format pax --xattrs", true],
    [
      "pax with libarchive's attributes alone",
      "--format pax --xattrs --options pax:xattrheader=LIBARCHIVE",
      true,
    ],
    // It refuses numbers of devices that do not fit the old field.
    ["gnutar", "--format gnutar --exclude ./big", false],
  ])("%s", async (_, flags, exact) => {
    const to = await world.apply(sh(from, `LC_ALL=C bsdtar ${flags} -cf - .`));
    // Of files with several names bsdtar may take another one first; trusted attributes it leaves out.
    const picked = (all: readonly Seen[]): object[] =>
      without(
        exact ? all.map(withoutTrusted) : inSeconds(all),
        "first",
        ...(exact ? [] : (["attrs"] as const)),
      );
    const all = exact
      ? seen(from)
      : seen(from).filter(({ name }) => name !== Buffer.from("/big").toString("hex"));
    expect(picked(seen(to))).toEqual(picked(all));
  });
});

function withoutTrusted(one: Seen): Seen {
  const attrs = Object.entries(one.attrs).filter(([name]) => !name.startsWith("trusted."));
  return { ...one, attrs: Object.fromEntries(attrs) };
}

describe("written by Python's tarfile", () => {
  const from = source();
  const script = (format: string): string => `
import tarfile, sys, os
tar = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.${format}, encoding="utf-8", errors="surrogateescape")
tar.add(".", "."); tar.close()`;
  test.each(["GNU_FORMAT", "PAX_FORMAT"])("%s", async (format) => {
    const made = spawnSync("python3", ["-c", script(format)], { cwd: from, maxBuffer: 1 << 28 });
    expect(made.stderr.toString()).toBe("");
    const to = await world.apply(made.stdout);
    // PAX times are floating-point numbers there.
    expect(coarse(seen(to))).toEqual(coarse(seen(from)));
  });
});

const goWriter = `package main
import ("archive/tar"; "io"; "io/fs"; "os"; "path/filepath"; "syscall"; "strings")
func main() {
  w := tar.NewWriter(os.Stdout); defer w.Close()
  seen := map[uint64]string{}
  if err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
    if err != nil { return err }
    info, _ := d.Info(); link := ""
    if info.Mode()&fs.ModeSymlink != 0 { link, _ = os.Readlink(path) }
    h, err := tar.FileInfoHeader(info, link); if err != nil { return err }
    h.Name = path; h.Uname, h.Gname = "", ""
    if info.IsDir() { h.Name += "/" }
    st := info.Sys().(*syscall.Stat_t)
    if first, ok := seen[st.Ino]; ok && !info.IsDir() { h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0 } else { seen[st.Ino] = path }
    h.PAXRecords = map[string]string{}
    buf := make([]byte, 65536)
    for _, key := range []string{"user.note", "security.capability"} {
      if n, err := syscall.Getxattr(path, key, buf); err == nil && h.Typeflag == tar.TypeReg { h.PAXRecords["SCHILY.xattr."+key] = string(buf[:n]) }
    }
    if strings.ToValidUTF8(path+link, "?") == path+link { h.Format = tar.FormatPAX } else { h.PAXRecords = nil; h.Format = tar.FormatGNU }
    if err := w.WriteHeader(h); err != nil { return err }
    if h.Typeflag == tar.TypeReg { f, err := os.Open(path); if err != nil { return err }; defer f.Close(); _, err = io.Copy(w, f); return err }
    return nil
  }); err != nil { panic(err) }
}`;

describe.skipIf(Bun.which("go") === null)(
  "written and read by Go's archive/tar, as docker and containerd do",
  () => {
    const program = `${world.root}/gotar`;
    test("written", async () => {
      fs.writeFileSync(`${world.root}/w.go`, goWriter);
      sh(world.root, "GO111MODULE=off GOFLAGS= go build -o gotar w.go");
      const from = source();
      const to = await world.apply(sh(from, program));
      const picked = (all: readonly Seen[]): object[] =>
        without(inSeconds(all), "first").map((one) => ({ ...one, attrs: undefined }));
      expect(picked(seen(to))).toEqual(picked(seen(from)));
      const attrs = (all: readonly Seen[]): unknown[] =>
        all.flatMap(({ name, attrs: { "user.note": note, "security.capability": cap } }) =>
          note || cap ? [{ name, note, cap }] : [],
        );
      expect(attrs(seen(to))).toEqual(attrs(seen(from)));
    });
  },
);
