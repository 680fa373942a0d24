/** /build and what belongs to BuildKit, which is refused. */
import type { ServerResponse } from "node:http";
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { JsonMessages } from "./output.ts";
import { parseBuild } from "./parse-build.ts";
import { bodyOf } from "./read-body.ts";
import { registryConfig } from "./registry-auth.ts";
import type { Call, Router } from "./router.ts";

export function addBuildRoutes(router: Router, engine: ApiEngine): void {
  router.stream("POST", "/build", (call, response) => build(engine, call, response));
  // Images of build steps go with `image prune`: there is no cache beside them.
  router.json("POST", "/build/prune", () => ({ CachesDeleted: null, SpaceReclaimed: 0 }));
  router.json("POST", "/build/cancel", () => {
    throw new GantryError("unsupported", "builds are cancelled by closing their connection");
  });
  const buildKit = (): never => {
    throw new GantryError(
      "unsupported",
      "this engine builds with the classic builder only, not with BuildKit",
      { hint: "set DOCKER_BUILDKIT=0" },
    );
  };
  for (const path of ["/session", "/grpc"]) router.add("POST", path, { json: buildKit, hijack: buildKit });
}

async function build(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const request = parseBuild(call.query);
  const messages = new JsonMessages(response);
  const signal = AbortSignal.any([call.signal, messages.tooSlow]);
  try {
    const image = await engine.builder.build(
      { ...request, context: bodyOf(call.request), credentials: registryConfig(call.request) },
      (message) => void messages.send(message),
      signal,
    );
    engine.events.emit("image", "build", image.id, { name: image.repoTags[0] ?? image.id });
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}
