/** A PKCS #10 certificate request (RFC 2986) for names and addresses, signed by an ECDSA key. */
import { type KeyObject, createPublicKey, sign } from "node:crypto";
import { isIP } from "node:net";
import { bits, der, integer, octets, oid, sequence, set, utf8 } from "./der.ts";

const oids = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  extensionRequest: "1.2.840.113549.1.9.14",
  subjectAltName: "2.5.29.17",
} as const;

/** @param key an EC private key on P-256 */
export function certificateRequest(names: readonly string[], key: KeyObject): Uint8Array {
  const [first = ""] = names;
  // The common name ends at 64 characters; what counts is the alternative names.
  const subject =
    first.length <= 64 && isIP(first) === 0 ? [set(sequence(oid(oids.commonName), utf8(first)))] : [];
  const extensions = sequence(
    sequence(oid(oids.subjectAltName), octets(sequence(...names.map(generalName)))),
  );
  const info = sequence(
    integer(0),
    sequence(...subject),
    createPublicKey(key).export({ format: "der", type: "spki" }),
    der(0xa0, sequence(oid(oids.extensionRequest), set(extensions))),
  );
  return sequence(info, sequence(oid(oids.ecdsaWithSha256)), bits(sign("sha256", info, key)));
}

function generalName(name: string): Uint8Array {
  switch (isIP(name)) {
    case 4:
      return der(0x87, Buffer.from(name.split(".").map(Number)));
    case 6:
      return der(0x87, ipv6Bytes(name));
    default:
      return der(0x82, Buffer.from(name, "ascii"));
  }
}

const groups = (part: string): readonly string[] => (part === "" ? [] : part.split(":"));

function ipv6Bytes(text: string): Uint8Array {
  const [head = "", tail] = text.split("::");
  const left = groups(head);
  const right = groups(tail ?? "");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return Buffer.from([...left, ...zeros, ...right].map((group) => group.padStart(4, "0")).join(""), "hex");
}
