/** The registry as a handler of requests: who asks is known and allowed before anything is looked at, then the route does it. */
import type { Logger } from "../lib/index.ts";
import { empty, json, refusal } from "./answers.ts";
import type { BlobStore } from "./blob-store.ts";
import { deleteBlob, getBlob } from "./blob-routes.ts";
import { RegistryError, toRegistryError } from "./errors.ts";
import { type Connections, Exchange } from "./exchange.ts";
import { listReferrers, listRepositories, listTags } from "./list-routes.ts";
import { deleteManifest, getManifest, putManifest } from "./manifest-routes.ts";
import { Metadata } from "./metadata.ts";
import { defaultLimits, guard, type Registry, type RegistryLimits } from "./registry.ts";
import { parseRoute, type Route } from "./route.ts";
import type { Sql } from "./sql.ts";
import type { AccessControl, Action, Guard, Journal, Listener, Scope, Upstream } from "./types.ts";
import { UploadRoutes } from "./upload-routes.ts";

export interface RegistryOptions {
  readonly blobs: BlobStore;
  readonly sql: Sql;
  readonly logger: Logger;
  /** undefined: everybody may do everything. */
  readonly access?: AccessControl | undefined;
  readonly guards?: readonly Guard[] | undefined;
  readonly listeners?: readonly Listener[] | undefined;
  readonly journal?: Journal | undefined;
  readonly upstreams?: readonly Upstream[] | undefined;
  readonly limits?: Partial<RegistryLimits> | undefined;
  /** An index may name manifests, and a manifest blobs, that are not here. */
  readonly allowSparse?: boolean | undefined;
  /** False: DELETE is answered 405. */
  readonly allowDelete?: boolean | undefined;
  readonly now?: (() => number) | undefined;
}

type Handler = (exchange: Exchange, repository: string, reference: string) => Promise<Response>;

interface Method {
  readonly actions: readonly Action[];
  readonly handle: Handler;
}

type Methods = Readonly<Record<string, Method>>;
type Routes = Readonly<Record<Exclude<Route["kind"], "ping" | "catalog" | "other">, Methods>>;

export class RegistryServer {
  readonly metadata: Metadata;
  readonly #registry: Registry;
  readonly #routes: Routes;
  #running = 0;
  #idle: (() => void) | undefined;

  private constructor(registry: Registry) {
    this.#registry = registry;
    this.metadata = registry.metadata;
    this.#routes = routesOf(registry);
  }

  static async open(options: RegistryOptions): Promise<RegistryServer> {
    const { blobs, sql, logger, access } = options;
    return new RegistryServer({
      blobs,
      metadata: await Metadata.open(sql),
      access,
      guards: options.guards ?? [],
      listeners: options.listeners ?? [],
      journal: options.journal,
      upstreams: options.upstreams ?? [],
      limits: { ...defaultLimits, ...options.limits },
      allowSparse: options.allowSparse ?? false,
      allowDelete: options.allowDelete ?? true,
      logger,
      now: options.now ?? Date.now,
    });
  }

  /** Never rejects. */
  async fetch(request: Request, connections?: Connections): Promise<Response> {
    const exchange = new Exchange(request, connections);
    this.#running += 1;
    try {
      return await this.#answer(exchange);
    } catch (error) {
      return this.#refuse(exchange, error);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** Resolves when no request is being answered any more: the stores may be closed then. */
  async close(): Promise<void> {
    if (this.#running === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    await promise;
  }

  async #answer(exchange: Exchange): Promise<Response> {
    const route = parseRoute(exchange.path);
    switch (route.kind) {
      case "other": {
        const answer = await this.#registry.access?.handle(exchange.request);
        if (answer !== undefined) return answer;
        throw new RegistryError("UNSUPPORTED", "there is nothing at this address", { status: 404 });
      }
      case "ping":
        await this.#admit(exchange, []);
        return json({});
      case "catalog":
        if (exchange.request.method !== "GET") throw unsupported(exchange, { GET: undefined });
        await this.#admit(exchange, [{ type: "registry", name: "catalog", actions: ["*"] }]);
        return listRepositories(this.#registry, exchange);
      default: {
        const methods = this.#routes[route.kind];
        const method = methods[exchange.request.method];
        if (method === undefined) throw unsupported(exchange, methods);
        await this.#admit(exchange, [
          { type: "repository", name: route.repository, actions: method.actions },
        ]);
        if (exchange.request.method === "DELETE" && route.kind !== "upload" && !this.#registry.allowDelete)
          throw new RegistryError("UNSUPPORTED", "this registry does not delete");
        return method.handle(exchange, route.repository, "reference" in route ? route.reference : "");
      }
    }
  }

  async #admit(exchange: Exchange, scopes: readonly Scope[]): Promise<void> {
    const { access } = this.#registry;
    if (access !== undefined) exchange.identity = await access.authorize(exchange.request, scopes);
    await guard(this.#registry, (one) => one.request?.(exchange));
  }

  #refuse(exchange: Exchange, error: unknown): Response {
    const { method, signal } = exchange.request;
    const refused = toRegistryError(error);
    // Nobody reads the answer.
    if (signal.aborted) return empty(400);
    if (refused.status >= 500)
      this.#registry.logger.error("request.failed", {
        request: exchange.id,
        method,
        path: exchange.path,
        status: refused.status,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    return refusal(refused);
  }
}

function routesOf(registry: Registry): Routes {
  const uploads = new UploadRoutes(registry);
  type Route = (
    registry: Registry,
    exchange: Exchange,
    repository: string,
    reference: string,
  ) => Promise<Response>;
  const of = (actions: readonly Action[], route: Route): Method => ({
    actions,
    handle: (exchange, repository, reference) => route(registry, exchange, repository, reference),
  });
  const upload = (name: "begin" | "status" | "patch" | "put" | "cancel"): Method => ({
    actions: ["pull", "push"],
    handle: (exchange, repository, id) => uploads[name](exchange, repository, id),
  });
  return {
    manifest: {
      GET: of(["pull"], getManifest),
      HEAD: of(["pull"], getManifest),
      PUT: of(["pull", "push"], putManifest),
      DELETE: of(["delete"], deleteManifest),
    },
    blob: { GET: of(["pull"], getBlob), HEAD: of(["pull"], getBlob), DELETE: of(["delete"], deleteBlob) },
    uploads: { POST: upload("begin") },
    upload: {
      GET: upload("status"),
      HEAD: upload("status"),
      PATCH: upload("patch"),
      PUT: upload("put"),
      DELETE: upload("cancel"),
    },
    tags: { GET: of(["pull"], listTags) },
    referrers: { GET: of(["pull"], listReferrers) },
  };
}

function unsupported(exchange: Exchange, methods: Readonly<Record<string, unknown>>): RegistryError {
  return new RegistryError("UNSUPPORTED", `${exchange.request.method} is not supported here`, {
    headers: { Allow: Object.keys(methods).join(", ") },
  });
}
