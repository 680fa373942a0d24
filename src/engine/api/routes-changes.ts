/** /containers/{id}/changes and /commit. */
import { parseReference, withDefaultTag } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import type { ChangeKind } from "../changes/list-changes.ts";
import { imageDefaults, withChanges } from "../changes/commit.ts";
import type { ApiEngine } from "./api-engine.ts";
import { parseChanges } from "./import-changes.ts";
import { Fields } from "./json-fields.ts";
import { parseCommitConfig } from "./parse-commit.ts";
import { flagOf, textOf } from "./query.ts";
import { readJson } from "./read-body.ts";
import { type Call, param, Reply, type Router } from "./router.ts";

const kinds: Readonly<Record<ChangeKind, number>> = { modified: 0, added: 1, deleted: 2 };

export function addChangesRoutes(router: Router, engine: ApiEngine): void {
  router.json("GET", "/containers/:id/changes", (call) => {
    const changes = engine.containers.changes(param(call, "id"));
    // As Go sends an empty list that was never filled.
    if (changes.length === 0) return new Reply(200, null);
    return changes.map(({ path, kind }) => ({ Path: path, Kind: kinds[kind] }));
  });
  router.json("POST", "/commit", async (call) => new Reply(201, { Id: await commit(engine, call) }));
}

async function commit({ containers }: ApiEngine, call: Call): Promise<string> {
  const { query, signal } = call;
  const body = await readJson(call.request);
  const { record } = containers.find(textOf(query, "container"));
  const own = imageDefaults(record.config);
  const base = { ...own, ...parseCommitConfig(new Fields(body, "")) };
  return containers.commit(record.id, {
    config: withChanges(base, parseChanges(query.getAll("changes").filter((line) => line !== ""))),
    reference: referenceOf(textOf(query, "repo"), textOf(query, "tag")),
    author: textOf(query, "author"),
    comment: textOf(query, "comment"),
    pause: flagOf(query, "pause", true),
    signal,
  });
}

/** @throws {GantryError} "invalid" */
function referenceOf(repository: string, tag: string): string {
  if (repository === "") return "";
  const name = tag === "" ? repository : `${repository}:${tag}`;
  const reference = withDefaultTag(parseReference(name));
  if (reference.digest !== undefined)
    throw new GantryError("invalid", "refusing to create a tag with a digest reference");
  return name;
}
