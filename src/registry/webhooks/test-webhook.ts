/** A made-up push, so that a receiver can be tried out. */
import { randomUUID } from "node:crypto";
import { mediaTypes } from "../../image/index.ts";
import { sha256 } from "../../lib/index.ts";
import { envelopeOf } from "./envelope.ts";
import { httpSender, type Sent } from "./send.ts";
import type { Webhook } from "./webhooks.ts";

export function testWebhook(webhook: Webhook): Promise<Sent> {
  const id = randomUUID();
  const body = envelopeOf(
    {
      id,
      atMs: Date.now(),
      action: "push",
      target: {
        repository: "gantry/webhook-test",
        digest: sha256("test"),
        tag: "test",
        mediaType: mediaTypes.ociManifest,
        size: 4,
        kind: "manifest",
      },
      actor: { name: "gantry", kind: "user" },
      remote: "",
      requestId: id,
      userAgent: "gantry registry webhook test",
    },
    { origin: "", address: "", instance: "test" },
  );
  return httpSender().send(webhook, id, body);
}
