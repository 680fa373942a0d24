/** Cuts a TCP stream into DNS messages: each has its length before it, two bytes (RFC 1035, 4.2.2). */

export class MessageReader {
  #held: Uint8Array = new Uint8Array(0);
  readonly #maxHeld: number;

  /** @param maxBytes no more is kept for a message that is not complete */
  constructor(maxBytes = 65_537) {
    this.#maxHeld = maxBytes;
  }

  /** The messages that are complete now; undefined when more is held than may be. */
  add(bytes: Uint8Array): readonly Uint8Array[] | undefined {
    const all = new Uint8Array(this.#held.length + bytes.length);
    all.set(this.#held, 0);
    all.set(bytes, this.#held.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= 2) {
      const length = (all[at] ?? 0) * 256 + (all[at + 1] ?? 0);
      if (all.length - at - 2 < length) break;
      messages.push(all.slice(at + 2, at + 2 + length));
      at += 2 + length;
    }
    this.#held = all.slice(at);
    return this.#held.length > this.#maxHeld ? undefined : messages;
  }
}

/** A message with its length before it. */
export function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(message.length + 2);
  frame[0] = message.length >> 8;
  frame[1] = message.length & 255;
  frame.set(message, 2);
  return frame;
}
