/** /images/create?fromImage and /images/NAME/push, in dockerd's words. */
import type { ServerResponse } from "node:http";
import {
  familiarName,
  familiarRepository,
  parsePlatform,
  parseReference,
  type PlatformWish,
  type PullEvent,
  type Reference,
} from "../../image/index.ts";
import { GantryError, toGantryError } from "../../lib/index.ts";
import { pullReference, pushReference, remoteTags } from "../pull-image.ts";
import type { ApiEngine } from "./api-engine.ts";
import { JsonMessages } from "./output.ts";
import { numberOf, textOf } from "./query.ts";
import { registryAuth } from "./registry-auth.ts";
import { type Call, param } from "./router.ts";
import { PullMessages, PushMessages } from "./transfer-messages.ts";

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
  let isNewer = false;
  try {
    for (const one of tags) {
      const reference = one === undefined ? wanted : { ...wanted, tag: one };
      const upToDate = await pullOne(engine, reference, { messages, auth, platform, signal });
      isNewer ||= !upToDate;
    }
    const status = isNewer ? "Status: Downloaded newer image for" : "Status: Image is up to date for";
    void messages.send({ status: `${status} ${familiarName(wanted)}` });
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

/** True: everything was as the registry has it. */
async function pullOne(
  engine: ApiEngine,
  reference: Reference,
  { messages, auth, platform, signal }: PullCall,
): Promise<boolean> {
  let begun = false;
  // Nothing is said before the manifest is here: a failure up to then is an HTTP error of its own.
  const begin = (): void => {
    if (begun) return;
    begun = true;
    // The path alone, whatever the registry is.
    void messages.send({ status: `Pulling from ${reference.path}`, id: reference.digest ?? reference.tag });
  };
  const teller = new PullMessages((message) => void messages.send(message));
  const onProgress = (event: PullEvent): void => {
    begin();
    teller.tell(event);
  };
  const options = { auth, platform, onProgress, signal };
  const { id, digest, upToDate } = await pullReference(engine, reference, options);
  begin();
  if (!upToDate) teller.tellHere();
  void messages.send({ status: `Digest: ${digest}` });
  const name = familiarName(reference);
  engine.events.emit("image", "pull", name, { name: familiarRepository(reference), image: id });
  return upToDate;
}

/** Without a tag all tags of the repository that are here. */
export async function push(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { query } = call;
  const name = parseReference(param(call, "name"));
  const auth = registryAuth(call.request);
  const repository = familiarRepository(name);
  const level = numberOf(query, "compressionLevel");
  const compression = compressionOf(textOf(query, "compression"));
  const tags = tagsToPush(engine, repository, textOf(query, "tag") || name.tag);
  const messages = new JsonMessages(response);
  const signal = AbortSignal.any([call.signal, messages.tooSlow]);
  try {
    void messages.send({ status: `The push refers to repository [${name.domain}/${name.path}]` });
    for (const tag of tags) {
      const { config } = engine.images.find(`${repository}:${tag}`);
      const teller = new PushMessages((message) => void messages.send(message), config.rootfs.diff_ids);
      const { digest, bytes } = await pushReference(
        engine,
        { domain: name.domain, path: name.path, tag },
        {
          auth,
          compression,
          level,
          onLayers: (layers) => teller.know(layers),
          onProgress: (event) => teller.tell(event),
          signal,
        },
      );
      const Size = bytes.length;
      void messages.send({ status: `${tag}: digest: ${digest} size: ${Size}` });
      void messages.send({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size } });
      engine.events.emit("image", "push", `${repository}:${tag}`, { name: repository });
    }
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}

/** @throws {GantryError} "not-found" in docker's words */
function tagsToPush(
  { images }: ApiEngine,
  repository: string,
  tag: string | undefined,
): readonly [string, ...string[]] {
  const [first, ...others] = images
    .list()
    .flatMap((image) => image.repoTags.map(parseReference))
    .flatMap((reference) => (familiarRepository(reference) === repository ? (reference.tag ?? []) : []))
    .sort();
  if (first === undefined)
    throw new GantryError("not-found", `An image does not exist locally with the tag: ${repository}`, {
      hint: "see what there is with: gantry images",
    });
  if (tag === undefined || tag === "") return [first, ...others];
  if (first === tag || others.includes(tag)) return [tag];
  throw new GantryError("not-found", `tag does not exist: ${repository}:${tag}`, {
    hint: `there are: ${[first, ...others].join(" ").slice(0, 200)}`,
  });
}

function compressionOf(word: string): "gzip" | "zstd" | "none" | undefined {
  if (word === "") return undefined;
  if (word === "gzip" || word === "zstd" || word === "none") return word;
  throw new GantryError("invalid", `invalid compression ${JSON.stringify(word.slice(0, 40))}`, {
    hint: "there are: gzip zstd none",
  });
}
