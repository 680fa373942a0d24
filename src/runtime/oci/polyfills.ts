/** What the shared code uses and QuickJS of 2021 does not have. Added, not enumerable, where it is missing. */

function add(target: object, name: string, value: unknown): void {
  if (!(name in target)) Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

function at(this: ArrayLike<unknown>, index: number): unknown {
  const from = Math.trunc(index) || 0;
  return this[from < 0 ? this.length + from : from];
}

function findLastIndex(this: readonly unknown[], test: (item: unknown, index: number) => unknown): number {
  for (let index = this.length - 1; index >= 0; index--) if (test(this[index], index)) return index;
  return -1;
}

function findLast(this: readonly unknown[], test: (item: unknown, index: number) => unknown): unknown {
  return this[findLastIndex.call(this, test)];
}

/** Called once, before anything else. */
export function addPolyfills(): void {
  add(Array.prototype, "at", at);
  add(String.prototype, "at", at);
  add(Uint8Array.prototype, "at", at);
  add(Array.prototype, "findLast", findLast);
  add(Array.prototype, "findLastIndex", findLastIndex);
  add(Object, "hasOwn", (target: object, key: PropertyKey) =>
    Object.prototype.hasOwnProperty.call(target, key),
  );
}
