/** Image references as far as the client must take them apart. Pure. */

/** The repository and the tag of `localhost:5000/a/b:v1`; the tag is empty when none is given. */
export function splitReference(reference: string): { readonly repository: string; readonly tag: string } {
  const at = reference.lastIndexOf(":");
  if (at < 0 || at < reference.lastIndexOf("/")) return { repository: reference, tag: "" };
  return { repository: reference.slice(0, at), tag: reference.slice(at + 1) };
}
