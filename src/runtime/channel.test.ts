import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { Attached } from "./attach-session.ts";
import { Channel } from "./channel.ts";
import { Control } from "./control.ts";
import { encodeFrame, type Frame, frameType } from "./frames.ts";

/** A monitor's end that tests play. */
interface Peer {
  readonly path: string;
  readonly got: number[];
  send(bytes: Uint8Array): void;
  read(on: boolean): void;
  hangUp(): void;
  stop(): void;
}

let dir: string;
let peer: Peer;

beforeEach(() => {
  dir = mkdtempSync("/tmp/gantry-channel-");
  peer = listen(`${dir}/s`);
});
afterEach(() => {
  peer.stop();
  rmSync(dir, { recursive: true });
});

function listen(path: string): Peer {
  const got: number[] = [];
  const early: Uint8Array[] = [];
  let client: Bun.Socket<undefined> | undefined;
  const server = Bun.listen<undefined>({
    unix: path,
    socket: {
      open: (socket) => {
        client = socket;
        for (const bytes of early) socket.write(bytes);
      },
      data: (_socket, bytes) => void got.push(...bytes),
    },
  });
  return {
    path,
    got,
    send: (bytes) => void (client === undefined ? early.push(bytes) : client.write(bytes)),
    read: (on) => (on ? client?.resume() : client?.pause()),
    hangUp: () => client?.end(),
    stop: () => server.stop(true),
  };
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !done(); i++) await Bun.sleep(2);
  expect(done()).toBe(true);
}

const out = (text: string): Uint8Array => encodeFrame(1, new TextEncoder().encode(text));
const textOf = (frame: Frame): string =>
  frame.type === "output" ? new TextDecoder().decode(frame.bytes) : frame.type;
const startedFrame = encodeFrame(frameType.started, new Uint8Array(16));
const exitedFrame = encodeFrame(frameType.exited, new Uint8Array(21));

describe("Channel", () => {
  test("nothing is read before start, and nothing is lost", async () => {
    const channel = await Channel.connect(peer.path);
    peer.send(new Uint8Array([...out("a"), ...out("b")]));
    await Bun.sleep(20);
    const frames: string[] = [];
    channel.start({ onFrame: (frame) => void frames.push(textOf(frame)), onClose: () => {} });
    await until(() => frames.length === 2);
    expect(frames).toEqual(["a", "b"]);
    channel.close();
  });

  test("frames wait for a slow handler, in order, and the close comes last", async () => {
    const channel = await Channel.connect(peer.path);
    await until(() => !channel.closed);
    peer.send(new Uint8Array([...out("1"), ...out("2"), ...out("3")]));
    const events: string[] = [];
    const ended = new Promise<void>((resolve) =>
      channel.start({
        onFrame: async (frame) => {
          events.push(`begin ${textOf(frame)}`);
          await Bun.sleep(10);
          events.push(`end ${textOf(frame)}`);
        },
        onClose: () => resolve(void events.push("close")),
      }),
    );
    await until(() => events.length > 0);
    peer.hangUp();
    await ended;
    expect(events).toEqual(["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3", "close"]);
  });

  test("a write resolves only when the kernel took all of it", async () => {
    const channel = await Channel.connect(peer.path);
    channel.start({ onFrame: () => undefined, onClose: () => {} });
    await channel.write(Uint8Array.of(1));
    await until(() => peer.got.length === 1);
    peer.read(false);
    let taken = false;
    const writing = channel.write(new Uint8Array(4 << 20)).then(() => void (taken = true));
    const after = channel.write(Uint8Array.of(9));
    await Bun.sleep(30);
    expect(taken).toBe(false);
    peer.read(true);
    await Promise.all([writing, after]);
    await until(() => peer.got.length === (4 << 20) + 2);
    expect(peer.got.at(-1)).toBe(9);
    channel.close();
  });

  test("writes are refused once the peer is gone", async () => {
    const channel = await Channel.connect(peer.path);
    const closed = new Promise<void>((resolve) =>
      channel.start({ onFrame: () => undefined, onClose: () => resolve() }),
    );
    await channel.write(Uint8Array.of(1));
    await until(() => peer.got.length === 1);
    peer.hangUp();
    await closed;
    expect(channel.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "unavailable" });
  });

  test("a peer that speaks something else is hung up on", async () => {
    const channel = await Channel.connect(peer.path);
    peer.send(new TextEncoder().encode("HTTP/1.1 200 OK\r\n"));
    const error = await new Promise((resolve) =>
      channel.start({ onFrame: () => undefined, onClose: resolve }),
    );
    expect(error).toMatchObject({ code: "corrupt" });
  });

  test("nobody listening is unavailable", () => {
    expect(Channel.connect(`${dir}/none`)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("Control", () => {
  test("tells the start, the answers to signals, and the end", async () => {
    const control = new Control(await Channel.connect(peer.path));
    peer.send(startedFrame);
    expect(await control.first).toMatchObject({ kind: "started", started: { pid: 0 } });
    const signals = [control.signal(15), control.signal(9)];
    await until(() => peer.got.length === 24);
    const answer = (errno: number): Uint8Array =>
      encodeFrame(frameType.signalResult, Uint8Array.of(errno, 0, 0, 0));
    peer.send(new Uint8Array([...answer(0), ...answer(3)]));
    const [first, second] = await Promise.allSettled(signals);
    expect(first?.status).toBe("fulfilled");
    expect(second).toMatchObject({ status: "rejected", reason: { code: "not-found" } });
    peer.send(exitedFrame);
    expect(await control.exited).toMatchObject({ exitCode: 0, oomKilled: false });
    control.close();
  });

  test("a monitor that vanishes: no end is known, and waiting signals are told", async () => {
    const control = new Control(await Channel.connect(peer.path));
    peer.send(startedFrame);
    await control.first;
    const signal = control.signal(15);
    await until(() => peer.got.length > 0);
    peer.hangUp();
    expect(await control.exited).toBeUndefined();
    expect(signal).rejects.toMatchObject({ code: "unavailable" });
  });
});

test("an attach session cuts long input into frames, and ends with what the monitor said", async () => {
  const session = new Attached(await Channel.connect(peer.path));
  const ended = new Promise((resolve) => session.begin({ onOutput: () => undefined, onEnd: resolve }));
  await session.write(new Uint8Array(100_000));
  session.endStdin();
  await until(() => peer.got.length === 100_000 + 3 * 8);
  expect(peer.got.slice(0, 8)).toEqual([0, 0, 0, 0, 0, 1, 0, 0]);
  expect(peer.got.slice(-8)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  peer.send(exitedFrame);
  peer.hangUp();
  expect(await ended).toMatchObject({ exitCode: 0 });
});
