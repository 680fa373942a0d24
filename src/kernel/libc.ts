/**
 * The few functions of the C library that Bun has no words for and that are needed once in an engine's life: by bun:ffi, loaded on
 * first use. What is needed more often is in the addon (sys.ts).
 */

type Libc = Awaited<ReturnType<typeof load>>;

async function load() {
  const { dlopen, ptr } = await import("bun:ffi");
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    listen: { args: ["i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    dup2: { args: ["i32", "i32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  });
  return { ...symbols, ptr };
}

let loaded: Promise<Libc> | undefined;

export function libc(): Promise<Libc> {
  loaded ??= load();
  return loaded;
}

export const socketTypes = { stream: 1, datagram: 2 } as const;
const closeOnExec = 0o2000000;
const addressUnix = 1;
/** Of sun_path, with its NUL. */
const longestPath = 108;

/** A unix socket, close-on-exec; undefined when there is none to have. */
export async function unixSocket(type: number): Promise<number | undefined> {
  const fd = (await libc()).socket(addressUnix, type | closeOnExec, 0);
  return fd < 0 ? undefined : fd;
}

/** `struct sockaddr_un`. @param path one that begins with `@` is abstract. @returns undefined when it is too long */
export function unixAddress(path: string): Buffer | undefined {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length > longestPath) return undefined;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(addressUnix);
  return Buffer.concat([family, name]);
}
