/** /distribution, /images/search, /auth, /gantry/images/verify: what concerns registries, beside pull and push. */
import type { ServerResponse } from "node:http";
import {
  type Descriptor,
  type ImageSource,
  parseManifest,
  parseReference,
  withDefaultTag,
} from "../../image/index.ts";
import { digestHex, GantryError, toGantryError } from "../../lib/index.ts";
import { pullError } from "../pull-image.ts";
import type { ApiEngine } from "./api-engine.ts";
import { parseFilters } from "./filters.ts";
import { JsonMessages } from "./output.ts";
import { flagOf, numberOf, textOf } from "./query.ts";
import { readJson } from "./read-body.ts";
import { authOf, registryAuth, registryConfig } from "./registry-auth.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { push } from "./routes-transfers.ts";

export function addDistributionRoutes(router: Router, engine: ApiEngine): void {
  router.json("GET", "/images/search", (call) => searchImages(engine, call));
  router.stream("POST", "/images/*name/push", (call, response) => push(engine, call, response));
  router.json("GET", "/distribution/*name/json", (call) => describe(engine, call));
  router.json("POST", "/auth", async (call) => login(engine, authOf(await readJson(call.request))));
  router.stream("POST", "/gantry/images/verify", (call, response) => verify(engine, call, response));
}

/** What a registry has under a name, without pulling it. */
async function describe({ registries }: ApiEngine, call: Call): Promise<object> {
  const reference = withDefaultTag(parseReference(param(call, "name")));
  try {
    await using source = await registries.source(reference, registryAuth(call.request));
    const raw = await source.manifest(undefined, call.signal);
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    const platforms =
      manifest.kind === "index"
        ? manifest.manifests.flatMap(({ platform }) => platform ?? [])
        : [await platformOf(source, manifest.config, call.signal)];
    return {
      Descriptor: { mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length },
      Platforms: platforms,
    };
  } catch (error) {
    throw pullError(error, reference);
  }
}

const maxConfigBytes = 8 << 20;

async function platformOf(source: ImageSource, config: Descriptor, signal: AbortSignal): Promise<object> {
  if (config.size > maxConfigBytes)
    throw new GantryError("corrupt", `the config ${config.digest} is too large`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.blob(config, { signal })) chunks.push(chunk);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    // SyntaxError: an artifact's config may be anything.
    return {};
  }
  const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const known = ["architecture", "os", "os.version", "os.features", "variant"];
  return Object.fromEntries(known.flatMap((key) => (fields[key] === undefined ? [] : [[key, fields[key]]])));
}

async function login({ registries }: ApiEngine, auth: ReturnType<typeof authOf>): Promise<object | Reply> {
  try {
    const { status, identityToken } = await registries.login(auth.serveraddress ?? "docker.io", auth);
    return { Status: status, IdentityToken: identityToken ?? "" };
  } catch (error) {
    const { code, message } = toGantryError(error);
    // docker's client asks for the password again on 401, and on nothing else.
    if (code === "denied") return new Reply(401, { message });
    throw error;
  }
}

async function searchImages({ registries }: ApiEngine, call: Call): Promise<readonly object[]> {
  const term = textOf(call.query, "term");
  if (term === "") throw new GantryError("invalid", "no term is given to search for");
  const filters = parseFilters(call.query.get("filters"), ["stars", "is-official", "is-automated"]);
  const limit = Math.min(100, Math.max(1, numberOf(call.query, "limit") ?? 25));
  const found = await registries.search(term, limit, registryAuth(call.request));
  const stars = Math.max(0, ...filters.values("stars").map(Number));
  return found.filter(
    (item) =>
      item.star_count >= stars &&
      filters.some("is-official", (value) => String(item.is_official) === value) &&
      filters.some("is-automated", (value) => String(item.is_automated) === value),
  );
}

/** Hashes what is on disk again; with `repair` what is damaged is fetched from the registry of its image. */
async function verify(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { images, registries } = engine;
  const auths = registryConfig(call.request);
  const messages = new JsonMessages(response);
  const signal = AbortSignal.any([call.signal, messages.tooSlow]);
  const names = call.query.getAll("names").filter((name) => name !== "");
  for (const name of names) images.find(name);
  const repair = async (name: string) => {
    const reference = parseReference(name);
    return registries.source(reference, auths.get(reference.domain));
  };
  try {
    const report = await images.verify({
      ...(names.length === 0 ? {} : { references: names }),
      ...(flagOf(call.query, "repair") ? { repair } : {}),
      onProgress: ({ kind, digest, state, message }) =>
        void messages.send({ status: state, id: `${kind} ${digestHex(digest).slice(0, 12)}`, message }),
      signal,
    });
    const { items, bytes, damaged } = report;
    void messages.send({ aux: { Items: items, Bytes: bytes, Damaged: damaged } });
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}
