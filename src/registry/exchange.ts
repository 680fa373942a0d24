/** One request on its way through the registry: what the routes need to know of it. */
import { newId } from "../lib/index.ts";
import type { Identity, RegistryEvent, RequestContext } from "./types.ts";

/** What is asked of Bun's server. */
export interface Connections {
  requestIP(request: Request): { readonly address: string } | null;
}

const anonymous: Identity = { name: undefined, kind: "anonymous" };

export class Exchange implements RequestContext {
  readonly request: Request;
  readonly path: string;
  readonly parameters: URLSearchParams;
  readonly #connections: Connections | undefined;
  #id: string | undefined;
  identity: Identity = anonymous;

  constructor(request: Request, connections: Connections | undefined) {
    this.request = request;
    this.#connections = connections;
    const { url } = request;
    const start = url.indexOf("/", url.indexOf("://") + 3);
    const question = url.indexOf("?", start);
    this.path = question === -1 ? url.slice(start) : url.slice(start, question);
    this.parameters = new URLSearchParams(question === -1 ? "" : url.slice(question + 1));
  }

  get id(): string {
    this.#id ??= newId().slice(0, 16);
    return this.#id;
  }

  get remote(): string {
    return this.#connections?.requestIP(this.request)?.address ?? "";
  }

  /** The body's bytes as announced; undefined: nobody has said. */
  get contentLength(): number | undefined {
    const header = this.request.headers.get("content-length");
    return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
  }

  event(action: RegistryEvent["action"], target: RegistryEvent["target"], atMs: number): RegistryEvent {
    return {
      id: newId().slice(0, 32),
      atMs,
      action,
      target,
      actor: this.identity,
      remote: this.remote,
      requestId: this.id,
      userAgent: this.request.headers.get("user-agent") ?? "",
    };
  }
}
