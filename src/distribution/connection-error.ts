/** Why a registry cannot be reached, and what its user can do about it. */
import { GantryError, messageOf } from "../lib/index.ts";
import { isLoopback } from "./proxy.ts";

/** @param via how the peer is reached: ` by the proxy HOST` */
export function connectionError(error: unknown, url: URL, via: string): GantryError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const why = messageOf(error);
  const isTls =
    code === "EPROTO" || /CERT|SELF_SIGNED|SSL|TLS|ISSUER|HOSTNAME/i.test(code) || /certificate/i.test(why);
  return new GantryError("unavailable", `cannot reach the registry at ${url.origin}${via}: ${why}`, {
    cause: error,
    hint: hintFor(url, code, isTls),
    fields: { tls: isTls },
  });
}

function hintFor({ host, hostname }: URL, code: string, isTls: boolean): string {
  // The peer hung up in the handshake.
  if (code === "EPROTO")
    return `does it speak TLS (else: --insecure-registry ${host}), or want a client's certificate: /etc/docker/certs.d/${host}/client.cert and client.key?`;
  if (isTls)
    return `put its authority's certificate into /etc/docker/certs.d/${host}/ca.crt, or say --insecure-registry ${host} if nobody can listen in`;
  return isLoopback(hostname)
    ? "is the registry running?"
    : "is the name right, and can this machine reach it? A proxy is set by HTTPS_PROXY";
}
