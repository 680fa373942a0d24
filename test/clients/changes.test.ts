/** diff, commit and export with docker's client and ours. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestEngine } from "../lib/engine.ts";

const engine = new TestEngine("changes");

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

/** Names in an exported archive. */
const exported = (name: string): readonly string[] =>
  Bun.spawnSync(["sh", "-c", `docker -H unix://${engine.socket} export ${name} | tar t`])
    .stdout.toString()
    .trim()
    .split("\n");

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
  const made =
    "mkdir -p /srv/a; echo 1 > /srv/a/f; ln /srv/a/f /srv/link; rm /bin/wget; echo x >> /etc/passwd; chmod 700 /tmp; sleep 1000";
  engine.ok(
    "run",
    "-d",
    "--name",
    "changed",
    "-v",
    "/vol",
    "--label",
    "keep=me",
    "busybox",
    "sh",
    "-c",
    made,
  );
  engine.ok("run", "-d", "--name", "same", "busybox", "sleep", "1000");
  for (
    const deadline = Date.now() + 5000;
    !docker("diff", "changed").out.includes("/tmp");
    await Bun.sleep(20)
  )
    if (Date.now() > deadline) throw new Error("nothing has changed");
}, 60_000);

afterAll(() => engine.uninstall(), 60_000);

test("diff", () => {
  const lines = docker("diff", "changed").out.trim().split("\n").toSorted();
  expect(lines).toEqual(
    [
      "A /srv/a",
      "A /srv/a/f",
      "A /srv/link",
      "A /vol",
      "C /bin",
      "C /etc",
      "C /etc/passwd",
      "C /tmp",
      "D /bin/wget",
    ]
      .concat(lines.includes("A /srv") ? ["A /srv"] : ["C /srv"])
      .toSorted(),
  );
  expect(engine.ok("diff", "changed").split("\n").toSorted()).toEqual(lines);
  expect(docker("diff", "same").out).toBe("");
  expect(docker("diff", "nosuch").err).toContain("No such container: nosuch");
});

test("commit: its files, its settings, and what is changed by the way", () => {
  const made = docker(
    "commit",
    "-a",
    "me",
    "-m",
    "why",
    "-c",
    "ENV A=b",
    "-c",
    'CMD ["cat", "/srv/link"]',
    "-c",
    "EXPOSE 80",
    "changed",
    "made:v1",
  );
  expect(made.out).toMatch(/^sha256:[0-9a-f]{64}\n$/);
  expect(docker("run", "--rm", "made:v1").out).toBe("1\n");
  expect(
    docker(
      "run",
      "--rm",
      "made:v1",
      "sh",
      "-c",
      "echo $A; ls /bin/wget; ls -d /vol; stat -c %a /tmp; stat -c %h /srv/a/f",
    ).out,
  ).toBe("b\n/vol\n700\n2\n");
  const [image] = JSON.parse(docker("image", "inspect", "made:v1").out) as [
    { Author: string; Comment: string; Config: { Labels: object; ExposedPorts: object; Volumes: object } },
  ];
  expect(image).toMatchObject({
    Author: "me",
    Comment: "why",
    Config: { Labels: { keep: "me" }, ExposedPorts: { "80/tcp": {} }, Volumes: { "/vol": {} } },
  });
  expect(docker("history", "--format", "{{.Comment}}", "made:v1").out.split("\n")[0]).toBe("why");
  expect(docker("inspect", "-f", "{{.State.Status}}", "changed").out).toBe("running\n");
  const events = docker(
    "events",
    "--since",
    new Date(Date.now() - 60_000).toISOString(),
    "--until",
    new Date().toISOString(),
    "--filter",
    "event=commit",
    "--format",
    '{{.Action}} {{index .Actor.Attributes "comment"}}',
  );
  expect(events.out).toContain("commit why\n");
});

test("commit of what has not changed adds no layer; bad names change nothing", () => {
  const before = docker("image", "ls", "-aq").out;
  const layers = (name: string): string =>
    docker("image", "inspect", "-f", "{{len .RootFS.Layers}}", name).out;
  for (const [words, message] of [
    [["same", "UPPER"], "invalid reference format"],
    [["-c", "RUN true", "same", "x"], "run is not a valid change command"],
    [["nosuch"], "No such container: nosuch"],
  ] as const) {
    const refused = docker("commit", ...words);
    expect([refused.code, refused.err.includes(message) || refused.err]).toEqual([1, true]);
  }
  expect(docker("image", "ls", "-aq").out).toBe(before);
  expect(engine.ok("commit", "same", "localhost:5000/again")).toStartWith("sha256:");
  expect(layers("localhost:5000/again")).toBe(layers("busybox"));
  expect(docker("image", "rm", "localhost:5000/again").code).toBe(0);
});

test("export leaves out what is mounted, running or not", () => {
  docker("exec", "changed", "touch", "/vol/secret");
  const running = exported("changed");
  expect(running).toContain("srv/a/f");
  expect(running).not.toContain("vol/secret");
  expect(running).not.toContain("bin/wget");
  expect(running.filter((name) => name.startsWith("proc/"))).toEqual(
    ["proc/"].filter((name) => running.includes(name)),
  );
  docker("stop", "-t", "0", "changed");
  expect(exported("changed")).toEqual(running);
  expect(engine.ok("export", "-o", `${engine.dir}/tar`, "changed")).toBe("");
  expect(Bun.spawnSync(["tar", "tf", `${engine.dir}/tar`]).stdout.toString()).toContain("srv/a/f");
});

test("an engine that is killed while it commits leaves no frozen container", async () => {
  docker("exec", "same", "sh", "-c", "head -c 200000000 /dev/urandom > /big");
  const client = engine.spawn("commit", "same", "half");
  const frozen = (): boolean => docker("inspect", "-f", "{{.State.Status}}", "same").out === "paused\n";
  for (const deadline = Date.now() + 5000; !frozen();)
    if (Date.now() > deadline) throw new Error("the container was not frozen");
  await engine.kill();
  await client.exited;
  await engine.start();
  expect(docker("inspect", "-f", "{{.State.Status}}", "same").out).toBe("running\n");
  expect(docker("exec", "same", "echo", "thawed").out).toBe("thawed\n");
  expect(docker("image", "inspect", "half").code).toBe(1);
}, 30_000);
