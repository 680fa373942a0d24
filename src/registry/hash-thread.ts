/** What runs in a thread that hashes and writes uploads; hash-threads.ts starts it. */

/** In the order they are sent. Bytes are the thread's once they are sent. */
export type HashRequest =
  | {
      /** Appends at `position`: the hash, if it is begun anew by this, is of all bytes before as well. */
      readonly kind: "write";
      readonly id: string;
      readonly fd: number;
      readonly position: number;
      readonly algorithm: "sha256" | "sha512";
      readonly bytes: Uint8Array<ArrayBuffer>;
    }
  | {
      /** The digest of the file's first `length` bytes, of which those are read that have not been hashed. */
      readonly kind: "digest";
      readonly id: string;
      readonly fd: number;
      readonly length: number;
      readonly algorithm: "sha256" | "sha512";
    }
  /** Has no answer. */
  | { readonly kind: "forget"; readonly id: string };

export interface HashAnswer {
  readonly hex?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * The thread's program: a text is made of it, because a compiled program has no files to start threads from. So it uses
 * nothing from outside but types. Each request but "forget" has one answer, in no certain order across uploads.
 */
export function hashThread(): void {
  const fs = process.getBuiltinModule("node:fs");
  /** Bytes that are read again at once, and after how many others are let in. */
  const [readBytes, turnBytes] = [1 << 20, 16 << 20];
  const hashes = new Map<string, { algorithm: string; hash: Bun.CryptoHasher; hashed: number }>();
  let written: Int32Array | undefined;

  type Place = Exclude<HashRequest, { kind: "forget" }>;
  const hashOf = ({ id, algorithm }: Place): { hash: Bun.CryptoHasher; hashed: number } => {
    const known = hashes.get(id);
    if (known?.algorithm === algorithm) return known;
    const begun = { algorithm, hash: new Bun.CryptoHasher(algorithm), hashed: 0 };
    hashes.set(id, begun);
    return begun;
  };

  /** Hashes what is in the file up to `length`. */
  const catchUp = async (request: Place, length: number): Promise<Bun.CryptoHasher> => {
    const state = hashOf(request);
    if (state.hashed === length) return state.hash;
    const buffer = new Uint8Array(Math.min(readBytes, length - state.hashed));
    for (let sinceTurn = 0; state.hashed < length;) {
      const wanted = Math.min(buffer.length, length - state.hashed);
      const read = fs.readSync(request.fd, buffer, 0, wanted, state.hashed);
      if (read === 0) throw Object.assign(new Error("the upload has lost its end"), { code: "EIO" });
      state.hash.update(buffer.subarray(0, read));
      state.hashed += read;
      sinceTurn += read;
      if (sinceTurn < turnBytes) continue;
      sinceTurn = 0;
      await Bun.sleep(0);
    }
    return state.hash;
  };

  const write = (request: Extract<HashRequest, { kind: "write" }>): void => {
    const { fd, position, bytes } = request;
    const state = hashOf(request);
    for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
    // What came before is read when the digest is asked for.
    if (state.hashed !== position) return;
    state.hash.update(bytes);
    state.hashed += bytes.length;
  };

  const answer = async (request: Place): Promise<HashAnswer> => {
    try {
      if (request.kind === "digest")
        return { hex: (await catchUp(request, request.length)).copy().digest("hex") };
      write(request);
      return {};
    } catch (error) {
      hashes.delete(request.id);
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      return { error: { code, message: error instanceof Error ? error.message : String(error) } };
    }
  };

  const take = (data: HashRequest | { readonly written: Int32Array }): void => {
    if ("written" in data) {
      written = data.written;
      return;
    }
    if (data.kind === "forget") {
      hashes.delete(data.id);
      return;
    }
    const answered = answer(data);
    if (data.kind === "write") {
      // Not left to the collector of garbage, which would come late.
      data.bytes.buffer.transfer(0);
      if (written !== undefined) {
        Atomics.add(written, 0, 1);
        Atomics.notify(written, 0);
      }
    }
    void answered.then((text) => postMessage({ id: data.id, answer: text }));
  };
  globalThis.addEventListener("message", ({ data }) => take(data));
}
