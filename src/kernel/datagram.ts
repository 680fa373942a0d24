/**
 * Sends one datagram to a unix socket, as service managers and system logs take them. By bun:ffi, as Bun has no unix datagrams;
 * loaded on first use.
 */

const addressUnix = 1;
const typeDatagram = 2;
const closeOnExec = 0o2000000;
const noSignal = 0x4000;
/** MSG_DONTWAIT: a receiver that does not read stops nobody. */
const noWait = 0x40;

/** @param path of a file; one that begins with `@` is abstract. @returns false when nobody took it */
export async function sendDatagram(path: string, text: string): Promise<boolean> {
  const { dlopen, ptr } = await import("bun:ffi");
  const name = Buffer.from(path.replace(/^@/, "\0"));
  const address = Buffer.alloc(2 + name.length + (path.startsWith("@") ? 0 : 1));
  // sun_path has 108 bytes.
  if (address.length > 110) return false;
  address.writeUInt16LE(addressUnix, 0);
  name.copy(address, 2);
  const { symbols: libc, close: unload } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  });
  try {
    const fd = libc.socket(addressUnix, typeDatagram | closeOnExec, 0);
    if (fd < 0) return false;
    const bytes = Buffer.from(text);
    const sent = libc.sendto(fd, ptr(bytes), bytes.length, noSignal | noWait, ptr(address), address.length);
    libc.close(fd);
    return Number(sent) === bytes.length;
  } finally {
    unload();
  }
}
