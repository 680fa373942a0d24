/** What a limit of the config becomes. */

export interface LimitWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Which part of the config asks for it, such as `linux.resources.memory`. */
  readonly path: string;
  /** Where the kernel has no `file`: the first of these that it has. */
  readonly otherwise?: readonly { readonly file: string; readonly value: string }[];
  /** None of the files: there is nothing to limit. */
  readonly missingIsFine?: boolean;
}

/** An asked limit that this interface of the kernel does not have. */
export interface MissingLimit {
  readonly path: string;
  readonly why: string;
}

/** Collects the limits of one part of the resources. */
export interface LimitPart {
  write(
    controller: string,
    file: string,
    value: string | number | undefined,
    more?: Pick<LimitWrite, "otherwise" | "missingIsFine">,
  ): void;
  lacks(field: string, why: string): void;
  /** Never returns: the value makes no sense on any machine. */
  wrong(field: string, why: string): never;
}

/** v2's word for "no limit" is "max", OCI's -1. */
export function maxOr(value: number): string | number {
  return value < 0 ? "max" : value;
}
