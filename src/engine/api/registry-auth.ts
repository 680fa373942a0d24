/** Credentials that clients send along: X-Registry-Auth for one registry, X-Registry-Config for all of them. */
import type { IncomingMessage } from "node:http";
import { type AuthConfig, hostOf } from "../../distribution/index.ts";
import { GantryError } from "../../lib/index.ts";

const maxHeaderBytes = 256 << 10;
const keys = [
  "username",
  "password",
  "auth",
  "identitytoken",
  "registrytoken",
  "serveraddress",
] as const satisfies readonly (keyof AuthConfig)[];

/** @throws {GantryError} "invalid" */
export function registryAuth(request: IncomingMessage): AuthConfig {
  const value = decoded(request, "x-registry-auth");
  return value === undefined ? {} : authOf(value);
}

/** By host. @throws {GantryError} "invalid" */
export function registryConfig(request: IncomingMessage): ReadonlyMap<string, AuthConfig> {
  const value = decoded(request, "x-registry-config");
  if (typeof value !== "object" || value === null) return new Map();
  return new Map(Object.entries(value).map(([server, auth]) => [hostOf(server), authOf(auth)]));
}

/** Any object as credentials: what is no text is left out. */
export function authOf(value: unknown): AuthConfig {
  if (typeof value !== "object" || value === null) return {};
  const fields = value as Record<string, unknown>;
  return Object.fromEntries(
    keys.flatMap((key) =>
      typeof fields[key] === "string" && fields[key] !== "" ? [[key, fields[key]]] : [],
    ),
  );
}

function decoded(request: IncomingMessage, name: string): unknown {
  const header = request.headers[name];
  // Docker's clients send the word for "none" as well as nothing.
  if (typeof header !== "string" || header === "" || header === "e30=") return undefined;
  if (header.length > maxHeaderBytes) throw new GantryError("invalid", `the header ${name} is too long`);
  try {
    // Node reads the URL's alphabet, with padding or without, as well as the usual one.
    return JSON.parse(Buffer.from(header, "base64").toString("utf8"));
  } catch (cause) {
    throw new GantryError("invalid", `the header ${name} is not JSON in base64`, { cause });
  }
}
