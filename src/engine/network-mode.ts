/** What `--network` means. Pure. */

export type NetworkKind =
  | { readonly kind: "host" }
  | { readonly kind: "none" }
  /** An interface in a bridge network of this name. */
  | { readonly kind: "bridge"; readonly network: string };

export function networkKind(mode: string): NetworkKind {
  switch (mode) {
    case "host":
      return { kind: "host" };
    case "none":
      return { kind: "none" };
    case "":
    case "default":
    case "bridge":
      return { kind: "bridge", network: "bridge" };
    default:
      return { kind: "bridge", network: mode };
  }
}
