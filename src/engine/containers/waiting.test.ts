/** Who waits for whom: locks, waiters, sessions before a start. */
import { describe, expect, test } from "bun:test";
import type { AttachSession } from "../../runtime/index.ts";
import { initialState } from "../container.ts";
import { Attachments } from "./attachments.ts";
import { eachBounded } from "./each-bounded.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import { Waiters } from "./waiters.ts";

describe("KeyedLocks", () => {
  test("one key in line, another at once, also after a failure", async () => {
    const locks = new KeyedLocks();
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = locks.run("a", async () => {
      await gate.promise;
      seen.push("a1");
      throw new Error("no");
    });
    const second = locks.run("a", () => void seen.push("a2"));
    await locks.run("b", () => void seen.push("b"));
    gate.resolve();
    expect(first).rejects.toThrow("no");
    await second;
    await locks.idle();
    expect(seen).toEqual(["b", "a1", "a2"]);
  });
});

test("eachBounded does all, no more than so many at a time", async () => {
  let now = 0;
  let most = 0;
  const done: number[] = [];
  await eachBounded([1, 2, 3, 4, 5], 2, async (item) => {
    most = Math.max(most, ++now);
    await Bun.sleep(1);
    now--;
    done.push(item);
  });
  expect([most, done.length]).toEqual([2, 5]);
});

describe("Waiters", () => {
  const never = new AbortController().signal;
  const exit = { exitCode: 3, error: "" };

  test("a stopped container need not be waited for, a running or restarting one must", async () => {
    const waiters = new Waiters();
    const stopped = { ...initialState, status: "exited", exitCode: 9 } as const;
    expect(await waiters.wait("a", "not-running", stopped, never)).toEqual({ exitCode: 9, error: "" });
    const running = waiters.wait("a", "not-running", { ...initialState, status: "restarting" }, never);
    const next = waiters.wait("a", "next-exit", stopped, never);
    const removed = waiters.wait("a", "removed", stopped, never);
    waiters.exited("b", { exitCode: 1, error: "" });
    waiters.exited("a", exit);
    expect(await running).toEqual(exit);
    expect(await next).toEqual(exit);
    waiters.removed("a", 4);
    expect(await removed).toEqual({ exitCode: 4, error: "" });
  });

  test("a failed start ends the wait for what does not run, not the one for the next exit", async () => {
    const waiters = new Waiters();
    const launching = { ...initialState, launching: true };
    const [idle, next, gone] = (["not-running", "next-exit", "removed"] as const).map((condition) =>
      waiters.wait("a", condition, launching, never),
    );
    waiters.notStarted("a", { exitCode: 127, error: "not found" });
    expect(await idle).toEqual({ exitCode: 127, error: "not found" });
    waiters.exited("a", exit);
    expect(await next).toEqual(exit);
    waiters.removed("a", 127);
    expect(await gone).toEqual({ exitCode: 127, error: "" });
  });

  test("removal ends every wait; whoever goes is forgotten", async () => {
    const waiters = new Waiters();
    const next = waiters.wait("a", "next-exit", initialState, never);
    const leaver = new AbortController();
    const gone = waiters.wait("a", "removed", initialState, leaver.signal);
    leaver.abort();
    expect(gone).rejects.toMatchObject({ code: "canceled" });
    waiters.removed("a", exit.exitCode);
    expect(await next).toEqual(exit);
    expect(waiters.wait("a", "removed", initialState, leaver.signal)).rejects.toMatchObject({
      code: "canceled",
    });
  });
});

describe("Attachments", () => {
  const streams = { stdin: true, stdout: true, stderr: true };
  const recorder = (): AttachSession & { readonly seen: string[] } => {
    const seen: string[] = [];
    return {
      seen,
      begin: () => void seen.push("begin"),
      write: async (bytes) => void seen.push(Buffer.from(bytes).toString()),
      endStdin: () => void seen.push("eof"),
      resize: (rows, cols) => void seen.push(`${rows}x${cols}`),
      close: () => void seen.push("close"),
    };
  };
  const handlers = (ends: unknown[]) => ({
    onOutput: () => undefined,
    onEnd: (exited: unknown) => void ends.push(exited),
  });

  test("what was said before the start arrives after it, in order", async () => {
    const attachments = new Attachments();
    const session = attachments.wait("a", streams);
    session.begin(handlers([]));
    const written = session.write(Buffer.from("hi"));
    session.resize(2, 3);
    session.endStdin();
    const real = recorder();
    expect(attachments.take("a")).toEqual([session]);
    session.connect(real);
    await written;
    await Bun.sleep(0);
    expect(real.seen).toEqual(["begin", "hi", "2x3", "eof"]);
    expect(attachments.take("a")).toEqual([]);
  });

  test("a client that went before the start is not attached", () => {
    const attachments = new Attachments();
    attachments.wait("a", streams).close();
    expect(attachments.take("a")).toEqual([]);
    const late = attachments.wait("a", streams);
    attachments.take("a");
    late.close();
    const real = recorder();
    late.connect(real);
    expect(real.seen).toEqual(["close"]);
  });

  test("removal and a failed start end the session", async () => {
    const attachments = new Attachments();
    const ends: unknown[] = [];
    const session = attachments.wait("a", streams);
    session.begin(handlers(ends));
    attachments.drop("a");
    await session.write(Buffer.from("x"));
    expect(ends).toEqual([undefined]);
  });

  test("too many are refused", () => {
    const attachments = new Attachments();
    for (let i = 0; i < 64; i++) attachments.wait("a", streams);
    expect(() => attachments.wait("a", streams)).toThrow("64 clients wait already");
    attachments.close();
  });
});
