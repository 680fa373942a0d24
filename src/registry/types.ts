/** The nouns of the registry and the seams between its parts. */
import type { RawManifest } from "../image/index.ts";
import type { Digest } from "../lib/index.ts";
import type { ByteRange } from "./blob-store.ts";
import type { Sql } from "./sql.ts";

export type Action = "pull" | "push" | "delete";

/** What a request needs, in the words of Docker's token flow: `repository:team/app:pull,push`, `registry:catalog:*`. */
export interface Scope {
  readonly type: "repository" | "registry";
  readonly name: string;
  readonly actions: readonly (Action | "*")[];
}

/** Who asks. */
export interface Identity {
  /** undefined: nobody has logged in. */
  readonly name: string | undefined;
  readonly kind: "anonymous" | "user" | "robot";
}

/** Decides who may do what. The registry asks it before it looks at anything. */
export interface AccessControl {
  /**
   * @throws {RegistryError} "UNAUTHORIZED" with a WWW-Authenticate header, or "DENIED"
   */
  authorize(request: Request, scopes: readonly Scope[]): Promise<Identity>;
  /**
   * Rights that merely widen an answer (the source of a cross-repository mount): never throws for lack of a right.
   */
  mayAlso(request: Request, scope: Scope): Promise<boolean>;
  /** Its own addresses, such as `/token`; undefined: not one of them. */
  handle(request: Request): Promise<Response | undefined>;
}

/** A request as guards and listeners see it. */
export interface RequestContext {
  readonly request: Request;
  readonly id: string;
  readonly identity: Identity;
  /** Address of the client's side of the connection. */
  readonly remote: string;
}

/**
 * Done inside the transaction that records a change: only there can a rule about what is recorded not be overtaken by another
 * push. May be run several times; touches nothing but `tx`.
 */
export type CommitStep = (tx: Sql) => Promise<void>;

type Ruling = void | CommitStep | Promise<void | CommitStep>;

/** Rules of the house: each may refuse by throwing a RegistryError. All methods are optional, all guards are asked in order. */
export interface Guard {
  /** Every request, once it is known who asks: rate limits. */
  request?(context: RequestContext): void | Promise<void>;
  /** Before anything is changed: read-only mode. */
  write?(context: RequestContext, repository: string): void | Promise<void>;
  /** @param bytes what the blob will have, where it is known */
  upload?(context: RequestContext, repository: string, bytes: number | undefined): void | Promise<void>;
  /** A blob whose bytes are here and that a repository is about to get. */
  linkBlob?(context: RequestContext, repository: string, digest: Digest, bytes: number): Ruling;
  /** A manifest that is about to be recorded: quotas, immutable tags. */
  putManifest?(context: RequestContext, push: ManifestPush): Ruling;
  deleteManifest?(context: RequestContext, repository: string, reference: string): void | Promise<void>;
}

export interface ManifestPush {
  readonly repository: string;
  readonly manifest: RawManifest;
  readonly tags: readonly string[];
  /** Bytes of the manifest and all blobs it names. */
  readonly totalBytes: number;
}

/** What has happened: told to webhooks, audit log and metrics after it is on disk. */
export interface RegistryEvent {
  readonly id: string;
  readonly atMs: number;
  readonly action: "push" | "pull" | "delete" | "mount";
  readonly target: {
    readonly repository: string;
    readonly digest: Digest | undefined;
    readonly tag?: string;
    readonly mediaType?: string;
    readonly size?: number;
    readonly kind: "manifest" | "blob" | "tag";
  };
  readonly actor: Identity;
  readonly remote: string;
  readonly requestId: string;
  readonly userAgent: string;
}

export type Listener = (event: RegistryEvent) => void;

/** Keeps events of manifests and tags in the transaction that makes them true, so that no crash comes between. */
export interface Journal {
  /** Asked before the transaction. @returns what keeps an event; undefined: nobody wants to hear of it */
  open(
    action: RegistryEvent["action"],
    repository: string,
  ): Promise<((tx: Sql, event: RegistryEvent) => Promise<void>) | undefined>;
}

/** Of a range, `body` has the bytes of the range and `size` is still the whole blob's. */
export interface UpstreamBlob {
  readonly size: number;
  readonly body: Blob | ReadableStream<Uint8Array>;
}

/** A registry behind this one: asked for what is missing here. */
export interface Upstream {
  /** True when repositories of this name come from it. */
  serves(repository: string): boolean;
  /** The manifest from upstream or, while that is down, from what was fetched before; undefined: there is none. */
  manifest(repository: string, reference: string, signal: AbortSignal): Promise<RawManifest | undefined>;
  /** A blob's bytes from here or, while they are fetched and stored, from upstream; undefined: upstream has none. */
  open(
    repository: string,
    digest: Digest,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<UpstreamBlob | undefined>;
  /** Bytes of a blob, without fetching it; undefined: upstream has none. */
  size(repository: string, digest: Digest): Promise<number | undefined>;
  /** Brings a blob here; false: upstream has none. */
  blob(repository: string, digest: Digest, signal: AbortSignal): Promise<boolean>;
  tags(repository: string, signal: AbortSignal): Promise<readonly string[] | undefined>;
}
