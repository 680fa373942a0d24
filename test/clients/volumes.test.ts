/** Volumes that containers take over from others, with docker's client. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestEngine } from "../lib/engine.ts";

const engine = new TestEngine("volumes");

function docker(...words: readonly string[]): {
  readonly code: number;
  readonly out: string;
  readonly err: string;
} {
  const done = Bun.spawnSync(["docker", "-H", `unix://${engine.socket}`, ...words], {
    stdin: "ignore",
    timeout: 60_000,
  });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
}

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
}, 60_000);

afterAll(() => engine.uninstall(), 60_000);

test("--volumes-from: binds and volumes, read-only where wished, own mounts win; anonymous ones go with their last user", () => {
  const mounts = ["-v", "/anon", "-v", "kept:/named", "-v", `${engine.dir}:/host:ro`, "--tmpfs", "/tmp"];
  expect(
    docker("run", "--name", "first", ...mounts, "busybox", "sh", "-c", "echo a > /anon/f; echo n > /named/f")
      .code,
  ).toBe(0);
  const read = docker(
    "run",
    "--name",
    "second",
    "--volumes-from",
    "first:ro",
    "-v",
    "other:/named",
    "busybox",
    "sh",
    "-c",
    "cat /anon/f; touch /anon/x; ls /named; ls -d /host/run; mount | grep -c ' /tmp '",
  );
  expect(read.out).toBe("a\n/host/run\n0\n");
  expect(read.err).toContain("Read-only file system");
  expect(
    docker(
      "run",
      "--rm",
      "--volumes-from",
      "second:rw",
      "--volumes-from",
      "first",
      "busybox",
      "sh",
      "-c",
      "echo b >> /anon/f; cat /named/f",
    ).out,
  ).toBe("n\n");
  const [inspected] = JSON.parse(docker("inspect", "second").out) as [
    {
      HostConfig: { VolumesFrom: readonly string[] };
      Mounts: readonly { Destination: string; RW: boolean; Mode: string }[];
    },
  ];
  expect(inspected.HostConfig.VolumesFrom).toEqual(["first:ro"]);
  expect(inspected.Mounts.find(({ Destination }) => Destination === "/anon")).toMatchObject({
    RW: false,
    Mode: "ro",
  });
  const before = docker("volume", "ls", "-q").out.trim().split("\n").length;
  docker("rm", "-v", "first");
  expect(docker("volume", "ls", "-q").out.trim().split("\n")).toHaveLength(before);
  expect(docker("start", "-a", "second").out).toStartWith("a\nb\n");
  docker("rm", "-v", "second");
  expect(docker("volume", "ls", "-q").out).toBe("kept\nother\n");
}, 30_000);

test.each([
  ["nosuch", "No such container: nosuch"],
  ["first:maybe", "invalid mode: maybe"],
])("--volumes-from %s is refused", (from, message) => {
  const refused = docker("create", "--volumes-from", from, "busybox", "true");
  expect([refused.code, refused.err.includes(message) || refused.err]).toEqual([1, true]);
});

test("cp into and out of volumes and binds of a container that does not run", () => {
  writeFileSync(join(engine.dir, "hello"), "hello\n");
  symlinkSync("/etc", join(engine.dir, "out"));
  const mounts = ["-v", "/vol", "-v", `${engine.dir}:/bound:ro`];
  docker("create", "--name", "still", ...mounts, "busybox", "sh", "-c", "cat /vol/hello; ls /bound");
  expect(docker("cp", join(engine.dir, "hello"), "still:/vol").code).toBe(0);
  expect(docker("cp", "still:/vol/hello", join(engine.dir, "back")).code).toBe(0);
  expect(readFileSync(join(engine.dir, "back"), "utf8")).toBe("hello\n");
  expect(docker("cp", "still:/bound/hello", "-").out).toContain("hello\n");
  expect(docker("cp", join(engine.dir, "hello"), "still:/bound/new").code).toBe(1);
  expect(existsSync(join(engine.dir, "new"))).toBe(false);
  // A link in what is mounted leads to the container's /etc, not to the host's.
  expect(docker("cp", "still:/bound/out/hostname", "-").out).not.toContain(
    readFileSync("/etc/hostname", "utf8").trim() || "-",
  );
  expect(docker("cp", "still:/etc/resolv.conf", join(engine.dir, "resolv")).code).toBe(0);
  const exported = Bun.spawnSync([
    "sh",
    "-c",
    `docker -H unix://${engine.socket} export still | tar t`,
  ]).stdout.toString();
  expect(exported).not.toContain("vol/hello");
  expect(docker("start", "-a", "still").out).toStartWith("hello\n");
  expect(docker("diff", "still").out).toBe("A /bound\nA /vol\n");
  docker("rm", "-v", "still");
});

test("a volume without a name is pruned, a named one with all=1 only", () => {
  const anonymous = docker("volume", "create").out.trim();
  docker("volume", "create", "named");
  docker("volume", "rm", "kept", "other");
  docker("volume", "create", "--label", "a=b", "labelled");
  expect(docker("volume", "prune", "-f").out).toContain(anonymous);
  expect(docker("volume", "ls", "-q", "--filter", "name=named").out).toBe("named\n");
  expect(docker("volume", "prune", "-af", "--filter", "label=a").out).toContain("labelled");
  expect(docker("volume", "prune", "-af").out).toContain("named");
  expect(docker("volume", "ls", "-q").out).toBe("");
});
