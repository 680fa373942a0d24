/** The address of a request's client: that of the connection, or what a trusted proxy says. */
const addressPattern = /^[0-9A-Fa-f:.]{2,45}$/;

export class Peers {
  readonly #trusted: ReadonlySet<string>;
  readonly #addresses = new WeakMap<Request, string>();

  constructor(trustedProxies: readonly string[]) {
    this.#trusted = new Set(trustedProxies);
  }

  /** Notes the other side of the connection. */
  note(request: Request, connection: string): void {
    this.#addresses.set(request, this.#clientOf(request, connection.replace(/^::ffff:(?=\d+\.)/i, "")));
  }

  readonly addressOf = (request: Request): string => this.#addresses.get(request) ?? "";

  /** From the right, the first address that is no trusted proxy: what stands left of it anybody may have written. */
  #clientOf(request: Request, connection: string): string {
    if (!this.#trusted.has(connection)) return connection;
    const named = (request.headers.get("x-forwarded-for") ?? "").split(",").map((word) => word.trim());
    const client = named.toReversed().find((address) => !this.#trusted.has(address));
    return client !== undefined && addressPattern.test(client) ? client : connection;
  }
}
