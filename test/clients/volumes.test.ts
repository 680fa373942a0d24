/** Volumes that containers take over from others, with docker's client. */
import { afterAll, beforeAll, expect, test } from "bun:test";
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
