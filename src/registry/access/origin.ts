/** The address that clients know this registry by. Pure. */

/** A host as URLs have it: nothing in it can end a header's value or lead elsewhere. */
const hostPattern =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;

/**
 * The origin for absolute addresses. Without a configured one the client's own Host is taken, when it is one at all: it came
 * from that client and goes back to it alone.
 * @param configured of --external-url, or empty
 */
export function originOf(request: Request, configured: string): string {
  if (configured !== "") return configured;
  const url = new URL(request.url);
  const host = request.headers.get("host") ?? url.host;
  return `${url.protocol}//${hostPattern.test(host) ? host : "localhost"}`;
}
