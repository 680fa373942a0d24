/**
 * `~/.docker/config.json` (or $DOCKER_CONFIG), shared with docker's client: where credentials are kept, by itself or by
 * credential helpers. What we do not know in it stays as it is.
 */
import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import type { AuthConfig } from "./auth.ts";
import { credentialHelper, type StoredSecret } from "./credential-helper.ts";
import { hostOf } from "./registries.ts";

/** What docker's clients call Docker Hub. */
export const hubServer = "https://index.docker.io/v1/";

/** What a refresh token has for a user's name, in docker's stores. */
const tokenUser = "<token>";

type Json = Record<string, unknown>;

export class DockerConfig {
  readonly path: string;
  #document: Json;

  /**
   * @param directory of config.json; without, $DOCKER_CONFIG or ~/.docker
   * @throws {GantryError} "invalid" when the file is no JSON
   */
  constructor(directory?: string) {
    const { DOCKER_CONFIG, HOME } = process.env;
    // Set to nothing is not set.
    this.path = join(directory ?? (DOCKER_CONFIG || join(HOME || homedir(), ".docker")), "config.json");
    this.#document = readDocument(this.path);
  }

  /** Credentials for a registry's host; empty when there are none. */
  async credentials(host: string): Promise<AuthConfig> {
    const server = serverOf(host);
    const helper = this.#helper(server);
    if (helper !== undefined) {
      const secret = await credentialHelper(helper).get(server);
      if (secret === undefined) return {};
      return secret.username === tokenUser
        ? { identitytoken: secret.secret, serveraddress: server }
        : { username: secret.username, password: secret.secret, serveraddress: server };
    }
    const entry = Object.entries(this.#auths()).find(
      ([key]) => key === server || hostOf(key) === hostOf(server),
    );
    return entry === undefined ? {} : fromEntry(entry[1], server);
  }

  /** Of all registries, for builds (X-Registry-Config). */
  async all(): Promise<Readonly<Record<string, AuthConfig>>> {
    const servers = new Set([
      ...Object.keys(this.#auths()),
      ...Object.keys(objectOf(this.#document["credHelpers"])),
    ]);
    const store = this.#document["credsStore"];
    if (typeof store === "string" && store !== "")
      for (const server of await credentialHelper(store).list()) servers.add(server);
    const found: Record<string, AuthConfig> = {};
    for (const server of servers) {
      try {
        found[server] = await this.credentials(hostOf(server));
      } catch (error) {
        // Of all registries few are asked: one whose helper fails is as one without credentials, as docker has it.
        if (!(error instanceof GantryError)) throw error;
      }
    }
    return found;
  }

  /** @returns where they are kept, in words, or undefined for a helper: docker warns of the file. */
  async store(host: string, auth: AuthConfig): Promise<string | undefined> {
    const server = serverOf(host);
    const secret: StoredSecret = auth.identitytoken
      ? { username: tokenUser, secret: auth.identitytoken }
      : { username: auth.username ?? "", secret: auth.password ?? "" };
    const helper = this.#helper(server);
    if (helper !== undefined) {
      await credentialHelper(helper).store(server, secret);
      this.#write((document) => ({ ...document, auths: { ...objectOf(document["auths"]), [server]: {} } }));
      return undefined;
    }
    const basic = Buffer.from(`${auth.username ?? ""}:${auth.identitytoken ? "" : (auth.password ?? "")}`);
    const entry = {
      auth: basic.toString("base64"),
      ...(auth.identitytoken ? { identitytoken: auth.identitytoken } : {}),
    };
    this.#write((document) => ({ ...document, auths: { ...objectOf(document["auths"]), [server]: entry } }));
    return this.path;
  }

  /** False when nothing was kept. */
  async erase(host: string): Promise<boolean> {
    const server = serverOf(host);
    const auths = this.#auths();
    const keys = Object.keys(auths).filter((key) => key === server || hostOf(key) === hostOf(server));
    const helper = this.#helper(server);
    if (helper !== undefined) await credentialHelper(helper).erase(server);
    if (keys.length === 0) return helper !== undefined;
    this.#write((document) => {
      const left = Object.entries(objectOf(document["auths"])).filter(([key]) => !keys.includes(key));
      return { ...document, auths: Object.fromEntries(left) };
    });
    return true;
  }

  /** What `context use` says; undefined: none. */
  setCurrentContext(name: string | undefined): void {
    this.#write(({ currentContext: _before, ...document }) =>
      name === undefined ? document : { ...document, currentContext: name },
    );
  }

  #auths(): Json {
    return objectOf(this.#document["auths"]);
  }

  #helper(server: string): string | undefined {
    const helpers = objectOf(this.#document["credHelpers"]);
    const own = helpers[server] ?? helpers[hostOf(server)] ?? this.#document["credsStore"];
    return typeof own === "string" && own !== "" ? own : undefined;
  }

  /** Another client may have written meanwhile: read, changed and renamed in one go. */
  #write(change: (document: Json) => Json): void {
    this.#document = change(readDocument(this.path));
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      const target = realPath(this.path);
      const temporary = `${target}.${process.pid}.tmp`;
      // Indented by tabs and without a last line's end, as docker writes it.
      writeFileSync(temporary, JSON.stringify(this.#document, null, "\t"), { mode: 0o600 });
      chmodSync(temporary, 0o600);
      renameSync(temporary, target);
    } catch (error) {
      throw toGantryError(error, `write ${this.path}`);
    }
  }
}

/** The file may be a link into somebody's dotfiles: that is written, not replaced. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return path;
    throw error;
  }
}

const serverOf = (host: string): string => (hostOf(host) === "docker.io" ? hubServer : hostOf(host));

function fromEntry(value: unknown, server: string): AuthConfig {
  const entry = objectOf(value);
  const text = (key: string): string => (typeof entry[key] === "string" ? String(entry[key]) : "");
  return {
    serveraddress: server,
    ...(text("auth") === "" ? {} : { auth: text("auth") }),
    ...(text("username") === "" ? {} : { username: text("username"), password: text("password") }),
    ...(text("identitytoken") === "" ? {} : { identitytoken: text("identitytoken") }),
    ...(text("registrytoken") === "" ? {} : { registrytoken: text("registrytoken") }),
  };
}

function readDocument(path: string): Json {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return {};
    throw toGantryError(error, `read ${path}`);
  }
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GantryError("invalid", `${path} is not valid JSON`, {
      cause,
      hint: "repair or remove the file",
    });
  }
  return objectOf(value);
}

function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
