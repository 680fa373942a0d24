/** Events as existing receivers of Docker's registry expect them (distribution, "Notifications"). Pure. */
import type { RegistryEvent } from "../types.ts";

export const envelopeType = "application/vnd.docker.distribution.events.v1+json";

/** What is the same for all events of one registry. */
export interface EventSource {
  /** `https://registry.example`; empty: unknown. */
  readonly origin: string;
  /** Of this instance: `host:port`. */
  readonly address: string;
  readonly instance: string;
}

export function envelopeOf(event: RegistryEvent, source: EventSource): string {
  const { target } = event;
  const path = target.kind === "blob" ? "blobs" : "manifests";
  const url =
    target.digest === undefined
      ? undefined
      : `${source.origin}/v2/${target.repository}/${path}/${target.digest}`;
  return JSON.stringify({
    events: [
      {
        id: event.id,
        timestamp: new Date(event.atMs).toISOString(),
        action: event.action,
        target: {
          mediaType: target.mediaType,
          size: target.size,
          digest: target.digest,
          length: target.size,
          repository: target.repository,
          url,
          tag: target.tag,
        },
        request: {
          id: event.requestId,
          addr: event.remote,
          host: source.origin.replace(/^https?:\/\//, ""),
          method: methods[event.action],
          useragent: event.userAgent,
        },
        actor: event.actor.name === undefined ? {} : { name: event.actor.name },
        source: { addr: source.address, instanceID: source.instance },
      },
    ],
  });
}

const methods: Readonly<Record<RegistryEvent["action"], string>> = {
  push: "PUT",
  pull: "GET",
  delete: "DELETE",
  mount: "POST",
};
