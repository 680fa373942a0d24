/** One delivery to one endpoint: signed, short, and never to addresses of this machine's own link. */
import { createHmac } from "node:crypto";
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { messageOf } from "../../lib/index.ts";
import { envelopeType } from "./envelope.ts";
import type { Webhook } from "./webhooks.ts";

const deadlineMs = 10_000;

export interface Sent {
  readonly ok: boolean;
  /** For the log: `204`, `timeout`, `connection refused`. */
  readonly result: string;
}

export interface Sender {
  send(webhook: Webhook, id: string, body: string): Promise<Sent>;
}

/**
 * `Gantry-Signature: t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY` with the webhook's secret. The time is signed, so that a
 * receiver can refuse what is old.
 */
export function signatureOf(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}

/** All addresses of a name. */
type Lookup = (host: string) => Promise<readonly string[]>;

const systemLookup: Lookup = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** Posts envelopes. Redirects are not followed: they would carry the event to somewhere nobody has named. */
export const httpSender = (find: Lookup = systemLookup): Sender => ({
  async send(webhook, id, body) {
    try {
      const url = new URL(webhook.url);
      const address = await addressOf(url.hostname.replace(/^\[|\]$/g, ""), find);
      if (address === undefined) return { ok: false, result: "refused: a link-local address" };
      const seconds = Math.floor(Date.now() / 1000);
      const response = await fetch(at(url, address), {
        method: "POST",
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(deadlineMs),
        // Who answers proves to be who was named, not the address.
        ...(url.protocol === "https:" ? { tls: { serverName: url.hostname } } : {}),
        headers: {
          Host: url.host,
          "Content-Type": envelopeType,
          "User-Agent": "gantry-registry",
          "Gantry-Delivery": id,
          ...(webhook.secret === ""
            ? {}
            : { "Gantry-Signature": signatureOf(webhook.secret, seconds, body) }),
        },
      });
      await response.body?.cancel();
      return { ok: response.status >= 200 && response.status < 300, result: String(response.status) };
    } catch (error) {
      return { ok: false, result: messageOf(error).slice(0, 200) };
    }
  },
});

/** Clouds keep the credentials of their machines on link-local addresses; no receiver lives there. */
const linkLocal = new BlockList();
linkLocal.addSubnet("169.254.0.0", 16, "ipv4");
linkLocal.addSubnet("fe80::", 10, "ipv6");
linkLocal.addSubnet("::ffff:169.254.0.0", 112, "ipv6");

/**
 * Where a name leads, looked up once: the address that was checked is the one that is connected to, so that a name which leads
 * elsewhere a moment later gains nothing. @returns undefined: it may not be posted to
 */
async function addressOf(host: string, find: Lookup): Promise<string | undefined> {
  const addresses = isIP(host) === 0 ? await find(host) : [host];
  return addresses.some(isLinkLocal) ? undefined : addresses[0];
}

function isLinkLocal(address: string): boolean {
  return linkLocal.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function at(url: URL, address: string): URL {
  const there = new URL(url);
  there.hostname = isIP(address) === 6 ? `[${address}]` : address;
  return there;
}
