import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { credentialHelper } from "./credential-helper.ts";
import { DockerConfig, hubServer } from "./docker-config.ts";

let dir: string;
let before: { readonly path: string | undefined; readonly config: string | undefined };
const read = (): Record<string, unknown> =>
  JSON.parse(readFileSync(`${dir}/config.json`, "utf8")) as Record<string, unknown>;
const write = (value: unknown): void => writeFileSync(`${dir}/config.json`, JSON.stringify(value));

beforeEach(() => {
  dir = mkdtempSync("/tmp/gantry-docker-config-");
  before = { path: process.env["PATH"], config: process.env["DOCKER_CONFIG"] };
  process.env["DOCKER_CONFIG"] = dir;
});

afterEach(() => {
  process.env["PATH"] = before.path ?? "";
  if (before.config === undefined) delete process.env["DOCKER_CONFIG"];
  else process.env["DOCKER_CONFIG"] = before.config;
  rmSync(dir, { recursive: true, force: true });
});

describe("config.json", () => {
  test("stores, finds and erases; what it does not know stays", async () => {
    write({ HttpHeaders: { "X-A": "b" }, auths: { "other.example": { auth: "b3RoZXI6eA==" } } });
    const config = new DockerConfig();
    expect(await config.credentials("r.example:5000")).toEqual({});
    expect(await config.store("r.example:5000", { username: "jo", password: "a:b" })).toBe(
      `${dir}/config.json`,
    );
    expect(read()).toEqual({
      HttpHeaders: { "X-A": "b" },
      auths: {
        "other.example": { auth: "b3RoZXI6eA==" },
        "r.example:5000": { auth: Buffer.from("jo:a:b").toString("base64") },
      },
    });
    expect(statSync(`${dir}/config.json`).mode & 0o777).toBe(0o600);
    expect(await new DockerConfig(dir).credentials("r.example:5000")).toEqual({
      serveraddress: "r.example:5000",
      auth: Buffer.from("jo:a:b").toString("base64"),
    });
    expect(await config.erase("r.example:5000")).toBe(true);
    expect(await config.erase("r.example:5000")).toBe(false);
    expect(read()["auths"]).toEqual({ "other.example": { auth: "b3RoZXI6eA==" } });
  });

  test("Docker Hub by docker's name; older spellings are found", async () => {
    const config = new DockerConfig();
    await config.store("docker.io", { username: "jo", password: "x" });
    expect(Object.keys(read()["auths"] as object)).toEqual([hubServer]);
    write({ auths: { "https://r.example/v2/": { username: "jo", password: "x" } } });
    expect(await new DockerConfig().credentials("r.example")).toMatchObject({
      username: "jo",
      password: "x",
    });
    expect(await new DockerConfig().erase("r.example")).toBe(true);
  });

  test("a refresh token instead of the password", async () => {
    const config = new DockerConfig();
    await config.store("r.example", { username: "jo", password: "secret", identitytoken: "refresh" });
    expect(readFileSync(`${dir}/config.json`, "utf8")).not.toContain(
      Buffer.from("jo:secret").toString("base64"),
    );
    expect(await config.credentials("r.example")).toMatchObject({ identitytoken: "refresh" });
  });

  test("another client's entry, written meanwhile, is not lost", async () => {
    const config = new DockerConfig();
    write({ auths: { "a.example": { auth: "YTpi" } } });
    await config.store("b.example", { username: "jo", password: "x" });
    expect(Object.keys(read()["auths"] as object)).toEqual(["a.example", "b.example"]);
  });

  test("a link into somebody's dotfiles stays a link; a missing directory is made", async () => {
    mkdirSync(`${dir}/dotfiles`);
    writeFileSync(`${dir}/dotfiles/docker.json`, "{}");
    symlinkSync("dotfiles/docker.json", `${dir}/config.json`);
    await new DockerConfig().store("r.example", { username: "jo", password: "x" });
    expect(lstatSync(`${dir}/config.json`).isSymbolicLink()).toBe(true);
    expect(readFileSync(`${dir}/dotfiles/docker.json`, "utf8")).toContain("r.example");
    await new DockerConfig(`${dir}/new/deep`).store("r.example", { username: "jo", password: "x" });
    expect(existsSync(`${dir}/new/deep/config.json`)).toBe(true);
  });

  test("damaged files are told, and not written over", () => {
    writeFileSync(`${dir}/config.json`, "{ not json");
    expect(() => new DockerConfig()).toThrow(`${dir}/config.json is not valid JSON`);
    expect(readFileSync(`${dir}/config.json`, "utf8")).toBe("{ not json");
    for (const text of ["", "  \n", "[]", "7", '{"auths": 7}', '{"auths": {"r.example": "x"}}']) {
      writeFileSync(`${dir}/config.json`, text);
      expect(new DockerConfig().path).toBe(`${dir}/config.json`);
    }
  });

  test("parts of every object are no registries", async () => {
    write({ auths: {}, credHelpers: {} });
    for (const host of ["constructor", "__proto__", "toString"])
      expect(await new DockerConfig().credentials(host)).toEqual({});
  });
});

