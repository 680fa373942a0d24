/** Docker's clients of two ages on our engine, with Debian's docker-registry (basic auth) and with ours (tokens). Root. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { account, RegistryWorld } from "../lib/registry-world.ts";

setDefaultTimeout(60_000);

const clients = ["/usr/local/bin/docker", "/usr/bin/docker"].filter((path) => Bun.which(path) !== null);
if (clients.length === 0) process.stdout.write("engine-registry.test.ts: no docker client is installed\n");

let world: RegistryWorld;

beforeAll(async () => {
  world = await RegistryWorld.open("engine-registry");
  world.engine.ok("image", "bootstrap", "-q", "busybox");
  writeFileSync(
    `${world.dir}/Dockerfile`,
    "FROM busybox\nRUN mkdir -p /d && head -c 200000 /dev/urandom >/d/f\n",
  );
  world.gantryOk("build", "-q", "-t", "made", "-f", `${world.dir}/Dockerfile`, world.dir);
}, 120_000);

afterAll(() => world.close(), 120_000);

const kinds = ["debian", "ours"] as const;
const worlds = clients.flatMap((docker) => kinds.map((kind) => ({ docker, kind })));

describe.each(worlds)("$docker and the registry of $kind", ({ docker, kind }) => {
  const run = (words: readonly string[], stdin?: string) => world.run([docker, ...words], stdin);
  const ok = (...words: readonly string[]): Promise<string> => world.ok(docker, ...words);
  const isOld = docker === "/usr/bin/docker";
  let host = "";
  let image = "";

  beforeAll(() => {
    host = world.hosts[kind];
    image = `${host}/team/app`;
  });

  test("login: a wrong password is refused; without login nothing is pushed", async () => {
    await ok("tag", "made", `${image}:1`);
    const refused = await run(["login", "-u", account.user, "--password-stdin", host], "wrong");
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/401 Unauthorized|unauthorized/);
    const denied = await run(["push", `${image}:1`]);
    expect(denied.code).toBe(1);
    expect(denied.err).toMatch(/^(unauthorized: authentication required|no basic auth credentials)/m);
    const accepted = await run(["login", "-u", account.user, "--password-stdin", host], account.password);
    expect(accepted.out).toContain("Login Succeeded");
    expect(accepted.code).toBe(0);
  });

  test("push: new, again, quiet, all tags; what is not there", async () => {
    const said = await ok("push", `${image}:1`);
    expect(said).toContain(`The push refers to repository [${image}]`);
    expect(said).toMatch(/^[0-9a-f]{12}: (Pushed|Layer already exists)$/m);
    expect(said).toMatch(/^1: digest: sha256:[0-9a-f]{64} size: \d+$/m);
    expect(await ok("push", `${image}:1`)).not.toContain("Pushed");
    await ok("tag", "busybox", `${image}:2`);
    if (!isOld) expect(await ok("push", "-q", `${image}:2`)).toBe(`${image}:2`);
    const all = await ok("push", "-a", image);
    expect(all.match(/^[12]: digest: /gm)).toEqual(["1: digest: ", "2: digest: "]);
    const missing = await run(["push", `${image}:none`]);
    expect([missing.code, missing.err]).toEqual([
      1,
      expect.stringContaining(`tag does not exist: ${image}:none`),
    ]);
    const nowhere = await run(["push", `${host}/team/none`]);
    expect([nowhere.code, nowhere.err]).toEqual([
      1,
      expect.stringContaining(`An image does not exist locally with the tag: ${host}/team/none`),
    ]);
  });

  test("digests: images, inspect, pull and rmi by digest", async () => {
    const { digest } = await world.manifest(`${image}:1`);
    expect(await ok("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", image)).toContain(
      `1 ${digest}`,
    );
    const id = await ok("image", "inspect", "-f", "{{.Id}}", "made");
    expect(await ok("image", "inspect", "-f", "{{json .RepoDigests}}", `${image}:1`)).toContain(
      `"${image}@${digest}"`,
    );
    await ok("rmi", `${image}:1`, `${image}:2`);
    expect((await run(["image", "inspect", `${image}@${digest}`])).code).toBe(1);
    const pulled = await ok("pull", `${image}@${digest}`);
    expect(pulled).toContain(`${digest}: Pulling from team/app`);
    expect(pulled).toContain(`Status: Downloaded newer image for ${image}@${digest}`);
    expect(await ok("image", "inspect", "-f", "{{.Id}} {{.RepoTags}}", `${image}@${digest}`)).toContain(id);
    expect(await ok("rmi", `${image}@${digest}`)).toContain(`Untagged: ${image}@${digest}`);
    expect((await run(["image", "inspect", `${image}@${digest}`])).code).toBe(1);
  });

  test("pull: newer, up to date, quiet, all tags, platforms; what is not there", async () => {
    expect(await ok("pull", `${image}:1`)).toContain(`Status: Downloaded newer image for ${image}:1`);
    expect(await ok("pull", `${image}:1`)).toContain(`Status: Image is up to date for ${image}:1`);
    expect(await ok("pull", "-q", `${image}:1`)).toBe(`${image}:1`);
    const all = await ok("pull", "-a", image);
    expect(all.match(/^[12]: Pulling from team\/app$/gm)?.length).toBe(2);
    expect(await ok("images", "--format", "{{.Tag}}", image)).toMatch(/^[12]\n[12]$/);
    expect(await ok("pull", "--platform", "linux/amd64", `${image}:2`)).toContain("up to date");
    const refusals = [
      { words: [`${image}:none`], says: `manifest for ${image}:none not found: manifest unknown` },
      { words: ["--platform", "linux/arm64", `${image}:1`], says: "does not match the specified platform" },
      { words: [`${image}@sha256:${"0".repeat(64)}`], says: "not found: manifest unknown" },
      { words: ["-a", `${image}:1`], says: "tag can't be used with --all-tags/-a" },
    ];
    for (const { words, says } of refusals) {
      const { code, err } = await run(["pull", ...words]);
      expect([code, err]).toEqual([1, expect.stringContaining(says)]);
    }
  });

  test("manifest inspect prints the registry's manifest", async () => {
    // The old client knows no OCI manifests.
    if (isOld) await world.skopeo(`docker://${image}:1`, `docker://${image}:1`, "--format", "v2s2");
    const { text } = await world.manifest(`${image}:1`);
    const shown = await world.run([docker, "manifest", "inspect", "--insecure", `${image}:1`]);
    expect(shown.err).toBe("");
    expect(JSON.parse(shown.out)).toEqual(JSON.parse(text));
  });

  test("run of an image that is not here: --pull never, missing, always", async () => {
    await run(["rmi", "-f", `${image}:2`]);
    const never = await run(["run", "--rm", "--pull", "never", `${image}:2`, "echo", "hi"]);
    expect([never.code, never.err]).toEqual([125, expect.stringContaining(`No such image: ${image}:2`)]);
    const missing = await run(["run", "--rm", `${image}:2`, "echo", "hi"]);
    expect([missing.code, missing.out]).toEqual([0, "hi\n"]);
    expect(missing.err).toStartWith(`Unable to find image '${image}:2' locally\n2: Pulling from team/app\n`);
    const always = await run(["run", "--rm", "--pull", "always", `${image}:2`, "echo", "hi"]);
    expect([always.code, always.err + always.out]).toEqual([
      0,
      expect.stringContaining(`Image is up to date for ${image}:2`),
    ]);
    const nowhere = await run(["run", "--rm", `${image}:none`, "echo", "hi"]);
    expect([nowhere.code, nowhere.err]).toEqual([125, expect.stringContaining("manifest unknown")]);
  });

  test("build: the base comes from the registry, --pull looks again, without login it cannot", async () => {
    await run(["rmi", "-f", `${image}:2`]);
    const context = `${world.dir}/context`;
    mkdirSync(context, { recursive: true });
    writeFileSync(`${context}/Dockerfile`, `FROM ${image}:2\nRUN echo ${kind}${docker} >/by\n`);
    expect(await ok("build", "-t", "built", context)).toContain(`Downloaded newer image for ${image}:2`);
    expect(await ok("build", "-t", "built", context)).not.toContain("Pulling from");
    expect(await ok("build", "--pull", "-t", "built", context)).toContain(
      `Image is up to date for ${image}:2`,
    );
    expect(await ok("run", "--rm", "built", "cat", "/by")).toBe(`${kind}${docker}`);
    await ok("rmi", "-f", "built", `${image}:2`);
    expect(await ok("logout", host)).toContain(`Removing login credentials for ${host}`);
    expect(readFileSync(`${world.dir}/docker/config.json`, "utf8")).not.toContain(host);
    for (const words of [
      ["build", context],
      ["pull", `${image}:2`],
      ["push", `${image}:1`],
    ]) {
      const { code, out, err } = await run(words);
      expect([code, out + err]).toEqual([1, expect.stringMatching(/unauthorized|no basic auth credentials/)]);
    }
    await run(["rmi", "-f", `${image}:1`]);
  });

  test("search says that this registry has none", async () => {
    const { code, err } = await run(["search", `${host}/app`]);
    expect([code, err]).toEqual([1, expect.stringContaining(`the registry at ${host} offers no search`)]);
  });
});
