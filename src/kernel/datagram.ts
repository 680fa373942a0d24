/** One datagram to a unix socket, as service managers take them. */
import { libc, socketTypes, unixAddress, unixSocket } from "./libc.ts";

const noSignal = 0x4000;
/** MSG_DONTWAIT: a receiver that does not read stops nobody. */
const noWait = 0x40;

/** @param path of a file; one that begins with `@` is abstract. @returns false when nobody took it */
export async function sendDatagram(path: string, text: string): Promise<boolean> {
  const address = unixAddress(path);
  const fd = await unixSocket(socketTypes.datagram);
  if (address === undefined || fd === undefined) return false;
  const { sendto, close, ptr } = await libc();
  const bytes = Buffer.from(text);
  const sent = sendto(fd, ptr(bytes), bytes.length, noSignal | noWait, ptr(address), address.length);
  close(fd);
  return Number(sent) === bytes.length;
}
