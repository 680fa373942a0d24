/** Addresses of networks: `--bip` and `--default-address-pool`. Pure. */
import { isBridgeAddress, isPool, type NetworkDefaults } from "../../network/index.ts";
import { isMap, type Values } from "./given.ts";

/** @throws {GantryError} "invalid" */
export function resolvePools(values: Values): Pick<NetworkDefaults, "bip" | "pools"> {
  const bip = values.text("bip") || undefined;
  if (bip !== undefined && !isBridgeAddress(bip))
    throw values.bad("bip", "an address with its subnet, such as 10.1.0.1/16, is wanted");
  const pools = values.list("default-address-pools").map((item) => {
    const { base, size } = typeof item === "string" ? readWords(item) : isMap(item) ? item : {};
    if (typeof base === "string" && typeof size === "number" && isPool({ base, size })) return { base, size };
    throw values.bad(
      "default-address-pools",
      "base=SUBNET,size=BITS is wanted, such as base=10.10.0.0/16,size=24",
      item,
    );
  });
  return { bip, pools };
}

/** `base=10.10.0.0/16,size=24` */
function readWords(text: string): { readonly base?: unknown; readonly size?: unknown } {
  const words = text.split(",").map((word) => word.split("="));
  const fields = Object.fromEntries(words.map(([name = "", value = ""]) => [name.trim(), value.trim()]));
  return {
    base: fields["base"],
    size: /^\d{1,2}$/.test(fields["size"] ?? "") ? Number(fields["size"]) : undefined,
  };
}