/** A helper that keeps its secrets in files, and says what it was asked. */
const script = `#!/bin/sh
store="$(dirname "$0")/secrets"; mkdir -p "$store"
input=$(cat)
echo "$1" >> "$(dirname "$0")/calls"
name() { printf %s "$1" | tr '/:' '__'; }
case "$1" in
  get) f="$store/$(name "$input")"; [ -f "$f" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$f";;
  store) url=$(printf %s "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/'); printf %s "$input" > "$store/$(name "$url")";;
  erase) rm -f "$store/$(name "$input")";;
  list) echo '{"r.example":"jo"}';;
esac
`;

function install(name: string, text: string): void {
  writeFileSync(`${dir}/docker-credential-${name}`, text);
  chmodSync(`${dir}/docker-credential-${name}`, 0o755);
  process.env["PATH"] = `${dir}:${before.path}`;
}

describe("credential helpers", () => {
  test("a store for all registries: nothing secret in the file", async () => {
    install("files", script);
    write({ credsStore: "files" });
    const config = new DockerConfig();
    expect(await config.credentials("r.example")).toEqual({});
    expect(await config.store("r.example", { username: "jo", password: 'se"cret' })).toBeUndefined();
    expect(read()).toEqual({ credsStore: "files", auths: { "r.example": {} } });
    expect(await config.credentials("r.example")).toEqual({
      serveraddress: "r.example",
      username: "jo",
      password: 'se"cret',
    });
    await config.store("t.example", { username: "jo", password: "x", identitytoken: "refresh" });
    expect(await config.credentials("t.example")).toEqual({
      serveraddress: "t.example",
      identitytoken: "refresh",
    });
    expect(Object.keys(await config.all()).sort()).toEqual(["r.example", "t.example"]);
    expect(await config.erase("r.example")).toBe(true);
    expect(await config.credentials("r.example")).toEqual({});
  });

  test("one registry's own helper goes before the store of all", async () => {
    install("files", script);
    write({ credHelpers: { "r.example": "files" }, auths: { "o.example": { auth: "YTpi" } } });
    const config = new DockerConfig();
    await config.store("r.example", { username: "jo", password: "x" });
    expect(await config.credentials("r.example")).toMatchObject({ username: "jo" });
    expect(await config.credentials("o.example")).toMatchObject({ auth: "YTpi" });
  });

  test("one that is not there, fails or talks nonsense is named, without what it said of secrets", async () => {
    write({ credsStore: "gone" });
    expect(new DockerConfig().credentials("r.example")).rejects.toThrow(
      "the credential helper docker-credential-gone, which the docker configuration names, is not installed",
    );
    install("bad", "#!/bin/sh\necho 'keychain is locked'; exit 3\n");
    expect(credentialHelper("bad").get("r.example")).rejects.toThrow(
      "docker-credential-bad get failed: keychain is locked",
    );
    install("odd", '#!/bin/sh\necho "{secret"\n');
    const error: unknown = await credentialHelper("odd")
      .get("r.example")
      .catch((e: unknown) => e);
    expect(String(error)).toContain("docker-credential-odd did not answer in JSON");
    expect(String(error)).not.toContain("{secret");
    install("endless", "#!/bin/sh\nexec yes\n");
    expect(credentialHelper("endless").list()).rejects.toThrow("docker-credential-endless list failed");
    install("esc", "#!/bin/sh\nprintf '\\033]0;x\\007bad'; exit 1\n");
    const told: unknown = await credentialHelper("esc")
      .get("r.example")
      .catch((e: unknown) => e);
    // eslint-disable-next-line no-control-regex
    expect(String(told)).not.toMatch(/[\u0000-\u001f]/);
  });

  test("its name cannot lead elsewhere", () => {
    for (const name of ["", "../x", "a/b", "a b", "a;b"])
      expect(() => credentialHelper(name)).toThrow("invalid credential helper");
  });
});
