/** How texts call this program: as it was called, so that one that is installed as `runc` speaks of runc. */
let name = "gantry-oci";

/** By the caller's word for it (argv[0]). */
export function setProgramName(word: string): void {
  const base = word.slice(word.lastIndexOf("/") + 1);
  // What cannot be shown in one line is no name.
  if (/^[\w.+-]{1,64}$/.test(base)) name = base;
}

export function programName(): string {
  return name;
}
