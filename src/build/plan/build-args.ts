/**
 * Which build arguments are visible where (Dockerfile reference, "ARG", "Scope", "Predefined ARGs"). Worked example, with
 * `--build-arg A=1 --build-arg X=9`:
 *
 *     ARG A=0          meta {A}, declared {A}; usable in FROM
 *     FROM base        declared {}: a stage sees nothing of it
 *     ARG A            declared {A}, value 1 (the option; without it the meta default 0)
 *     RUN echo $A      env A=1, shown in the cache key as "|1 A=1"
 *                      unused: X
 */

/** Usable without being declared; left out of history and cache unless they are declared. */
const predefined = [
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "FTP_PROXY",
  "ftp_proxy",
  "NO_PROXY",
  "no_proxy",
  "ALL_PROXY",
  "all_proxy",
] as const;

const isPredefined = (name: string): boolean => predefined.some((one) => one === name);

type Declared = ReadonlyMap<string, string | undefined>;

/** Arguments of the build's platform, usable in FROM and, once declared, in a stage. */
export function platformArgs(architecture: string, variant?: string): ReadonlyMap<string, string> {
  const platform = `linux/${architecture}${variant === undefined ? "" : `/${variant}`}`;
  const of = (side: string): (readonly [string, string])[] => [
    [`${side}PLATFORM`, platform],
    [`${side}OS`, "linux"],
    [`${side}ARCH`, architecture],
    [`${side}VARIANT`, variant ?? ""],
  ];
  return new Map([...of("TARGET"), ...of("BUILD")]);
}

/** One per build; the planner walks it through the Dockerfile. */
export class BuildArgs {
  readonly #options: ReadonlyMap<string, string>;
  readonly #named: readonly string[];
  readonly #platform: ReadonlyMap<string, string>;
  readonly #meta = new Map<string, string | undefined>();
  readonly #referenced = new Set<string>();
  #declared = new Map<string, string | undefined>();

  /** @param options of the client; null: named without a value, the Dockerfile's default holds */
  constructor(options: Readonly<Record<string, string | null>>, platform: ReadonlyMap<string, string>) {
    this.#named = Object.keys(options);
    this.#options = new Map(
      Object.entries(options).filter((pair): pair is [string, string] => pair[1] !== null),
    );
    this.#platform = platform;
  }

  /** ARG before the first FROM. */
  declareMeta(name: string, value: string | undefined): void {
    this.declare(name, value);
    this.#meta.set(name, value);
  }

  /** ARG in a stage. */
  declare(name: string, value: string | undefined): void {
    this.#declared.set(name, value);
    this.#referenced.add(name);
  }

  /** FROM: the next stage starts without arguments. */
  beginStage(): void {
    this.#declared = new Map();
  }

  /** A value as FROM sees it. */
  metaValue(name: string): string | undefined {
    return this.#value(name, this.#meta) ?? this.#platform.get(name);
  }

  /** A value as an instruction of the stage sees it. */
  value(name: string): string | undefined {
    return this.#value(name, this.#declared);
  }

  /** Arguments for the environment of RUN that the image's environment does not set, sorted. */
  forRun(env: ReadonlyMap<string, string>): readonly string[] {
    const names = new Set([...this.#declared.keys(), ...predefined]);
    return [...names]
      .flatMap((name) => {
        const value = env.has(name) ? undefined : this.value(name);
        return value === undefined ? [] : [`${name}=${value}`];
      })
      .sort();
  }

  /** False for a predefined argument that nobody declared: it must not show in history or cache. */
  isVisible(name: string): boolean {
    return this.#declared.has(name) || !isPredefined(name);
  }

  /** Names of the client that no ARG used, in its order. */
  unused(): readonly string[] {
    return this.#named.filter((name) => !this.#referenced.has(name) && !isPredefined(name));
  }

  #value(name: string, declared: Declared): string | undefined {
    if (!declared.has(name) && !isPredefined(name)) return undefined;
    return (
      this.#options.get(name) ??
      declared.get(name) ??
      this.#meta.get(name) ??
      (declared.has(name) ? this.#platform.get(name) : undefined)
    );
  }
}
