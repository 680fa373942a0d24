/** /images/create?fromImage, /images/NAME/push, /auth, /distribution, /images/search: what concerns registries. */
import type { ServerResponse } from "node:http";
import {
  type Descriptor,
  familiarName,
  familiarRepository,
  type ImageSource,
  parseManifest,
  parsePlatform,
  parseReference,
  type PlatformWish,
  type Reference,
  withDefaultTag,
} from "../../image/index.ts";
import { digestHex, GantryError, toGantryError } from "../../lib/index.ts";
import { pullError, pullReference, pushReference, remoteTags } from "../pull-image.ts";
import type { ApiEngine } from "./api-engine.ts";
import { parseFilters } from "./filters.ts";
import { JsonMessages } from "./output.ts";
import { flagOf, numberOf, textOf } from "./query.ts";
import { readJson } from "./read-body.ts";
import { authOf, registryAuth, registryConfig } from "./registry-auth.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { TransferMessages } from "./transfer-messages.ts";

export function addDistributionRoutes(router: Router, engine: ApiEngine): void {
  router.json("GET", "/images/search", (call) => searchImages(engine, call));
  router.stream("POST", "/images/*name/push", (call, response) => push(engine, call, response));
  router.json("GET", "/distribution/*name/json", (call) => describe(engine, call));
  router.json("POST", "/auth", async (call) => login(engine, authOf(await readJson(call.request))));
  router.stream("POST", "/gantry/images/verify", (call, response) => verify(engine, call, response));
}

/** `tag` is a tag or a digest; without either, all tags of the repository are meant. */
export async function pull(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { query } = call;
  const name = parseReference(textOf(query, "fromImage"));
  const tag = textOf(query, "tag");
  const wish = textOf(query, "platform");
  const platform = wish === "" ? undefined : parsePlatform(wish);
  const auth = registryAuth(call.request);
  const wanted =
    tag === "" ? name : parseReference(`${familiarRepository(name)}${tag.includes(":") ? "@" : ":"}${tag}`);
  const isWhole = wanted.tag === undefined && wanted.digest === undefined;
  const tags = isWhole ? await remoteTags(engine, wanted, auth) : [undefined];
  const messages = new JsonMessages(response);
  const signal = AbortSignal.any([call.signal, messages.tooSlow]);
  try {
    for (const one of tags) {
      const reference = one === undefined ? wanted : { ...wanted, tag: one };
      await pullOne(engine, reference, { messages, auth, platform, signal });
    }
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}

interface PullCall {
  readonly messages: JsonMessages;
  readonly auth: ReturnType<typeof registryAuth>;
  readonly platform: PlatformWish | undefined;
  readonly signal: AbortSignal;
}

async function pullOne(
  engine: ApiEngine,
  reference: Reference,
  { messages, auth, platform, signal }: PullCall,
): Promise<void> {
  let begun = false;
  // Nothing is said before the manifest is here: a failure up to then is an HTTP error of its own.
  const begin = (): void => {
    if (begun) return;
    begun = true;
    const repository = reference.domain === "docker.io" ? reference.path : familiarRepository(reference);
    void messages.send({ status: `Pulling from ${repository}`, id: reference.digest ?? reference.tag });
  };
  const teller = new TransferMessages((message) => void messages.send(message));
  const onProgress = (event: Parameters<TransferMessages["pull"]>[0]): void => {
    begin();
    teller.pull(event);
  };
  const { id, digest, upToDate } = await pullReference(engine, reference, {
    auth,
    platform,
    onProgress,
    signal,
  });
  begin();
  const name = familiarName(reference);
  void messages.send({ status: `Digest: ${digest}` });
  void messages.send({
    status: upToDate
      ? `Status: Image is up to date for ${name}`
      : `Status: Downloaded newer image for ${name}`,
  });
  engine.events.emit("image", "pull", name, { name: familiarRepository(reference), image: id });
}

/** Without a tag all tags of the repository that are here. */
async function push(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { query } = call;
  const name = parseReference(param(call, "name"));
  const tag = textOf(query, "tag") || name.tag;
  const auth = registryAuth(call.request);
  const repository = familiarRepository(name);
  const tags = tag === undefined || tag === "" ? localTags(engine, repository) : [tag];
  for (const one of tags) engine.images.find(`${repository}:${one}`);
  const level = numberOf(query, "compressionLevel");
  const compression = compressionOf(textOf(query, "compression"));
  const messages = new JsonMessages(response);
  const signal = AbortSignal.any([call.signal, messages.tooSlow]);
  try {
    void messages.send({ status: `The push refers to repository [${name.domain}/${name.path}]` });
    for (const one of tags) {
      const teller = new TransferMessages((message) => void messages.send(message));
      const manifest = await pushReference(
        engine,
        { domain: name.domain, path: name.path, tag: one },
        {
          auth,
          compression,
          level,
          onProgress: (event) => teller.push(event),
          signal,
        },
      );
      const Size = manifest.bytes.length;
      void messages.send({ status: `${one}: digest: ${manifest.digest} size: ${Size}` });
      void messages.send({ progressDetail: {}, aux: { Tag: one, Digest: manifest.digest, Size } });
      engine.events.emit("image", "push", `${repository}:${one}`, { name: repository });
    }
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}

function localTags({ images }: ApiEngine, repository: string): readonly string[] {
  const tags = images
    .list()
    .flatMap((image) => image.repoTags.map(parseReference))
    .flatMap((reference) => (familiarRepository(reference) === repository ? (reference.tag ?? []) : []));
  if (tags.length > 0) return tags;
  throw new GantryError("not-found", `An image does not exist locally with the tag: ${repository}`, {
    hint: "see what there is with: gantry images",
  });
}

function compressionOf(word: string): "gzip" | "zstd" | "none" | undefined {
  if (word === "") return undefined;
  if (word === "gzip" || word === "zstd" || word === "none") return word;
  throw new GantryError("invalid", `invalid compression ${JSON.stringify(word.slice(0, 40))}`, {
    hint: "there are: gzip zstd none",
  });
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
