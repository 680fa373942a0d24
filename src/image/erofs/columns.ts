/** Memory for millions of rows: numbers and bytes in typed arrays that grow, where objects would take ten times as much. */

const kinds = {
  u8: Uint8Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f64: Float64Array,
} as const;
type Numbers = InstanceType<(typeof kinds)[keyof typeof kinds]>;

/** Numbers by row; what was never set is 0. */
export class Column {
  readonly #kind: keyof typeof kinds;
  #values: Numbers;

  constructor(kind: keyof typeof kinds, rows = 1024) {
    this.#kind = kind;
    this.#values = new kinds[kind](rows);
  }

  get(row: number): number {
    return this.#values[row] ?? 0;
  }

  set(row: number, value: number): void {
    if (row >= this.#values.length) this.#grow(row + 1);
    this.#values[row] = value;
  }

  #grow(rows: number): void {
    const values = new kinds[this.#kind](Math.ceil(Math.max(rows, this.#values.length * 1.5)));
    values.set(this.#values);
    this.#values = values;
  }
}

/** Byte strings one behind the other, named by where they begin. */
export class Arena {
  #bytes = Buffer.allocUnsafeSlow(1 << 16);
  #length = 0;

  /** @returns where it begins */
  add(bytes: Uint8Array): number {
    const at = this.#length;
    if (at + bytes.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.ceil(Math.max(at + bytes.length, this.#bytes.length * 1.5)));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, at);
    this.#length += bytes.length;
    return at;
  }

  /** A view that is valid until the next add. */
  view(at: number, length: number): Buffer {
    return this.#bytes.subarray(at, at + length);
  }

  equals(at: number, bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length; i++) if (this.#bytes[at + i] !== bytes[i]) return false;
    return true;
  }

  /** As memcmp, the shorter one first. */
  compare(a: number, aLength: number, b: number, bLength: number): number {
    const shared = Math.min(aLength, bLength);
    for (let i = 0; i < shared; i++) {
      const difference = (this.#bytes[a + i] ?? 0) - (this.#bytes[b + i] ?? 0);
      if (difference !== 0) return difference;
    }
    return aLength - bLength;
  }
}
