/** Docker's clients of two ages, podman and skopeo log in to our registry, push, pull, and are refused what they may not. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { registryCommand } from "../lib/registry-command.ts";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-auth-");
const root = `${dir}/root`;
const command = (words: readonly string[], input?: string): Promise<string> =>
  registryCommand(root, words, input);

let registry: TestRegistry;
let server: string;
let robot: string;
let dockerd: Bun.Subprocess | undefined;
const socket = `unix://${dir}/docker.sock`;

interface Done {
  readonly code: number;
  readonly text: string;
}

async function run(
  words: readonly string[],
  options: { readonly input?: string; readonly env?: Record<string, string> } = {},
): Promise<Done> {
  const child = Bun.spawn([...words], {
    stdin: options.input === undefined ? "ignore" : Buffer.from(options.input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: dir, ...options.env },
    timeout: 40_000,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, text: out + err };
}

async function ok(...words: readonly string[]): Promise<string> {
  const { code, text } = await run(words);
  if (code !== 0) throw new Error(`${words.join(" ")}: ${text}`);
  return text;
}

beforeAll(async () => {
  mkdirSync(root);
  await command(["user", "add", "--admin", "--password-stdin", "root"], "root's password\n");
  await command(["user", "add", "--password-stdin", "alice"], "alice's password\n");
  await command(["grant", "alice", "team/*", "pull,push"]);
  await command(["public", "add", "open/*"]);
  robot = (await command(["robot", "add", "--grant", "team/*:pull", "ci"])).trim();
  registry = await TestRegistry.start(root);
  server = `127.0.0.1:${registry.port}`;
  // umoci makes the image, skopeo turns it into what docker loads.
  mkdirSync(`${dir}/layer`);
  await Bun.write(`${dir}/layer/hello`, "hello\n");
  await ok("umoci", "init", "--layout", `${dir}/layout`);
  await ok("umoci", "new", "--image", `${dir}/layout:v1`);
  await ok("umoci", "insert", "--image", `${dir}/layout:v1`, `${dir}/layer`, "/data");
  await ok(
    "skopeo",
    "copy",
    "-q",
    `oci:${dir}/layout:v1`,
    `docker-archive:${dir}/image.tar:${server}/team/app:v1`,
  );
  dockerd = Bun.spawn(
    [
      "dockerd",
      "--data-root",
      `${dir}/docker`,
      "--exec-root",
      `${dir}/docker-run`,
      "--pidfile",
      `${dir}/docker.pid`,
    ].concat(["-H", socket, "--iptables=false", "--bridge=none", "--storage-driver", "vfs"]),
    { stdin: "ignore", stdout: "ignore", stderr: Bun.file(`${dir}/dockerd.log`) },
  );
  for (let i = 0; (await run(["docker", "-H", socket, "version"])).code !== 0; i++) {
    if (i > 100) throw new Error(`dockerd: ${await Bun.file(`${dir}/dockerd.log`).text()}`);
    await Bun.sleep(100);
  }
}, 60_000);

afterAll(async () => {
  dockerd?.kill("SIGTERM");
  await dockerd?.exited;
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
  rmSync(`${root}.log`, { force: true });
});

const dockers = ["/usr/local/bin/docker", "/usr/bin/docker"].filter((path) => existsSync(path));

describe.each(dockers)("%s", (docker) => {
  const config = `${dir}/config${docker.replaceAll("/", "-")}`;
  const client = (words: readonly string[], input?: string): Promise<Done> =>
    run([docker, "-H", socket, ...words], {
      env: { DOCKER_CONFIG: config },
      ...(input === undefined ? {} : { input }),
    });

  test("login, push, pull, denied, logout, anonymous", async () => {
    mkdirSync(config, { recursive: true });
    const wrong = await client(["login", "-u", "alice", "--password-stdin", server], "wrong");
    expect(wrong.code).not.toBe(0);
    expect(wrong.text).toContain("unauthorized: authentication required");
    const login = await client(["login", "-u", "alice", "--password-stdin", server], "alice's password");
    expect(login.text).toContain("Login Succeeded");
    // The password is nowhere: docker keeps the identity token.
    const kept = await Bun.file(`${config}/config.json`).text();
    expect(kept).toContain("gantry_refresh_");
    expect(kept).not.toContain(Buffer.from("alice's password").toString("base64").slice(0, 12));
    expect((await client(["load", "-i", `${dir}/image.tar`])).code).toBe(0);
    const pushed = await client(["push", `${server}/team/app:v1`]);
    expect(pushed.text).toContain("v1: digest: sha256:");
    await client(["tag", `${server}/team/app:v1`, `${server}/other/app:v1`]);
    const denied = await client(["push", `${server}/other/app:v1`]);
    expect(denied.code).not.toBe(0);
    expect(denied.text).toContain("denied: requested access to the resource is denied");
    await client(["rmi", `${server}/team/app:v1`, `${server}/other/app:v1`]);
    const pulled = await client(["pull", `${server}/team/app:v1`]);
    expect(pulled.text).toContain("Status: Downloaded newer image");
    await client(["rmi", `${server}/team/app:v1`]);
    expect((await client(["logout", server])).text).toContain("Removing login credentials");
    const away = await client(["pull", `${server}/team/app:v1`]);
    expect(away.code).not.toBe(0);
    expect(away.text).toContain("pull access denied");
  }, 60_000);

  test("anybody pulls what is public", async () => {
    const creds = "root:root's password";
    await ok(
      "skopeo",
      "copy",
      "-q",
      "--dest-tls-verify=false",
      "--dest-creds",
      creds,
      `oci:${dir}/layout:v1`,
      `docker://${server}/open/app:v1`,
    );
    expect((await client(["pull", `${server}/open/app:v1`])).code).toBe(0);
    await client(["rmi", `${server}/open/app:v1`]);
    expect((await client(["pull", `${server}/open/none:v1`])).text).toContain("not found");
  }, 60_000);
});

test("skopeo: login, copy, tags, denied delete, expired robot, disabled account", async () => {
  const file = `${dir}/skopeo.json`;
  const image = `docker://${server}/team/skopeo:v1`;
  const login = await run(
    ["skopeo", "login", "--tls-verify=false", "--authfile", file, "-u", "alice", "--password-stdin", server],
    { input: "alice's password" },
  );
  expect(login.text).toContain("Login Succeeded");
  await ok(
    "skopeo",
    "copy",
    "-q",
    "--dest-tls-verify=false",
    "--dest-authfile",
    file,
    `oci:${dir}/layout:v1`,
    image,
  );
  const there = await ok(
    "skopeo",
    "inspect",
    "--tls-verify=false",
    "--authfile",
    file,
    "--format",
    "{{.Digest}}",
    image,
  );
  expect(there.trim()).toBe(
    (await ok("skopeo", "inspect", "--format", "{{.Digest}}", `oci:${dir}/layout:v1`)).trim(),
  );
  expect(
    await ok("skopeo", "list-tags", "--tls-verify=false", "--authfile", file, image.replace(":v1", "")),
  ).toContain('"v1"');
  const denied = await run(["skopeo", "delete", "--tls-verify=false", "--authfile", file, image]);
  expect(denied.text).toContain("alice may not delete team/skopeo");
  const asRobot = (secret: string): Promise<Done> =>
    run(["skopeo", "inspect", "--tls-verify=false", "--creds", `ci:${secret}`, image]);
  expect((await asRobot(robot)).code).toBe(0);
  const read = await run([
    "skopeo",
    "copy",
    "-q",
    "--dest-tls-verify=false",
    "--dest-creds",
    `ci:${robot}`,
    `oci:${dir}/layout:v1`,
    image,
  ]);
  expect(read.text).toContain("denied");
  const short = (
    await command(["robot", "add", "--expires", "2s", "--grant", "team/*:pull", "short"])
  ).trim();
  const asShort = (): Promise<Done> =>
    run(["skopeo", "inspect", "--tls-verify=false", "--creds", `short:${short}`, image]);
  expect((await asShort()).code).toBe(0);
  await Bun.sleep(2100);
  expect((await asShort()).text).toContain("unauthorized");
  await command(["user", "disable", "ci"]);
  await Bun.sleep(2100);
  expect((await asRobot(robot)).text).toContain("unauthorized");
}, 60_000);

test("podman: login, push, pull, logout", async () => {
  const file = `${dir}/podman.json`;
  const podman = (words: readonly string[], input?: string): Promise<Done> =>
    run(
      [
        "podman",
        "--root",
        `${dir}/podman`,
        "--runroot",
        `${dir}/podman-run`,
        "--storage-driver",
        "vfs",
        "--cgroup-manager=cgroupfs",
        ...words,
      ],
      input === undefined ? {} : { input },
    );
  const image = `${server}/team/podman:v1`;
  const login = await podman(
    ["login", "--tls-verify=false", "--authfile", file, "-u", "alice", "--password-stdin", server],
    "alice's password",
  );
  expect(login.text).toContain("Login Succeeded");
  await ok("skopeo", "copy", "-q", `oci:${dir}/layout:v1`, `oci-archive:${dir}/podman.tar:v1`);
  const loaded = await podman(["pull", "-q", `oci-archive:${dir}/podman.tar`]);
  const id = loaded.text.trim().split("\n").at(-1) ?? "";
  const pushed = await podman(["push", "--tls-verify=false", "--authfile", file, id, image]);
  expect(pushed.text).toContain("Writing manifest");
  await podman(["rmi", "-f", id]);
  expect((await podman(["pull", "-q", "--tls-verify=false", "--authfile", file, image])).code).toBe(0);
  expect((await podman(["logout", "--authfile", file, server])).text).toContain("Removed login credentials");
  expect((await podman(["pull", "-q", "--tls-verify=false", "--authfile", file, image])).code).not.toBe(0);
}, 60_000);

test("curl: Basic by itself, tokens of docker's flow and of containerd's", async () => {
  const get = (path: string, authorization?: string): Promise<Response> =>
    fetch(`${registry.url}${path}`, authorization === undefined ? {} : { headers: { authorization } });
  const basic = `Basic ${btoa("alice:alice's password")}`;
  expect((await get("/v2/")).status).toBe(401);
  expect((await get("/v2/", basic)).status).toBe(200);
  expect((await get("/v2/team/app/tags/list", basic)).status).toBe(200);
  expect((await get("/v2/other/app/tags/list", basic)).status).toBe(403);
  expect((await get("/v2/_catalog", basic)).status).toBe(403);
  const form = new URLSearchParams({
    grant_type: "password",
    service: "gantry-registry",
    client_id: "containerd-client",
    username: "alice",
    password: "alice's password",
    scope: "repository:team/app:pull",
  });
  const granted = await fetch(`${registry.url}/token`, { method: "POST", body: form });
  const { access_token } = (await granted.json()) as { readonly access_token: string };
  expect((await get("/v2/team/app/tags/list", `Bearer ${access_token}`)).status).toBe(200);
  const elsewhere = await get("/v2/team/other/tags/list", `Bearer ${access_token}`);
  expect(elsewhere.status).toBe(401);
  expect(elsewhere.headers.get("www-authenticate")).toContain('error="insufficient_scope"');
});

test("names that lead elsewhere, and a hostile Host", async () => {
  const basic = `Basic ${btoa("alice:alice's password")}`;
  for (const path of [
    "/v2/team%2F..%2Fother/app/tags/list",
    "/v2/TEAM/app/tags/list",
    "/v2/team//app/tags/list",
    "/v2/team/../other/app/tags/list",
  ]) {
    const answer = await run([
      "curl",
      "-s",
      "--path-as-is",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "-H",
      `Authorization: ${basic}`,
      `${registry.url}${path}`,
    ]);
    expect(["400", "403", "404"]).toContain(answer.text);
  }
  const hostile = await run(["curl", "-si", "-H", 'Host: evil.example/x",error="', `${registry.url}/v2/`]);
  expect(hostile.text).not.toContain("evil.example");
});

test("guessing is slowed down, and who knows the password is let in from elsewhere", async () => {
  const guess = (i: number): Promise<Response> =>
    fetch(`${registry.url}/v2/`, { headers: { authorization: `Basic ${btoa(`root:guess ${i}`)}` } });
  const answers: Response[] = [];
  for (let i = 0; i < 10; i++) answers.push(await guess(i));
  const last = answers.at(-1);
  expect(last?.status).toBe(429);
  expect(Number(last?.headers.get("retry-after"))).toBeGreaterThan(0);
  // What was right a moment ago is remembered: a robot beside a guesser goes on working.
  expect(
    (
      await fetch(`${registry.url}/v2/`, {
        headers: { authorization: `Basic ${btoa("alice:alice's password")}` },
      })
    ).status,
  ).toBe(200);
  const audit = await command(["audit", "--who", "root", "--format", "{{.Action}} {{.Result}}"]);
  expect(audit).toContain("login refused");
});
