/**
 * The program of build/oci/host-test.asan: gantry-oci's C host, told what to call. Its argument is a file with a JSON list of calls
 * `[function, ...arguments]`; it prints a JSON list of their answers. `{ "of": n }` is the answer of call n, with
 * `"at"` a member of it; `{ "bytes": […] }` a Uint8Array.
 */
import { addPolyfills } from "../../src/runtime/oci/polyfills.ts";

const longestCalls = 64 << 20;

type Call = readonly [string, ...unknown[]];

/** What a test may call beside the host's functions: the globals that the C side makes. */
const globals: Readonly<Record<string, (...words: never[]) => unknown>> = {
  encode: (text: string) => new TextEncoder().encode(text),
  decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
  decodeFatal: (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
  parse: (text: string) => JSON.parse(text),
  parseNested: (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth)) !== undefined,
  recurse: () => recurse(0),
  allocate: (bytes: number) => new Uint8Array(bytes).length,
  last: () => [1, 2, 3].at(-1),
};

function recurse(depth: number): number {
  return recurse(depth + 1) + 1;
}

function member(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

function resolve(argument: unknown, answers: readonly unknown[]): unknown {
  const of = member(argument, "of");
  if (typeof of === "number") {
    const at = member(argument, "at");
    return at === undefined ? answers[of] : member(answers[of], String(at));
  }
  const bytes = member(argument, "bytes");
  if (Array.isArray(bytes)) return new Uint8Array(bytes);
  if (Array.isArray(argument)) return argument.map((item: unknown) => resolve(item, answers));
  if (typeof argument !== "object" || argument === null) return argument;
  return Object.fromEntries(Object.entries(argument).map(([key, item]) => [key, resolve(item, answers)]));
}

function answerOf([name, ...rest]: Call, answers: readonly unknown[]): unknown {
  const call: unknown = globals[name] ?? Reflect.get(host, name);
  if (typeof call !== "function") return call;
  try {
    return Reflect.apply(
      call,
      host,
      rest.map((argument) => resolve(argument, answers)),
    );
  } catch (error) {
    const facts = ["name", "message", "code", "errno", "syscall", "path"];
    return { thrown: Object.fromEntries(facts.map((key) => [key, member(error, key)])) };
  }
}

function shown(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { bytes: [...value] } : value;
}

addPolyfills();
globalThis.gantryMain = () => {
  const calls = JSON.parse(host.readFile(host.args[0] ?? "", longestCalls)) as readonly Call[];
  const answers: unknown[] = [];
  for (const call of calls) answers.push(answerOf(call, answers));
  host.write(
    1,
    `${JSON.stringify(
      answers.map((answer) => answer ?? null),
      shown,
    )}\n`,
  );
  return calls.length % 100;
};
